"""Where a CTranslate2 model runs and with which numbers: what was asked for against what this machine can do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from copilot.domain.errors import ConfigError

CPU_TYPES = ("int8", "int8_float32", "float32")
GPU_TYPES = ("float16", "bfloat16", "int8_float16", "int8_float32", "float32")
"""Best first, for ``auto``: int8 is the fastest on a CPU; on a GPU float16 is exact and about as fast as int8 at these batch sizes."""
CPU_BATCH, GPU_BATCH = 2, 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A device and compute type that this machine has. ``index`` is the GPU's number (0 on a CPU)."""

    device: Literal["cpu", "cuda"]
    index: int
    compute_type: str

    @property
    def max_batch(self) -> int:
        """Windows worth decoding together: a CPU gains little and delays finals, a GPU is idle without many."""
        return CPU_BATCH if self.device == "cpu" else GPU_BATCH


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What CTranslate2 finds here. ``types(device, index)``: the compute types it supports there."""

    gpus: int
    types: Callable[[str, int], set[str]]


def this_machine() -> Machine:
    """Asks CTranslate2."""
    import ctranslate2

    return Machine(gpus=gpus(), types=ctranslate2.get_supported_compute_types)


def gpus() -> int:
    """How many GPUs CTranslate2 sees."""
    import ctranslate2

    return int(ctranslate2.get_cuda_device_count())


def place(device: str, index: int, compute_type: str, machine: Machine) -> Placement:
    """The placement for settings asr.device, asr.device_index and asr.compute_type.

    ``auto``: a GPU if there is one, and the best type it has. ``int8`` on a GPU means int8 weights with float16 around them. Raises
    ConfigError that names the setting and what is possible here.
    """
    if device == "auto":
        device = "cuda" if machine.gpus else "cpu"
    if device not in ("cpu", "cuda"):
        raise ConfigError(f"asr.device is {device!r}; it must be auto, cpu or cuda.")
    if device == "cuda" and not machine.gpus:
        raise ConfigError(
            "asr.device is cuda, but CTranslate2 sees no GPU here: set it to auto or cpu, or install the NVIDIA driver with cuBLAS and "
            "cuDNN for CUDA 12 and look at nvidia-smi."
        )
    if device == "cuda" and not 0 <= index < machine.gpus:
        raise ConfigError(f"asr.device_index names GPU {index}; this machine has {machine.gpus}, numbered from 0.")
    if device == "cpu" and index:
        raise ConfigError(f"asr.device_index is {index}, but recognition runs on the CPU here: leave it at 0, or set asr.device to cuda.")
    possible = machine.types(device, index)
    if compute_type == "auto":
        order = CPU_TYPES if device == "cpu" else GPU_TYPES
        chosen = next((name for name in order if name in possible), "float32")
    elif compute_type == "int8" and device == "cuda" and "int8_float16" in possible:
        chosen = "int8_float16"
    elif compute_type in possible:
        chosen = compute_type
    else:
        where = "a CPU of this kind" if device == "cpu" else f"GPU {index}"
        raise ConfigError(f"asr.compute_type is {compute_type!r}; {where} can do {', '.join(sorted(possible))}, or say auto.")
    return Placement(device="cpu" if device == "cpu" else "cuda", index=index, compute_type=chosen)
