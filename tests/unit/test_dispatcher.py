import asyncio
import threading
from dataclasses import replace

import pytest

from copilot.domain.errors import EngineError, Overloaded
from copilot.domain.transcript import RecognizeRequest
from streaming.asr.dispatcher import Dispatcher
from streaming.asr.schedule import ScheduleConfig
from tests.fakes.tone_speech import ToneRecognizer, recognise, tone

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


def request(number=0, lane="final", call=None, text="春夏秋"):
    return RecognizeRequest(
        request_id=str(number), call_id=call or f"c{number}", channel="customer", lane=lane, pcm16=tone(text), language="zh"
    )


class Gate(ToneRecognizer):
    """Decodes only when the test lets it."""

    def __init__(self):
        super().__init__()
        self.open = threading.Event()
        self.entered = threading.Semaphore(0)

    def recognize(self, requests):
        self.entered.release()
        assert self.open.wait(30)
        return super().recognize(requests)

    async def wait_entered(self):
        await asyncio.to_thread(self.entered.acquire)


class Faulty(ToneRecognizer):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def recognize(self, requests):
        if any(r.request_id == "666" for r in requests):
            raise self.error
        return super().recognize(requests)


class Running:
    def __init__(self, *recognizers, **kwargs):
        self.dispatcher = Dispatcher(recognizers, **kwargs)

    async def __aenter__(self):
        await self.dispatcher.start()
        return self.dispatcher

    async def __aexit__(self, *_):
        await self.dispatcher.stop()


async def test_many_callers_get_their_own_answers():
    texts = ["春夏", "秋冬", "东南西", "北金木水"] * 10
    async with Running(ToneRecognizer(), ToneRecognizer()) as dispatcher:
        answers = await asyncio.gather(*(dispatcher.transcribe(request(i, text=text)) for i, text in enumerate(texts)))
        assert [answer.text for answer in answers] == texts
        stats = dispatcher.stats()
    assert stats.finals == 40
    assert stats.audio_s == pytest.approx(sum(len(t) * 0.2 for t in texts))
    assert stats.batches <= 40


async def test_what_waits_is_batched_and_answers_say_how_it_went():
    gate, seen = Gate(), []
    async with Running(gate, config=ScheduleConfig(max_batch=3), on_batch=seen.append) as dispatcher:
        tasks = [asyncio.create_task(dispatcher.transcribe(request(0)))]
        await gate.wait_entered()
        tasks += [asyncio.create_task(dispatcher.transcribe(request(i))) for i in range(1, 5)]
        await asyncio.sleep(0)
        assert dispatcher.stats().waiting_finals == 4
        gate.open.set()
        answers = await asyncio.gather(*tasks)
    assert [answer.batch_size for answer in answers] == [1, 3, 3, 3, 1]
    assert all(answer.decode_ms >= 0 and answer.queue_ms >= 0 for answer in answers)
    assert sum(batch.size for batch in seen) == 5


async def test_a_newer_partial_supersedes_and_a_final_drops_the_waiting_one():
    gate = Gate()
    async with Running(gate) as dispatcher:
        blocker = asyncio.create_task(dispatcher.transcribe(request(0)))
        await gate.wait_entered()
        old = asyncio.create_task(dispatcher.transcribe(request(1, "partial", call="x")))
        await asyncio.sleep(0)
        new = asyncio.create_task(dispatcher.transcribe(request(2, "partial", call="x")))
        assert await old is None
        final = asyncio.create_task(dispatcher.transcribe(request(3, call="x")))
        assert await new is None
        gate.open.set()
        assert (await final).text == "春夏秋"
        assert (await blocker).text == "春夏秋"
        assert dispatcher.stats().dropped_partials == 2


@pytest.mark.parametrize(("error", "retryable"), [(ValueError("boom"), True), (EngineError("broken model"), False)])
async def test_a_failing_batch_fails_alone(error, retryable):
    async with Running(Faulty(error), config=ScheduleConfig(max_batch=1)) as dispatcher:
        good, bad, partial = await asyncio.gather(
            dispatcher.transcribe(request(1)),
            dispatcher.transcribe(request(666)),
            dispatcher.transcribe(request(666, "partial", call="p")),
            return_exceptions=True,
        )
        assert good.text == "春夏秋"
        assert isinstance(bad, EngineError)
        assert bad.retryable is retryable
        assert partial is None
        assert (await dispatcher.transcribe(request(2))).text == "春夏秋"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_decoder_thread_that_dies_is_replaced_and_its_window_fails_retryable():
    async with Running(Faulty(SystemExit()), watch_every_s=3600) as dispatcher:
        lost = asyncio.create_task(dispatcher.transcribe(request(666)))
        await asyncio.sleep(0)
        (decoder,) = dispatcher._decoders
        await asyncio.to_thread(decoder.thread.join, 20)
        assert dispatcher.check_decoders() == 1
        with pytest.raises(EngineError) as caught:
            await lost
        assert caught.value.retryable
        assert (await dispatcher.transcribe(request(1))).text == "春夏秋"
        assert dispatcher.stats().restarted_decoders == 1


