"""A call whose process died: the rest of it is found in the recording, once, with the tokens it had; then it ends and is worked up."""

from __future__ import annotations

import numpy as np
import pytest

from copilot.assembly.interrupted import InterruptedCalls
from copilot.domain.audio import LegFormat, MediaFrame
from copilot.domain.errors import Conflict, EngineError
from copilot.domain.events import CallEnded, CallStarted, Degraded, UtteranceFinal
from copilot.domain.transcript import TranscriptFinal
from copilot.privacy.masker import Masker
from copilot.store.media import open_media
from streaming.batch import transcribe_rest
from streaming.recording.recorder import Recorder, RecorderConfig
from tests.fakes.stores import AT, CALL, ORG, make_store, sqlite_url
from tests.fakes.tone_speech import ToneVad, recognise, silence, tone

pytestmark = pytest.mark.anyio

LEGS = tuple(LegFormat(channel=channel, encoding="pcm_s16le", sample_rate_hz=16_000) for channel in ("customer", "agent"))
SAID = tone("甲乙丙丁") + silence(1200) + tone("戊己庚辛") + silence(1200) + tone("子丑寅")


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Vad:
    def stream(self):
        return ToneVad()


class Engine:
    model_id = "tone"

    def __init__(self):
        self.failures = []

    def recognize(self, requests):
        if self.failures:
            raise self.failures.pop(0)
        return [recognise(request) for request in requests]


def transcribing(engine):
    return lambda frames, leg, language, after: transcribe_rest(frames, leg, engine, Vad(), language, after=after)


def final(number, text, start_ms, end_ms, channel="customer"):
    return UtteranceFinal(
        utterance_id=f"{channel}-{number}",
        channel=channel,
        start_ms=start_ms,
        end_ms=end_ms,
        language="zh",
        confidence=0.9,
        text=text,
    )


class Node:
    """What one life of a server has open. ``die`` leaves everything as a killed process would."""

    def __init__(self, tmp_path):
        self.media = open_media(str(tmp_path / "media"))
        self.store = make_store(sqlite_url(tmp_path), tmp_path)
        self.recorder = Recorder(RecorderConfig(spool_dir=tmp_path / "spool"), self.media)
        self.calls = InterruptedCalls(self.store, self.media, "node", Masker)
        self.engine = Engine()

    async def start(self):
        await self.recorder.start()
        await self.recorder.recover(self.store.call_cipher)
        return await self.calls.take()

    async def close(self):
        await self.calls.close(transcribing(self.engine))

    def die(self):
        self.recorder._lock.release()

    def events(self):
        return [item.event for item in self.store.calls.events(ORG, CALL)]


async def a_call_and_a_crash(tmp_path):
    """The first four characters of the customer have a final; then the process dies 100 ms into a silence after the last word."""
    node = Node(tmp_path)
    await node.start()
    opened = await node.store.journal.open(ORG, CALL, "node")
    start = CallStarted(external_id="x", protocol="raw", legs=LEGS, language="zh", started_at=AT)
    await node.store.journal.append(ORG, opened, [start, final(1, "甲乙丙丁", 0, 800)])
    await node.store.journal.put_secrets(ORG, CALL, {"【手机号#1】": "13900002222"}, epoch=opened.epoch)
    recording = node.recorder.open(ORG, CALL, LEGS, node.store.call_cipher(ORG, CALL))
    for leg, audio in (("customer", SAID + silence(100)), ("agent", silence(1000) + tone("月星风"))):
        for position in range(0, len(audio), 640):
            await recording.write(MediaFrame(channel=leg, start_sample=position // 2, payload=audio[position : position + 640]))
    await recording.flush()
    node.die()
    return node, opened


async def test_what_nobody_had_heard_is_transcribed_once_and_the_call_ends(tmp_path):
    dead, opened = await a_call_and_a_crash(tmp_path)
    node = Node(tmp_path)
    assert await node.start() == 1
    with pytest.raises(Conflict):
        await dead.store.journal.append(ORG, opened, [final(9, "迟", 5000, 5100)])
    with pytest.raises(Conflict):
        await dead.store.journal.put_secrets(ORG, CALL, {"【手机号#1】": "1"}, epoch=opened.epoch)
    await node.close()
    _, first, *found, ended = node.events()
    assert (first.text, first.source) == ("甲乙丙丁", "live")
    assert [(item.utterance_id, item.text, item.source) for item in found] == [
        ("agent-1", "月星风", "recording"),
        ("customer-2", "戊己庚辛", "recording"),
        ("customer-3", "子丑寅", "recording"),
    ]
    assert [abs(item.start_ms - at) <= 40 for item, at in zip(found, (1000, 2000, 4000), strict=True)] == [True] * 3
    assert ended == CallEnded(reason="interrupted", duration_ms=len(SAID) // 32 + 100)
    assert sorted(job.kind for job in node.store.outbox.open_jobs()) == ["keywords", "mood", "qa", "recording", "summary", "ticket"]
    assert len({job.job_id for job in node.store.outbox.open_jobs()}) == 6
    node.die()
    third = Node(tmp_path)
    assert await third.start() == 0, "done is done"
    assert len(third.store.outbox.open_jobs()) == 6


async def test_a_crash_in_between_doubles_nothing(tmp_path):
    await a_call_and_a_crash(tmp_path)
    second = Node(tmp_path)
    await second.start()  # took the call, and died before it was done
    second.die()
    third = Node(tmp_path)
    assert await third.start() == 1
    await third.close()
    await second.close()  # it was not dead after all
    assert [event.text for event in third.events() if isinstance(event, UtteranceFinal)] == ["甲乙丙丁", "月星风", "戊己庚辛", "子丑寅"]
    assert sum(isinstance(event, CallEnded) for event in third.events()) == 1
    assert len(third.store.outbox.open_jobs()) == 6


async def test_an_engine_that_fails_costs_the_words_and_not_the_end(tmp_path):
    await a_call_and_a_crash(tmp_path)
    node = Node(tmp_path)
    await node.start()
    node.engine.failures = [EngineError("out of memory", retryable=False)]
    await node.close()
    assert [type(event) for event in node.events()[2:]] == [Degraded, CallEnded]
    assert len(node.store.outbox.open_jobs()) == 6


def test_a_masker_goes_on_with_the_tokens_of_another():
    first = Masker("zh")
    one = first.mask("我的手机号是13900002222").text
    vault = first.take_secrets()
    second = Masker("zh")
    second.resume(vault, [("agent", "请报一下您的卡号")])
    assert second.mask("就是13900002222").text.endswith(one[-len("【手机号#1】") :])
    assert second.take_secrets() == {}
    assert "【手机号#2】" in second.mask("还有一个手机号13911112222").text
    answer = TranscriptFinal(
        channel="customer", utterance_id="customer-1", start_ms=0, end_ms=900, text="六二二二零二", language="zh", confidence=0.9
    )
    assert second.final(answer)[0].text == "【卡号#1】", "what the agent asked for is still waited for"


def test_what_is_left_of_a_leg_keeps_the_clock_of_the_call():
    leg = LegFormat(channel="agent", encoding="pcm_s16le", sample_rate_hz=8_000)
    audio = np.frombuffer(silence(400) + tone("甲乙丙"), "<i2")[::2]
    frame = MediaFrame(channel="agent", start_sample=80_000, payload=audio.astype("<i2").tobytes())
    (found,) = transcribe_rest([frame], leg, Engine(), Vad(), after=4)
    assert found.utterance_id == "agent-5"
    assert abs(found.start_ms - 10_400) <= 60
