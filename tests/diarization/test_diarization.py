"""Diarization on a real recording with two speakers and a human reference. Runs in its own environment: make test-diarization."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

pytestmark = [pytest.mark.diarization, pytest.mark.slow]
pytest.importorskip("pyannote.audio", reason="the extra is not installed here; run: make test-diarization")
SPEECH = Path(os.environ.get("PANGTING_SPEECH_DATA", Path(__file__).resolve().parents[3] / "shared" / "data" / "speech")) / "multi"
MOST_DER = 0.10
MOST_DER_WITH_COLLAR = 0.05


@pytest.fixture(scope="module")
def spans():
    import soundfile

    from postcall.diarize.pyannote_engine import PyannoteDiarizer

    if not (SPEECH / "pyannote_sample.wav").exists():
        pytest.skip("the speech data are not here; set PANGTING_SPEECH_DATA")
    samples, rate = soundfile.read(SPEECH / "pyannote_sample.wav", dtype="float32")
    assert rate == 16_000
    diarizer = PyannoteDiarizer()

    def refuse(*_arguments: object, **_named: object) -> object:
        raise AssertionError("diarization opened a connection")

    original, socket.socket.connect = socket.socket.connect, refuse
    try:
        return diarizer.spans(samples)
    finally:
        socket.socket.connect = original


def reference():
    from pyannote.core import Annotation, Segment

    annotation = Annotation()
    for number, line in enumerate((SPEECH / "pyannote_sample.rttm").read_text().splitlines()):
        fields = line.split()
        start, length = float(fields[3]), float(fields[4])
        annotation[Segment(start, start + length), number] = fields[7]
    return annotation


def test_the_error_rate_on_the_reference(spans, capsys):
    from pyannote.core import Annotation, Segment
    from pyannote.metrics.diarization import DiarizationErrorRate

    from postcall.diarize.speakers import overlap_ms

    found = Annotation()
    for number, span in enumerate(spans):
        found[Segment(span.start_ms / 1000, span.end_ms / 1000), number] = span.speaker
    whole = DiarizationErrorRate()(reference(), found, detailed=True)
    collar = DiarizationErrorRate(collar=0.5)(reference(), found)
    alone = DiarizationErrorRate(skip_overlap=True)(reference(), found)
    with capsys.disabled():
        shares = {name: round(whole[name] / whole["total"], 4) for name in ("confusion", "missed detection", "false alarm")}
        print(f"\nDER {whole['diarization error rate']:.4f} {shares}; collar ±250 ms {collar:.4f}; without overlaps {alone:.4f}")
        print(f"overlap found: {overlap_ms(spans)} ms")
    assert whole["diarization error rate"] <= MOST_DER
    assert collar <= MOST_DER_WITH_COLLAR
    assert len({span.speaker for span in spans}) == 2
