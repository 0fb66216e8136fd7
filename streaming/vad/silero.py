"""Silero VAD v6 as a stream: each channel carries the model's h, c and 64-sample context itself; one ONNX session serves all channels.

(faster-whisper's own wrapper starts from zero on every call, so it is for whole files only.)
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from copilot.domain.errors import EngineError
from streaming.vad.endpoint import WINDOW_SAMPLES

_CONTEXT_SAMPLES = 64
_STATE_SHAPE = (1, 1, 128)


def packaged_model_path() -> Path:
    """The model file inside the faster-whisper distribution, found without importing that package."""
    spec = importlib.util.find_spec("faster_whisper")
    for root in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(root) / "assets" / "silero_vad_v6.onnx"
        if path.is_file():
            return path
    raise EngineError(
        "The voice activity model silero_vad_v6.onnx is not in the installed faster-whisper: install faster-whisper >= 1.2.1."
    )


class SileroVad:
    """The shared session. Thread-safe (ONNX Runtime sessions are); ``stream()`` makes the state of one channel."""

    def __init__(self, model_path: Path | None = None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 3
        path = model_path or packaged_model_path()
        try:
            self._session: Any = onnxruntime.InferenceSession(str(path), sess_options=options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise EngineError(f"The voice activity model {path} cannot be loaded ({error}): reinstall it.") from error

    def run(
        self, window: npt.NDArray[np.float32], h: npt.NDArray[np.float32], c: npt.NDArray[np.float32]
    ) -> tuple[float, npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """``window``: ``[1, 576]`` (context and samples); ``h``, ``c``: ``[1, 1, 128]`` → (speech probability, next h, next c)."""
        probabilities, next_h, next_c = self._session.run(None, {"input": window, "h": h, "c": c})
        return float(np.asarray(probabilities).reshape(-1)[0]), next_h, next_c

    def stream(self, *, gate_dbfs: float | None = -60.0) -> SileroStream:
        return SileroStream(self, gate_dbfs=gate_dbfs)


class SileroStream:
    """Speech probability of consecutive 32 ms windows of one channel.

    An RMS gate spares the model on dead air: after ``gate_after`` windows under ``gate_dbfs`` it is not run (probability 0)
    until one is louder.
    """

    def __init__(self, vad: SileroVad, *, gate_dbfs: float | None = -60.0, gate_after: int = 16) -> None:
        self._vad = vad
        self._gate = 0.0 if gate_dbfs is None else 10.0 ** (gate_dbfs / 20.0)
        self._gate_after = gate_after
        self.windows_run = 0
        self.reset()

    def reset(self) -> None:
        """Forget the past (after a gap in the audio)."""
        self._h = np.zeros(_STATE_SHAPE, dtype=np.float32)
        self._c = np.zeros(_STATE_SHAPE, dtype=np.float32)
        self._input = np.zeros((1, _CONTEXT_SAMPLES + WINDOW_SAMPLES), dtype=np.float32)
        self._quiet = 0

    def __call__(self, window: npt.NDArray[np.float32]) -> float:
        """``window``: 512 samples in [-1, 1] at 16 kHz."""
        if self._gate:
            if float(np.dot(window, window)) < self._gate * self._gate * WINDOW_SAMPLES:
                self._quiet += 1
                if self._quiet > self._gate_after:
                    if self._quiet == self._gate_after + 1:
                        quiet = self._quiet
                        self.reset()
                        self._quiet = quiet
                    return 0.0
            else:
                self._quiet = 0
        self._input[0, :_CONTEXT_SAMPLES] = self._input[0, -_CONTEXT_SAMPLES:]
        self._input[0, _CONTEXT_SAMPLES:] = window
        probability, self._h, self._c = self._vad.run(self._input, self._h, self._c)
        self.windows_run += 1
        return probability
