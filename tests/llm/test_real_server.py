"""Live calls with a real model server: it answers, is killed in the middle, freezes, comes back. The approved answer never waits for it.

Only speech is scripted. The model is half a billion parameters on a CPU: what is tested is the machinery around it, not its wit.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from copilot.domain.artifacts import Turn
from copilot.domain.errors import EngineError
from copilot.domain.ids import UtteranceId
from copilot.domain.ports.bus import call_topic
from copilot.llm.client import LlmConfig, OpenAIReplyWriter, open_text_model
from copilot.llm.grounding import unsupported_numbers
from loadtest.local_llm import MODEL_NAME, LocalLlm
from postcall.packs import parse_packs
from postcall.summary import summarise
from postcall.turns import Transcript
from tests.fakes.live_bench import INTEGRATION, ORG, START, Bench, OneAnswer, final

pytestmark = [pytest.mark.anyio, pytest.mark.llm]
BANK = Path(__file__).parents[2] / "kb/samples/bank"
QUESTIONS = ("提前还款要违约金吗", "满一年还收不收违约金", "我想问提前还款收费吗", "提前还款违约金怎么收")


class Still:
    """A clock that only goes when it is put forward, so that nobody waits for the breaker and a slow machine does not outrun it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def live(tmp_path, base_url: str, *, timeout_s: float = 240.0, monotonic=time.monotonic):
    writer = OpenAIReplyWriter(LlmConfig(base_url=base_url, model=MODEL_NAME, timeout_s=timeout_s), monotonic=monotonic)
    bench = Bench(tmp_path, OneAnswer(0.6), writer, reply_timeout_s=timeout_s)
    call = await bench.desk.open_call(START, INTEGRATION)
    try:
        yield bench, call, writer
    finally:
        await call.end("hangup", 60_000)
        await writer.aclose()
        bench.store.close()


async def asked(bench: Bench, call, number: int) -> None:
    """One more question, in a customer turn of its own, and the approved answer for it."""
    text = QUESTIONS[number % len(QUESTIONS)]
    await call.final(final(150 * number, text))
    cards = await bench.until("suggestion_offered", 1, where=lambda event: event.trigger == f"customer-{150 * number}", timeout_s=60)
    assert (cards[0].kind, cards[0].generated, cards[0].text) == ("faq", False, bench.knowledge.hit.article.answer)


async def idle(call) -> None:
    """Until no reply is being written any more, however it ended."""
    async with asyncio.timeout(600):
        while call._replies.running:  # noqa: ASYNC110 the call has no reason to tell anybody
            await asyncio.sleep(0.05)


def generated(bench: Bench):
    return [event for event in bench.events() if event.type == "suggestion_offered" and event.generated]


async def test_a_reply_streams_in_and_cites_the_source_it_rests_on_sentence_by_sentence(tmp_path, llm: LocalLlm):
    async with live(tmp_path, llm.base_url) as (bench, call, _):
        deltas: list[str] = []

        async def hear() -> None:
            async with bench.bus.subscribe(call_topic(ORG, "call-1")) as subscription:
                async for message in subscription:
                    body = json.loads(message.body)
                    if body["type"] == "reply_delta":
                        deltas.append(body["text"])

        hearing = asyncio.create_task(hear())
        for number in range(1, 7):
            deltas.clear()
            await asked(bench, call, number)
            await idle(call)
            if generated(bench):
                break
        hearing.cancel()
        # A small model may be refused; six refusals in a row would mean that nothing ever gets through.
        (reply,) = generated(bench)
        assert (reply.kind, reply.model, reply.options[0].text) == ("reply", MODEL_NAME, bench.knowledge.hit.article.answer)
        assert "".join(deltas) == reply.text
        assert {citation.article_id for citation in reply.citations} == {"prepay"}
        assert "".join(reply.text[s.start : s.end] for s in reply.sentences) == reply.text
        assert any(sentence.citations for sentence in reply.sentences)
        assert not unsupported_numbers(reply.text, [bench.knowledge.hit.article.answer])
        assert {stage.name for stage in reply.stages} >= {"llm_first", "llm"}


