"""G.711 by lookup tables. Codes are bytes as they travel on the wire (A-law with its even bits inverted), samples are s16.

The tables follow ITU-T G.711: μ-law has 14-bit samples, A-law 13-bit ones; both are scaled to 16 bits here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from copilot.domain.audio import Encoding

Int16Array = NDArray[np.int16]
UInt8Array = NDArray[np.uint8]

_MU_BIAS = 0x84
"""33 (the bias of the 14-bit code) on the 16-bit scale."""
_MU_CLIP = 32_635
"""The largest magnitude that can be coded: 0x7FFF − bias."""


def _mu_decode_table() -> Int16Array:
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = (((code & 0x0F) << 3) + _MU_BIAS << ((code >> 4) & 0x07)) - _MU_BIAS
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _a_decode_table() -> Int16Array:
    code = np.arange(256, dtype=np.int32) ^ 0x55
    mantissa, segment = (code & 0x0F) << 4, (code >> 4) & 0x07
    magnitude = np.where(segment == 0, mantissa + 8, (mantissa + 0x108) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _segment(magnitude: NDArray[np.int32]) -> NDArray[np.int32]:
    """Number of the segment, 0–7: the position of the leading bit above bit 7."""
    segment = np.zeros_like(magnitude)
    for bit in range(8, 15):
        segment[magnitude >= (1 << bit)] = bit - 7
    return segment


def _mu_encode_table() -> UInt8Array:
    sample = np.arange(-32_768, 32_768, dtype=np.int32)
    magnitude = np.minimum(np.abs(sample), _MU_CLIP) + _MU_BIAS
    segment = _segment(magnitude)
    code = (segment << 4) | ((magnitude >> (segment + 3)) & 0x0F)
    return (~(code | np.where(sample < 0, 0x80, 0)) & 0xFF).astype(np.uint8)


def _a_encode_table() -> UInt8Array:
    sample = np.arange(-32_768, 32_768, dtype=np.int32)
    # 13-bit two's complement halves its range at −1, not at 0: ~x mirrors the negative half.
    magnitude = np.where(sample < 0, ~sample, sample)
    segment = _segment(magnitude)
    code = (segment << 4) | ((magnitude >> np.where(segment == 0, 4, segment + 3)) & 0x0F)
    return ((code | np.where(sample < 0, 0, 0x80)) ^ 0x55).astype(np.uint8)


_DECODE: dict[str, Int16Array] = {"pcmu": _mu_decode_table(), "pcma": _a_decode_table()}
_ENCODE: dict[str, UInt8Array] = {"pcmu": _mu_encode_table(), "pcma": _a_encode_table()}

SILENCE: dict[Encoding, bytes] = {"pcm_s16le": b"\x00\x00", "pcmu": b"\xff", "pcma": b"\xd5"}
"""One sample of silence on the wire (A-law has no zero: its quietest code is +8)."""


def decode(payload: bytes, encoding: Encoding) -> Int16Array:
    """Wire bytes of one leg → s16 samples. ``pcm_s16le`` passes through; an odd last byte is an error of the caller (ValueError)."""
    if encoding == "pcm_s16le":
        return np.frombuffer(payload, dtype="<i2").astype(np.int16, copy=False)
    return _DECODE[encoding][np.frombuffer(payload, dtype=np.uint8)]


def encode(samples: Int16Array, encoding: Encoding) -> bytes:
    """s16 samples → wire bytes of one leg."""
    if encoding == "pcm_s16le":
        return samples.astype("<i2", copy=False).tobytes()
    return _ENCODE[encoding][samples.astype(np.int32) + 32_768].tobytes()
