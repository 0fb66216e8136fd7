"""Device and compute type: what was asked for against machines that are only described here."""

import pytest

from copilot.domain.errors import ConfigError
from streaming.asr.devices import CPU_BATCH, GPU_BATCH, Machine, place, this_machine

CPU = {"int8", "int8_float32", "float32"}
VOLTA = {"float32", "float16", "int8", "int8_float16", "int8_float32"}
MAXWELL = {"float32", "int8", "int8_float32"}


def machine(*gpus: set[str]) -> Machine:
    return Machine(gpus=len(gpus), types=lambda device, index: CPU if device == "cpu" else gpus[index])


@pytest.mark.parametrize(
    ("asked", "here", "device", "compute_type"),
    [
        (("auto", 0, "auto"), machine(), "cpu", "int8"),
        (("auto", 0, "auto"), machine(VOLTA), "cuda", "float16"),
        (("cpu", 0, "auto"), machine(VOLTA), "cpu", "int8"),
        (("cuda", 1, "auto"), machine(VOLTA, MAXWELL), "cuda", "int8_float32"),
        (("cuda", 0, "int8"), machine(VOLTA), "cuda", "int8_float16"),
        (("cuda", 0, "int8"), machine(MAXWELL), "cuda", "int8"),
        (("auto", 0, "float32"), machine(), "cpu", "float32"),
    ],
)
def test_auto_takes_the_best_there_is(asked, here, device, compute_type):
    placed = place(*asked, here)
    assert (placed.device, placed.index, placed.compute_type) == (device, asked[1], compute_type)
    assert placed.max_batch == (CPU_BATCH if device == "cpu" else GPU_BATCH)


@pytest.mark.parametrize(
    ("asked", "here", "said"),
    [
        (("cuda", 0, "auto"), machine(), "asr.device is cuda, but CTranslate2 sees no GPU here"),
        (("cuda", 2, "auto"), machine(VOLTA, VOLTA), "asr.device_index names GPU 2; this machine has 2"),
        (("auto", -1, "auto"), machine(VOLTA), "asr.device_index names GPU -1"),
        (("auto", 1, "auto"), machine(), "asr.device_index is 1, but recognition runs on the CPU"),
        (("cpu", 0, "float16"), machine(VOLTA), "can do float32, int8, int8_float32, or say auto"),
        (("cuda", 0, "float16"), machine(MAXWELL), "GPU 0 can do"),
        (("tpu", 0, "auto"), machine(), "it must be auto, cpu or cuda"),
    ],
)
def test_what_is_not_here_is_said_with_what_is(asked, here, said):
    with pytest.raises(ConfigError, match=said):
        place(*asked, here)


def test_this_machine_can_do_int8_on_its_cpu():
    assert place("cpu", 0, "auto", this_machine()).compute_type == "int8"
