"""The compact vocabulary on the real model: the same Mandarin, faster, and English as before."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from copilot.domain.transcript import RecognizeRequest
from streaming.asr.whisper import WhisperRecognizer

pytestmark = pytest.mark.models

CLIPS = Path(__file__).parents[1] / "data" / "clips"


def requests(**fields):
    for line in (CLIPS / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
        clip = json.loads(line)
        samples, rate = soundfile.read(CLIPS / clip["file"], dtype="float32")
        pcm = np.clip(np.rint(soxr.resample(samples, rate, 16_000) * 32768), -32768, 32767).astype("<i2").tobytes()
        yield RecognizeRequest(
            request_id=clip["file"], call_id="c", channel="customer", lane="final", pcm16=pcm, language="zh", beam_size=5, **fields
        )


def test_the_same_text_as_with_the_whole_vocabulary(recognizer, whisper_directory):
    whole = WhisperRecognizer(whisper_directory, device="cpu", threads=2)
    asked = list(requests(word_times=True))
    theirs, ours = whole.recognize(asked), recognizer.recognize(asked)
    assert len(ours) >= 8
    assert [one.text for one in ours] == [one.text for one in theirs]
    for mine, other in zip(ours, theirs, strict=True):
        assert [(word.text, word.start_ms) for word in mine.words] == [(word.text, word.start_ms) for word in other.words]
        assert abs(mine.avg_logprob - other.avg_logprob) < 0.1


def test_hotwords_with_cut_tokens_do_no_harm(recognizer):
    (first, *_) = requests(hotwords=("Сбербанк", "안녕", "antidisestablishmentarianism", "信用卡"))
    assert recognizer.recognize([first])[0].text


def test_english_is_heard_with_the_whole_vocabulary(recognizer):
    (first, *_) = requests()
    english = recognizer.recognize([RecognizeRequest(**{name: getattr(first, name) for name in first.__slots__} | {"language": "en"})])[0]
    assert english.language == "en"
    assert not any("\u4e00" <= character <= "\u9fff" for character in english.text)
