"""The recogniser contract, on every engine: scripted, SenseVoice and Paraformer through the real sherpa-onnx, Whisper through CTranslate2.

The sherpa models are built here (tests/fakes/tiny_sherpa.py) and know eight pitches; a real one runs too with
PANGTING_TEST_SHERPA_MODEL=DIR. The cuda engines run with ``make test-gpu``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import soundfile
import soxr

from copilot.domain.errors import EngineError, NotFound
from copilot.domain.ports.asr import RecognitionEngine
from copilot.domain.transcript import Hypothesis, Lead, RecognizeRequest
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.tone_speech import story, tone

CLIPS = Path(__file__).parents[1] / "data" / "clips"


@dataclass(frozen=True)
class Subject:
    """An engine and speech that it understands. ``exact``: a batch gives bit for bit what single windows give."""

    engine: RecognitionEngine
    speech: tuple[bytes, ...]
    exact: bool = True


def clip(name: str, most_ms: int = 30_000) -> bytes:
    samples, rate = soundfile.read(CLIPS / name, dtype="float32", always_2d=True)
    audio = soxr.resample(samples[:, 0], rate, 16_000)
    return np.clip(np.rint(audio * 32768), -32768, 32767).astype("<i2").tobytes()[: most_ms * 32]


def whisper(device: str) -> Subject:
    from copilot.modelhub.hub import ModelHub
    from copilot.settings import Settings
    from streaming.asr.whisper import WhisperRecognizer

    hub = ModelHub(Settings().models_dir)
    if given := os.environ.get("PANGTING_TEST_WHISPER"):
        directory = Path(given)
    else:
        try:
            directory = hub.path("whisper-base")
        except NotFound:
            directory = hub.pull("whisper-base")
    speech = (clip("zh-identity.flac"), clip("zh-dispute.flac"), clip("zh-fraud.flac"))
    return Subject(WhisperRecognizer(directory, device=device, threads=2), speech, exact=False)


def sense_voice(root: Path) -> Subject:
    from streaming.asr.sherpa import SherpaRecognizer
    from tests.fakes import tiny_sherpa

    speech = (["信", "用", "卡"], ["信", "信", "後", "▁loan", "▁card"], ["挂", "失", "信", "用", "卡", "後"])
    engine = SherpaRecognizer(tiny_sherpa.sense_voice(root / "sense-voice"), "cpu", 3)
    return Subject(engine, tuple(tiny_sherpa.sung(text) for text in speech))


def paraformer(root: Path) -> Subject:
    from streaming.asr.sherpa import SherpaRecognizer
    from tests.fakes import tiny_sherpa

    speech = (["信", "用", "卡"], ["信", "後", "▁loan", "▁card"], ["挂", "失", "信", "用", "卡"])
    engine = SherpaRecognizer(tiny_sherpa.paraformer(root / "paraformer"), "cpu", 3)
    return Subject(engine, tuple(tiny_sherpa.sung(text) for text in speech))


def operators_sherpa(device: str) -> Subject:
    from streaming.asr.sherpa import SherpaRecognizer

    speech = (clip("zh-identity.flac"), clip("zh-dispute.flac"), clip("zh-fraud.flac"))
    return Subject(SherpaRecognizer(Path(os.environ["PANGTING_TEST_SHERPA_MODEL"]), device, 2), speech, exact=device == "cpu")


ENGINES = [
    "scripted",
    "sense_voice",
    "paraformer",
    pytest.param("whisper", marks=pytest.mark.models),
    pytest.param("whisper-cuda", marks=pytest.mark.gpu),
]
if os.environ.get("PANGTING_TEST_SHERPA_MODEL"):  # a real model is the operator's to bring: none can be had from a package registry
    ENGINES += [pytest.param("sherpa-model", marks=pytest.mark.models)]


@pytest.fixture(scope="module", params=ENGINES)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    match request.param:
        case "scripted":
            yield Subject(ScriptedEngine(), tuple(tone(story(count)) for count in (4, 9, 17)))
        case "sense_voice":
            yield sense_voice(tmp_path_factory.mktemp("sherpa"))
        case "paraformer":
            yield paraformer(tmp_path_factory.mktemp("sherpa"))
        case "whisper":
            yield whisper("cpu")
        case "whisper-cuda":
            yield whisper("cuda")
        case "sherpa-model":
            yield operators_sherpa("cpu")


def ask(pcm16: bytes, number: int = 0, **changes: object) -> RecognizeRequest:
    request = RecognizeRequest(
        request_id=f"r{number}", call_id=f"c{number}", channel="customer", lane="final", pcm16=pcm16, language="zh", word_times=True
    )
    return replace(request, **changes)  # type: ignore[arg-type]


def same(one: Hypothesis, other: Hypothesis, exact: bool) -> None:
    assert one.text == other.text
    assert one.rejected == other.rejected
    assert one.language == other.language
    assert [word.text for word in one.words] == [word.text for word in other.words]
    if exact:
        assert one == other
        return
    if one.rejected:
        return  # what a decoder makes of nothing goes on to the limit of the longest window in the batch
    # Sums are taken in another order: scores move in the last places, a word's edge by a frame.
    assert one.avg_logprob == pytest.approx(other.avg_logprob, abs=0.02)
    for mine, theirs in zip(one.words, other.words, strict=True):
        assert mine.start_ms == pytest.approx(theirs.start_ms, abs=60)
        assert mine.confidence == pytest.approx(theirs.confidence, abs=0.05)


def test_it_is_whole(subject: Subject):
    engine: RecognitionEngine = subject.engine
    assert callable(engine.recognize)
    assert callable(engine.batch_key)
    assert subject.engine.workers >= 1
    assert subject.engine.max_batch >= 1
    subject.engine.warm_up()


def test_the_model_id_is_a_name_that_stays(subject: Subject):
    before = subject.engine.model_id
    assert before.strip()
    subject.engine.recognize([ask(subject.speech[0])])
    assert subject.engine.model_id == before


def test_it_understands_its_speech(subject: Subject):
    texts = [subject.engine.recognize([ask(pcm16)])[0].text for pcm16 in subject.speech]
    assert all(texts)
    assert len(set(texts)) == len(texts)


def test_one_answer_for_each_request_in_order(subject: Subject):
    alone = [subject.engine.recognize([ask(pcm16)])[0] for pcm16 in subject.speech]
    order = [2, 0, 1, 0, 2]
    together = subject.engine.recognize([ask(subject.speech[index], number) for number, index in enumerate(order)])
    assert [hypothesis.text for hypothesis in together] == [alone[index].text for index in order]
    assert subject.engine.recognize([]) == []


def test_a_mixed_batch_gives_what_each_request_gives_alone(subject: Subject):
    requests = [
        ask(subject.speech[0], 1),
        ask(subject.speech[1], 2, lane="partial", word_times=False),
        ask(subject.speech[2], 3, language="en", beam_size=2),
        ask(b"", 4),
        ask(subject.speech[0], 5, previous_text="您好", hotwords=("信用卡", "挂失")),
    ]
    for request, hypothesis in zip(requests, subject.engine.recognize(requests), strict=True):
        same(subject.engine.recognize([request])[0], hypothesis, subject.exact)


def test_equal_keys_are_decoded_together_and_to_the_same(subject: Subject):
    base = min(len(pcm16) for pcm16 in subject.speech) // 2 * 2
    requests = [ask(pcm16[:base], number) for number, pcm16 in enumerate(subject.speech)]
    groups: dict[object, list[RecognizeRequest]] = {}
    for request in requests:
        assert subject.engine.batch_key(request) == subject.engine.batch_key(request)
        groups.setdefault(subject.engine.batch_key(request), []).append(request)
    if subject.engine.max_batch > 1:
        assert len(groups) == 1
    for group in groups.values():
        for request, hypothesis in zip(group, subject.engine.recognize(group), strict=True):
            same(subject.engine.recognize([request])[0], hypothesis, subject.exact)


@pytest.mark.parametrize("lane", ["final", "partial"])
@pytest.mark.parametrize("ms", [0, 1, 40, 1_000, 9_000, 30_000])
def test_silence_is_never_text(subject: Subject, ms: int, lane: str):
    hypothesis = subject.engine.recognize([ask(bytes(ms * 32), lane=lane)])[0]
    assert hypothesis.text == ""
    assert hypothesis.rejected
    assert hypothesis.words == ()


def test_faint_noise_is_never_text(subject: Subject):
    noise = np.random.default_rng(7).integers(-2, 3, 4 * 16_000, dtype=np.int16)
    if isinstance(subject.engine, ScriptedEngine):
        noise = np.zeros_like(noise)  # its speech is made of levels
    hypothesis = subject.engine.recognize([ask(noise.astype("<i2").tobytes())])[0]
    assert hypothesis.text == ""
    assert hypothesis.rejected


def test_word_times_are_in_order_and_within_the_audio(subject: Subject):
    for pcm16 in subject.speech:
        hypothesis = subject.engine.recognize([ask(pcm16)])[0]
        assert hypothesis.words
        for word in hypothesis.words:
            assert 0 <= word.start_ms <= word.end_ms <= len(pcm16) // 32
        for before, after in pairwise(hypothesis.words):
            assert before.start_ms <= after.start_ms
            assert before.end_ms <= after.end_ms


def test_words_joined_are_the_text(subject: Subject):
    for language, separator in (("zh", ""), ("en", " ")):
        for pcm16 in subject.speech:
            hypothesis = subject.engine.recognize([ask(pcm16, language=language)])[0]
            assert separator.join(word.text for word in hypothesis.words) == hypothesis.text


def test_words_only_when_asked_for(subject: Subject):
    assert subject.engine.recognize([ask(subject.speech[1], word_times=False)])[0].words == ()


def test_confidences_are_probabilities(subject: Subject):
    for pcm16 in subject.speech:
        hypothesis = subject.engine.recognize([ask(pcm16)])[0]
        assert hypothesis.avg_logprob <= 0
        assert 0 <= hypothesis.no_speech_prob <= 1
        assert all(0 <= word.confidence <= 1 for word in hypothesis.words)


def test_chinese_is_simplified(subject: Subject):
    from opencc import OpenCC

    simplify = OpenCC("t2s").convert
    for pcm16 in subject.speech:
        for lane in ("final", "partial"):
            hypothesis = subject.engine.recognize([ask(pcm16, lane=lane)])[0]
            assert hypothesis.text == simplify(hypothesis.text)


def test_the_language_is_the_one_asked_for(subject: Subject):
    answers = subject.engine.recognize([ask(subject.speech[0], language=language) for language in ("zh", "en", "zh-CN", "en-US")])
    assert [answer.language for answer in answers] == ["zh", "en", "zh", "en"]


@pytest.mark.parametrize(("pcm16", "said"), [(bytes(32_001), "32001 bytes"), (bytes(32 * 30_001), "30000 ms")])
def test_unusable_audio_is_refused_with_a_clear_error(subject: Subject, pcm16: bytes, said: str):
    for attempt in (subject.engine.batch_key, lambda request: subject.engine.recognize([request])):
        with pytest.raises(EngineError, match=said) as caught:
            attempt(ask(pcm16))
        assert not caught.value.retryable
    assert subject.engine.recognize([ask(subject.speech[0])])[0].text, "the engine goes on"


def test_as_many_threads_as_it_allows_get_what_one_gets(subject: Subject):
    alone = [subject.engine.recognize([ask(pcm16)])[0] for pcm16 in subject.speech]
    threads = subject.engine.workers
    barrier = Barrier(threads)

    def work(number: int) -> list[Hypothesis]:
        barrier.wait(60)
        return [
            subject.engine.recognize([ask(subject.speech[(number + step) % len(subject.speech)])])[0] for step in range(len(subject.speech))
        ]

    with ThreadPoolExecutor(threads) as pool:
        for number, answers in enumerate(pool.map(work, range(threads))):
            for step, answer in enumerate(answers):
                same(alone[(number + step) % len(subject.speech)], answer, subject.exact)


def test_nothing_of_a_lead_comes_out(subject: Subject):
    """Earlier speech may help an engine to hear; the answer is of the window alone, with its times, whatever stood before it."""
    before, speech = subject.speech[1], subject.speech[0]
    (said,) = subject.engine.recognize([ask(before)])
    (alone,) = subject.engine.recognize([ask(speech)])
    (led,) = subject.engine.recognize([ask(speech, leads=(Lead(pcm16=before, text=said.text),))])
    assert led.text
    assert len(led.text) <= len(alone.text) + 2
    assert said.text not in led.text
    assert SequenceMatcher(None, led.text, alone.text).ratio() >= 0.6
    assert all(0 <= word.start_ms <= word.end_ms <= len(speech) // 32 for word in led.words)