async def test_killed_while_it_answers_and_well_again_after_it(tmp_path, llm: LocalLlm):
    clock = Still()
    async with live(tmp_path, llm.base_url, monotonic=clock) as (bench, call, writer):
        await asked(bench, call, 1)
        await asyncio.sleep(1)
        llm.kill()
        await idle(call)
        # Answers come as before while the breaker opens.
        for number in range(2, 8):
            await asked(bench, call, number)
            await idle(call)
            if writer.breaker.state == "open":
                break
        assert writer.breaker.state == "open"
        (down,) = await bench.until("degraded", 1, timeout_s=60)
        assert (down.part, down.state) == ("generation", "down")
        llm.start()
        await asked(bench, call, 8)
        await idle(call)
        assert writer.breaker.state == "open", "left alone for a while, though it is back"
        clock.now += 30
        await asked(bench, call, 9)
        await idle(call)
        assert writer.breaker.state == "closed"
        _, up = await bench.until("degraded", 2, timeout_s=60)
        assert (up.part, up.state) == ("generation", "up")


async def test_frozen_in_the_middle_the_agent_has_the_approved_answer_and_the_call_goes_on(tmp_path, llm: LocalLlm):
    async with live(tmp_path, llm.base_url, timeout_s=3.0) as (bench, call, _):
        llm.freeze()
        for number in (1, 2):
            await asked(bench, call, number)
            await idle(call)
        (degraded,) = await bench.until("degraded", 1, timeout_s=60)
        assert (degraded.part, degraded.state) == ("generation", "down"), "said once"
        llm.thaw()


async def test_a_summary_cites_the_call_or_is_the_extractive_one(llm: LocalLlm):
    said = [
        ("customer", "你好，我想问一下房贷提前还款要不要违约金。"),
        ("agent", "您好，请问您的房贷还了多久？"),
        ("customer", "还了两年多了。"),
        ("agent", "放款满一年提前还款不收违约金，请您提前五个工作日预约。"),
        ("customer", "好的，谢谢。"),
    ]
    turns = tuple(
        Turn(utterance_id=UtteranceId(f"{channel}-{at}"), channel=channel, start_ms=4000 * at, end_ms=4000 * at + 3000, text=text)
        for at, (channel, text) in enumerate(said, start=1)
    )
    packs = parse_packs(*((BANK / f"{name}.yaml").read_text(encoding="utf-8") for name in ("taxonomy", "rubric", "intents")))
    model = open_text_model(LlmConfig(base_url=llm.base_url, model=MODEL_NAME, after_call_timeout_s=600))
    summary = await asyncio.to_thread(summarise, Transcript(language="zh", turns=turns), (), packs, model)
    assert summary.model == MODEL_NAME
    known = {turn.utterance_id: turn.text for turn in turns}
    for statement in (*summary.problems, *summary.actions, *summary.commitments, *summary.follow_ups):
        assert statement.utterance_ids
        assert not unsupported_numbers(statement.text, [known[name] for name in statement.utterance_ids])


async def test_a_text_model_that_was_killed_is_an_error_of_ours_and_answers_again_later(llm: LocalLlm):
    schema = {"type": "object", "properties": {"overall": {"type": "string", "maxLength": 60}}, "required": ["overall"]}
    model = open_text_model(LlmConfig(base_url=llm.base_url, model=MODEL_NAME, after_call_timeout_s=600))
    llm.kill()
    with pytest.raises(EngineError):
        await asyncio.to_thread(model.complete_json, "summary", {"language": "zh", "lines": []}, schema)
    llm.start()
    answer = await asyncio.to_thread(model.complete_json, "summary", {"language": "zh", "lines": []}, schema)
    assert isinstance(answer["overall"], str)
