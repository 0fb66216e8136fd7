"""G.711 against ITU-T's rules written out one sample at a time, and against well-known codes."""

from __future__ import annotations

import numpy as np
import pytest

from streaming.telephony import g711


def itu_mu_decode(code: int) -> int:
    """ITU-T G.711 table 2: magnitude = (2m + 33)·2^e − 33 on 14 bits; bits are inverted on the wire. ×4 for 16 bits."""
    code ^= 0xFF
    sign, exponent, mantissa = code >> 7, (code >> 4) & 7, code & 15
    magnitude = ((2 * mantissa + 33) << exponent) - 33
    return (-magnitude if sign else magnitude) * 4


def itu_a_decode(code: int) -> int:
    """ITU-T G.711 table 1: even bits inverted; 13 bits. ×8 for 16 bits (half-step at 4 on the 12-bit magnitude ×16)."""
    code ^= 0x55
    sign, exponent, mantissa = code >> 7, (code >> 4) & 7, code & 15
    magnitude = 2 * mantissa + 1 if exponent == 0 else (2 * mantissa + 33) << (exponent - 1)
    return (magnitude if sign else -magnitude) * 8


@pytest.mark.parametrize(("encoding", "formula"), [("pcmu", itu_mu_decode), ("pcma", itu_a_decode)])
def test_every_code_decodes_as_the_itu_formula_says(encoding, formula):
    decoded = g711.decode(bytes(range(256)), encoding)
    assert decoded.dtype == np.int16
    assert decoded.tolist() == [formula(code) for code in range(256)]


@pytest.mark.parametrize(
    ("encoding", "code", "sample"),
    [
        ("pcmu", 0x00, -32124),
        ("pcmu", 0x80, 32124),
        ("pcmu", 0xFF, 0),
        ("pcmu", 0x7F, 0),
        ("pcmu", 0xFE, 8),
        ("pcma", 0xD5, 8),
        ("pcma", 0x55, -8),
        ("pcma", 0x2A, -32256),
        ("pcma", 0xAA, 32256),
        ("pcma", 0x80, 5504),
    ],
)
def test_well_known_codes(encoding, code, sample):
    assert g711.decode(bytes([code]), encoding).tolist() == [sample]


@pytest.mark.parametrize("encoding", ["pcmu", "pcma"])
def test_encoding_errs_by_half_a_step_of_its_segment(encoding):
    samples = np.arange(-32768, 32768, dtype=np.int16)
    codes = np.frombuffer(g711.encode(samples, encoding), np.uint8)
    ours = g711.decode(codes.tobytes(), encoding).astype(np.int32)
    if encoding == "pcmu":
        step = 8 << ((~codes >> 4) & 7).astype(np.int32)  # 2 on the 14-bit scale in the first segment, then doubling
        heard = np.clip(samples.astype(np.int32), -32635, 32635)
    else:
        segment = (((codes ^ 0x55) >> 4) & 7).astype(np.int32)
        step = 16 << np.maximum(segment - 1, 0)
        heard = samples.astype(np.int32)
    assert (abs(heard - ours) <= step // 2).all()
    assert (np.diff(ours) >= 0).all()


@pytest.mark.parametrize("encoding", ["pcmu", "pcma"])
def test_codes_survive_a_round_trip(encoding):
    codes = bytes(range(256))
    back = g711.encode(g711.decode(codes, encoding), encoding)
    # μ-law has two zeros; the negative one comes back as the positive one.
    expected = codes.replace(b"\x7f", b"\xff") if encoding == "pcmu" else codes
    assert back == expected


def test_linear_passes_through_little_endian():
    assert g711.decode(b"\x01\x00\xff\x7f\x00\x80", "pcm_s16le").tolist() == [1, 32767, -32768]
    assert g711.encode(np.array([1, -2], np.int16), "pcm_s16le") == b"\x01\x00\xfe\xff"


def test_silence_is_quiet():
    for encoding, sample in g711.SILENCE.items():
        assert abs(int(g711.decode(sample, encoding)[0])) <= 8
