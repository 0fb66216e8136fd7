"""A real SenseVoice or Paraformer against whisper-base on the same real clips: for the operator who has one (PANGTING_TEST_SHERPA_MODEL).

None can be had from a package registry, so without that directory there is nothing to collect here; tests/contracts/test_recognizer.py
tries the adapter on models that it builds.
"""

import os
from pathlib import Path

import pytest

from loadtest.scoring import cer
from tests.models.test_streaming_real import SPEECH, error_rate, manifest

pytestmark = [pytest.mark.anyio, pytest.mark.models]

if os.environ.get("PANGTING_TEST_SHERPA_MODEL"):

    async def test_its_error_rate_beside_whispers(recognizer, vad):
        from streaming.asr.sherpa import SherpaRecognizer

        rows = [row for row in manifest(SPEECH) if row["lang"] == "zh" and row["text"] and row["seconds"] < 20]
        theirs = SherpaRecognizer(Path(os.environ["PANGTING_TEST_SHERPA_MODEL"]), "cpu", 2)
        rate = await error_rate(theirs, vad, rows, SPEECH, cer)
        base = await error_rate(recognizer, vad, rows, SPEECH, cer)
        print(f"{theirs.model_id}: error rate {rate:.3f}; whisper-base {base:.3f} on the same {len(rows)} clips")
        assert rate < base