async def test_a_decoder_that_hangs_is_given_up_on():
    now = 0.0
    gate = Gate()
    async with Running(gate, clock_ms=lambda: now, watch_every_s=3600) as dispatcher:
        lost = asyncio.create_task(dispatcher.transcribe(request(1)))
        await gate.wait_entered()
        assert dispatcher.check_decoders() == 0
        now = 31_000.0
        assert dispatcher.check_decoders() == 1
        with pytest.raises(EngineError, match="replaced"):
            await lost
        gate.open.set()
        assert (await dispatcher.transcribe(request(2))).text == "春夏秋"


async def test_a_cancelled_caller_saves_the_decode():
    gate = Gate()
    async with Running(gate, config=ScheduleConfig(max_batch=1)) as dispatcher:
        first = asyncio.create_task(dispatcher.transcribe(request(0)))
        await gate.wait_entered()
        unwanted = asyncio.create_task(dispatcher.transcribe(request(1)))
        await asyncio.sleep(0)
        unwanted.cancel()
        with pytest.raises(asyncio.CancelledError):
            await unwanted
        gate.open.set()
        await first
        assert dispatcher.stats().cancelled == 1
    assert [r.request_id for batch in gate.batches for r in batch] == ["0"]


async def test_finals_that_cannot_be_queued_are_refused_not_forgotten():
    gate = Gate()
    async with Running(gate, max_finals=1) as dispatcher:
        first = asyncio.create_task(dispatcher.transcribe(request(0)))
        await gate.wait_entered()
        second = asyncio.create_task(dispatcher.transcribe(request(1)))
        await asyncio.sleep(0)
        with pytest.raises(EngineError, match="1 finals are waiting"):
            await dispatcher.transcribe(request(2))
        gate.open.set()
        await asyncio.gather(first, second)


async def test_stopping_answers_everybody():
    gate = Gate()
    dispatcher = Dispatcher([gate])
    await dispatcher.start()
    running_now = asyncio.create_task(dispatcher.transcribe(request(0)))
    await gate.wait_entered()
    waiting = asyncio.create_task(dispatcher.transcribe(request(1)))
    partial = asyncio.create_task(dispatcher.transcribe(request(2, "partial")))
    await asyncio.sleep(0)
    stop = asyncio.create_task(dispatcher.stop())
    with pytest.raises(EngineError, match="stopping"):
        await waiting
    assert await partial is None
    gate.open.set()
    assert (await running_now).text == "春夏秋"
    await stop
    with pytest.raises(EngineError, match="not running"):
        await dispatcher.transcribe(request(3))


async def test_admission_refusals_are_counted():
    async with Running(ToneRecognizer(), config=ScheduleConfig(max_channels=2)) as dispatcher:
        dispatcher.admit()
        with pytest.raises(Overloaded):
            dispatcher.admit()
        assert dispatcher.stats().refused_calls == 1


def test_the_fake_engine_hears_what_was_said():
    assert recognise(request(text="东南西北")).text == "东南西北"


async def test_a_confirmed_guess_is_decoded_with_its_later_audio():
    gate = Gate()
    async with Running(gate, config=ScheduleConfig(speculate_until=-1.0)) as dispatcher:
        guess = replace(request(1, text="春夏秋"), speculative=True)
        waiting = asyncio.create_task(dispatcher.transcribe(guess))
        await asyncio.sleep(0)
        gate.open.set()
        dispatcher.confirm(replace(guess, speculative=False, pcm16=tone("春夏秋冬")))
        assert (await waiting).text == "春夏秋冬"
        assert dispatcher.stats().finals == 1


async def test_a_guess_in_hand_is_answered_as_it_was_asked():
    gate = Gate()
    async with Running(gate) as dispatcher:
        guess = replace(request(1, text="春夏秋"), speculative=True)
        waiting = asyncio.create_task(dispatcher.transcribe(guess))
        await gate.wait_entered()
        dispatcher.confirm(replace(guess, speculative=False, pcm16=tone("春夏秋冬")))
        gate.open.set()
        assert (await waiting).text == "春夏秋"


async def test_busy_decoders_are_asked_to_save():
    class Noting(ToneRecognizer):
        def __init__(self):
            super().__init__()
            self.economies = []

        def recognize(self, requests):
            self.economies += [one.economy for one in requests]
            return super().recognize(requests)

    engine = Noting()
    async with Running(engine, config=ScheduleConfig(economy_from=(-1.0, 2.0))) as dispatcher:
        await dispatcher.transcribe(request(1))
        await dispatcher.transcribe(request(2, "partial"))
    assert engine.economies == [1, 0]
