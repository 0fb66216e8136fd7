"""The runner of live calls on a real store, a real bus and a model server over real sockets; only speech is scripted."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from dataclasses import replace
from datetime import date

import pytest

from copilot.domain.artifacts import ARTIFACT_KINDS
from copilot.domain.errors import Conflict, EngineError
from copilot.domain.ids import UtteranceId
from copilot.domain.ports.bus import call_topic
from copilot.domain.ports.llm import ReplyPiece
from copilot.domain.transcript import TranscriptPartial
from copilot.live.session import LiveSession
from copilot.llm.client import LlmConfig, open_reply_writer
from tests.fakes.live_bench import INTEGRATION, ORG, START, Bench, OneAnswer, final
from tests.fakes.model_server import ModelServer

pytestmark = pytest.mark.anyio


async def test_with_a_model_the_approved_answer_comes_first_and_the_generated_reply_replaces_it(tmp_path):
    with ModelServer([("stream", ["满一年", "提前还款", "不收违约金。"])]) as model:
        writer = open_reply_writer(LlmConfig(base_url=model.base_url, model="m", api_key="k", timeout_s=20))
        bench = Bench(tmp_path, OneAnswer(0.6), writer)
        async with bench.bus.subscribe(call_topic(ORG, "call-1")) as subscription:
            call = await bench.desk.open_call(START, INTEGRATION)
            await call.final(final(1, "我叫王小明，提前还款要违约金吗，我的手机号是13900001111"))
            first, second = await bench.until("suggestion_offered", 2)
            await call.end("hangup", 3000)
            deltas = []
            async with asyncio.timeout(5):
                async for message in subscription:
                    body = json.loads(message.body)
                    if body["type"] == "reply_delta":
                        deltas.append(body["text"])
                    if "".join(deltas) == second.text:
                        break
        await writer.aclose()
    assert (first.kind, first.generated, first.citations[0].version) == ("faq", False, 2)
    assert (second.kind, second.generated, second.replaces, second.text) == ("reply", True, "s1", "满一年提前还款不收违约金。")
    assert {stage.name for stage in second.stages} >= {"asr_decode", "intent", "retrieve", "llm_first", "llm"}
    sent = json.dumps(model.requests, ensure_ascii=False)
    assert "13900001111" not in sent
    assert "王小明" not in sent, "the model sees tokens, never values"
    bench.store.close()


async def test_a_model_that_hangs_leaves_the_approved_answer_and_says_so(tmp_path):
    with ModelServer([("hang", ["满一年"])]) as model:
        writer = open_reply_writer(LlmConfig(base_url=model.base_url, model="m", api_key="k", timeout_s=5))
        bench = Bench(tmp_path, OneAnswer(0.6), writer, reply_timeout_s=0.3)
        call = await bench.desk.open_call(START, INTEGRATION)
        await call.final(final(1, "提前还款要违约金吗"))
        (degraded,) = await bench.until("degraded")
        assert (degraded.part, degraded.state) == ("generation", "down")
        assert [event.kind for event in bench.events() if event.type == "suggestion_offered"] == ["faq"]
        await call.end("hangup", 3000)
        await writer.aclose()
    bench.store.close()


async def test_when_retrieval_fails_the_transcript_goes_on_and_recovery_is_said(tmp_path):
    knowledge = OneAnswer(0.9, broken=True)
    bench = Bench(tmp_path, knowledge)
    call = await bench.desk.open_call(START, INTEGRATION)
    await call.final(final(1, "提前还款要违约金吗"))
    (down,) = await bench.until("degraded")
    assert (down.part, down.state) == ("retrieval", "down")
    knowledge.broken = False
    await call.final(final(2, "违约金到底收多少钱"))
    await bench.until("suggestion_offered")
    _, up = await bench.until("degraded", 2)
    assert (up.part, up.state) == ("retrieval", "up")
    assert len([event for event in bench.events() if event.type == "utterance_final"]) == 2
    await call.end("hangup", 3000)
    bench.store.close()


async def test_the_last_question_of_a_call_is_answered_before_the_call_ends(tmp_path):
    bench = Bench(tmp_path, OneAnswer(0.9))
    call = await bench.desk.open_call(START, INTEGRATION)
    await call.final(final(1, "提前还款要违约金吗"))
    await call.end("hangup", 2000)
    await call.end("hangup", 2000)
    kinds = [event.type for event in bench.events()]
    heard = ["call_started", "utterance_final", "intent_detected", "suggestion_offered"]
    assert kinds == [*heard, "suggestion_outcome", "dynamics_measured", "call_ended"]
    assert bench.desk.live_calls == 0
    assert len(bench.store.outbox.open_jobs()) == len(ARTIFACT_KINDS)
    bench.store.close()


async def test_a_live_id_is_refused_and_the_callers_number_is_a_token(tmp_path):
    bench = Bench(tmp_path, OneAnswer(0.9))
    call = await bench.desk.open_call(START, INTEGRATION)
    with pytest.raises(Conflict):
        await bench.desk.open_call(START, INTEGRATION)
    started = bench.events()[0]
    assert started.metadata["ani"].startswith("【手机号")
    await call.end("hangup", 0)
    with pytest.raises(Conflict):
        await bench.desk.open_call(START, INTEGRATION)
    bench.store.close()


async def test_partials_reach_the_bus_masked(tmp_path):
    bench = Bench(tmp_path, OneAnswer(0.9))
    async with bench.bus.subscribe(call_topic(ORG, "call-1")) as subscription:
        call = await bench.desk.open_call(START, INTEGRATION)
        call.partial(
            TranscriptPartial(
                channel="customer", utterance_id=UtteranceId("customer-1"), start_ms=0, end_ms=900,
                stable="我的手机号是139", unstable="00001111", language="zh",
            )
        )  # fmt: skip
        async with asyncio.timeout(5):
            async for message in subscription:
                body = json.loads(message.body)
                if body["type"] == "partial":
                    break
        assert "1390000" not in message.body
        await call.end("hangup", 0)
    bench.store.close()


async def test_a_store_that_is_away_for_a_moment_neither_doubles_a_final_nor_loses_its_values(tmp_path):
    bench = Bench(tmp_path, OneAnswer(0.9))
    call = await bench.desk.open_call(START, INTEGRATION)
    put, append = bench.store.journal.put_secrets, bench.store.journal.append
    faults = {"put": 1, "append": 1}

    async def flaky_put(*arguments, **options):
        if faults["put"]:
            faults["put"] -= 1
            raise EngineError("away", retryable=True)
        await put(*arguments, **options)

    async def flaky_append(org_id, opened, events):
        if faults["append"] and events[0].type == "call_ended":
            faults["append"] -= 1
            raise EngineError("away", retryable=True)
        return await append(org_id, opened, events)

    bench.store.journal.put_secrets, bench.store.journal.append = flaky_put, flaky_append
    said = final(1, "我的手机号是13900002222，提前还款要违约金吗")
    with pytest.raises(EngineError):
        await call.final(said)
    await call.final(said)
    await call.end("hangup", 2000)
    utterances = [event for event in bench.events() if event.type == "utterance_final"]
    assert len(utterances) == 1
    with bench.store.database.read() as connection:
        assert connection.exec_driver_sql("select count(*) from vault").scalar() == 2, "the caller's number and the one said"
    assert bench.events()[-1].type == "call_ended"
    bench.store.close()


async def test_a_number_said_in_pieces_is_taken_out_of_the_earlier_finals_too(tmp_path):
    bench = Bench(tmp_path, OneAnswer(0.9))
    call = await bench.desk.open_call(START, INTEGRATION)
    rewrite, faults = bench.store.journal.rewrite, [EngineError("away", retryable=True)]

    async def flaky_rewrite(*arguments):
        if faults:
            raise faults.pop()
        return await rewrite(*arguments)

    bench.store.journal.rewrite = flaky_rewrite
    for number, text in enumerate(["六二二八四八", "零零三九"], 1):
        await call.final(final(number, text))
    assert [event.text for event in bench.events() if event.type == "utterance_final"] == ["六二二八四八", "零零三九"]
    with pytest.raises(EngineError):
        await call.final(final(3, "八八八二幺零"))
    await call.final(final(3, "八八八二幺零"))
    events = bench.events()
    said = [event for event in events if event.type == "utterance_final"]
    assert len(said) == 3, "nothing is stored twice"
    assert all(event.text.startswith("【卡号#") for event in said)
    redacted = [seq for event in events if event.type == "redacted" for seq in event.seqs]
    assert [events[seq - 1].utterance_id for seq in redacted] == ["customer-1", "customer-2"]
    assert [turn.text for turn in call.session.dialogue.turns] == [event.text for event in said], "a model sees no clear piece either"
    await call.end("hangup", 4000)
    bench.store.close()


# --- what is no longer in force -------------------------------------------------------------------------------------------------------


class Shelf:
    """What the store says is in force, which a person changes while calls are live."""

    def __init__(self, version: int | None = 2) -> None:
        self.version = version

    def __call__(self, keys):
        return {key: self.version for key in keys if self.version is not None}


async def test_an_article_retired_during_the_call_is_withdrawn_and_not_offered_again_though_the_index_still_has_it(tmp_path):
    shelf, knowledge = Shelf(), OneAnswer(0.9)
    bench = Bench(tmp_path, knowledge, in_force=shelf)
    call = await bench.desk.open_call(START, INTEGRATION)
    await call.final(final(1, "提前还款要违约金吗"))
    (card,) = await bench.until("suggestion_offered")
    shelf.version = None
    await bench.desk.recheck(ORG)
    await bench.desk.recheck(ORG)
    (withdrawn,) = [event for event in bench.events() if event.type == "suggestion_withdrawn"]
    assert (withdrawn.suggestion_id, withdrawn.article_id, withdrawn.version, withdrawn.reason) == (
        card.suggestion_id,
        "prepay",
        2,
        "ended",
    )
    call.session.guard.policy = replace(call.session.guard.policy, repeat_after_ms=0)
    await call.final(final(300, "那提前还款的违约金到底收多少钱呢"))
    await call.end("hangup", 400_000)
    offered = [event.kind for event in bench.events() if event.type == "suggestion_offered"]
    assert offered == ["faq", "nothing"], "the index knows the article still; nobody may say it any more"
    bench.store.close()


async def test_a_question_asked_before_the_retirement_is_not_answered_from_it_afterwards(tmp_path):
    shelf, knowledge = Shelf(), OneAnswer(0.9)
    searching, retired = threading.Event(), threading.Event()
    found = knowledge.search

    def slow(query):
        searching.set()
        retired.wait(10)
        return found(query)

    knowledge.search = slow
    bench = Bench(tmp_path, knowledge, in_force=shelf)
    call = await bench.desk.open_call(START, INTEGRATION)
    await call.final(final(1, "提前还款要违约金吗"))
    await asyncio.to_thread(searching.wait, 10)
    shelf.version = 3
    retired.set()
    await call.end("hangup", 3000)
    assert [event.kind for event in bench.events() if event.type == "suggestion_offered"] == ["nothing"]
    bench.store.close()


async def test_a_reply_written_from_an_article_that_was_superseded_meanwhile_is_thrown_away(tmp_path):
    shelf = Shelf()
    with ModelServer([("stream", ["满一年", "不收违约金。"])]) as model:
        writer = open_reply_writer(LlmConfig(base_url=model.base_url, model="m", api_key="k", timeout_s=5))
        stream = writer.stream

        async def overtaken(request):
            async for piece in stream(request):
                shelf.version = 3
                yield piece

        writer.stream = overtaken
        bench = Bench(tmp_path, OneAnswer(0.6), writer, in_force=shelf)
        call = await bench.desk.open_call(START, INTEGRATION)
        await call.final(final(1, "提前还款要违约金吗"))
        (withdrawn,) = await bench.until("suggestion_withdrawn")
        await call.end("hangup", 3000)
        await writer.aclose()
    assert withdrawn.reason == "superseded"
    assert [event.generated for event in bench.events() if event.type == "suggestion_offered"] == [False]
    bench.store.close()


async def test_without_the_store_nothing_is_offered_and_the_transcript_goes_on(tmp_path):
    def away(keys):
        raise EngineError("the database is away", retryable=True)

    bench = Bench(tmp_path, OneAnswer(0.9), in_force=away)
    call = await bench.desk.open_call(START, INTEGRATION)
    await call.final(final(1, "提前还款要违约金吗"))
    (degraded,) = await bench.until("degraded")
    assert degraded.part == "retrieval"
    await call.end("hangup", 3000)
    assert not [event for event in bench.events() if event.type == "suggestion_offered"]
    bench.store.close()


async def test_a_call_taken_over_by_another_node_does_not_offer_what_was_withdrawn_there(tmp_path):
    shelf = Shelf()
    bench = Bench(tmp_path, OneAnswer(0.9), in_force=shelf)
    call = await bench.desk.open_call(START, INTEGRATION)
    await call.final(final(1, "提前还款要违约金吗"))
    await bench.until("suggestion_offered")
    shelf.version = None
    await bench.desk.recheck(ORG)
    session = LiveSession(language="zh", day=date(2026, 11, 27))
    session.restore(bench.events())
    assert session.cited() == frozenset()
    await call.end("hangup", 3000)
    bench.store.close()


async def test_what_is_for_the_agent_alone_is_shown_as_an_article_and_never_given_to_the_model(tmp_path):
    knowledge = OneAnswer(0.6)
    knowledge.hit = replace(knowledge.hit, article=replace(knowledge.hit.article, audience="agent"))
    with ModelServer([("stream", ["不该写"])]) as model:
        writer = open_reply_writer(LlmConfig(base_url=model.base_url, model="m", api_key="k", timeout_s=5))
        bench = Bench(tmp_path, knowledge, writer)
        call = await bench.desk.open_call(START, INTEGRATION)
        await call.final(final(1, "提前还款要违约金吗"))
        (card,) = await bench.until("suggestion_offered")
        await call.end("hangup", 3000)
        await writer.aclose()
    assert card.kind == "article"
    assert model.requests == []


async def test_a_refused_reply_is_not_a_model_that_is_down(tmp_path):
    with ModelServer([("stream", ["您放心，", "一定能免。"])]) as model:
        writer = open_reply_writer(LlmConfig(base_url=model.base_url, model="m", api_key="k", timeout_s=20))
        bench = Bench(tmp_path, OneAnswer(0.6), writer, reply_timeout_s=20)
        async with bench.bus.subscribe(call_topic(ORG, "call-1")) as subscription:
            call = await bench.desk.open_call(START, INTEGRATION)
            await call.final(final(1, "提前还款要违约金吗"))
            (refused,) = await bench.until("reply_refused")
            async with asyncio.timeout(20):
                async for message in subscription:
                    if json.loads(message.body)["type"] == "reply_dropped":
                        break
        assert (refused.suggestion_id, refused.model, refused.reason) == ("s1", "m", "unsupported")
        assert [event.type for event in bench.events()].count("degraded") == 0
        await call.end("hangup", 3000)
        await writer.aclose()
    bench.store.close()


async def test_generation_that_helps_again_is_said_once(tmp_path):
    with ModelServer([("status", 503), ("status", 503), ("stream", ["满一年提前还款不收违约金。"])]) as model:
        writer = open_reply_writer(LlmConfig(base_url=model.base_url, model="m", api_key="k", timeout_s=20))
        bench = Bench(tmp_path, OneAnswer(0.6), writer, reply_timeout_s=20)
        call = await bench.desk.open_call(START, INTEGRATION)
        await call.final(final(1, "提前还款要违约金吗"))
        await bench.until("degraded")
        await call.final(final(200, "那违约金收多少"))
        down, up = await bench.until("degraded", 2)
        assert [(event.part, event.state) for event in (down, up)] == [("generation", "down"), ("generation", "up")]
        await call.end("hangup", 300_000)
        await writer.aclose()
    bench.store.close()


async def test_a_newer_card_supersedes_the_reply_that_is_being_written_beside_the_older(tmp_path):
    with ModelServer([("hang", ["满一年提前还款"]), ("stream", ["满一年提前还款不收违约金。"])]) as model:
        writer = open_reply_writer(LlmConfig(base_url=model.base_url, model="m", api_key="k", timeout_s=60))
        bench = Bench(tmp_path, OneAnswer(0.6), writer, reply_timeout_s=60)
        call = await bench.desk.open_call(START, INTEGRATION)
        await call.final(final(1, "提前还款要违约金吗"))
        await bench.until("suggestion_offered")
        await call.final(final(200, "那违约金收多少"))
        _, second, reply = await bench.until("suggestion_offered", 3)
        assert (second.replaces, reply.replaces) == (None, "s2")
        assert model.hung_up.wait(20), "the older request was cancelled"
        assert [event.type for event in bench.events()].count("degraded") == 0
        await call.end("hangup", 300_000)
        await writer.aclose()
    bench.store.close()


async def test_each_organisation_has_its_own_forbidden_wordings(tmp_path):
    with ModelServer([("stream", ["满一年提前还款不收违约金。"])]) as model:
        writer = open_reply_writer(LlmConfig(base_url=model.base_url, model="m", api_key="k", timeout_s=20))
        bench = Bench(tmp_path, OneAnswer(0.6), writer, reply_timeout_s=20, forbidden=lambda: [re.compile("提前还款不收")])
        call = await bench.desk.open_call(START, INTEGRATION)
        await call.final(final(1, "提前还款要违约金吗"))
        (refused,) = await bench.until("reply_refused")
        assert refused.reason == "forbidden"
        await call.end("hangup", 3000)
        await writer.aclose()
    bench.store.close()


class Recorded:
    """A writer that keeps what it is asked."""

    model_id = "m"

    def __init__(self) -> None:
        self.styles = []

    async def stream(self, request):
        self.styles.append(request.style)
        yield ReplyPiece(text="您好。", sources=(0,), ends=True)

    async def aclose(self) -> None:
        pass


@pytest.mark.parametrize(("agent", "style"), [(None, "standard"), ("u-lin", "plain"), ("u-zhou", "standard")])
async def test_a_reply_is_worded_as_the_agent_of_the_call_prefers(tmp_path, agent, style):
    writer = Recorded()
    wanted = {"u-lin": "plain"}
    bench = Bench(tmp_path, OneAnswer(0.6), writer, reply_timeout_s=20, style_of=lambda user: wanted.get(user, "standard"))
    call = await bench.desk.open_call(START, INTEGRATION)
    call.agent_id = agent
    await call.final(final(1, "提前还款要违约金吗"))
    await bench.until("suggestion_offered")
    await call.end("hangup", 3000)
    assert writer.styles == [style]
    bench.store.close()


# --- ahead of the final ---------------------------------------------------------------------------------------------------------------


def partial(number: int, stable: str) -> TranscriptPartial:
    return TranscriptPartial(
        channel="customer", utterance_id=UtteranceId(f"customer-{number}"), start_ms=1000 * number, end_ms=1000 * number + 500,
        stable=stable, unstable="", language="zh",
    )  # fmt: skip


async def test_what_a_partial_asked_is_not_looked_up_again_for_the_final(tmp_path):
    knowledge = OneAnswer(0.9)
    bench = Bench(tmp_path, knowledge)
    call = await bench.desk.open_call(START, INTEGRATION)
    call.partial(partial(1, "请问提前还款要违约金吗"))
    call.partial(partial(1, "请问提前还款要违约金吗"))
    await call.final(final(1, "请问，提前还款要违约金吗？"))
    (card,) = await bench.until("suggestion_offered")
    assert len(knowledge.searches) == 1
    assert "ahead" in {stage.name for stage in card.stages}
    await call.end("hangup", 3000)
    bench.store.close()


async def test_a_wrong_guess_shows_nothing_and_the_final_is_looked_up(tmp_path):
    knowledge = OneAnswer(0.9)
    bench = Bench(tmp_path, knowledge)
    call = await bench.desk.open_call(START, INTEGRATION)
    call.partial(partial(1, "提前还款要违约金"))
    await asyncio.sleep(0.1)
    assert [event.type for event in bench.events()] == ["call_started"], "a guess is nothing that happened"
    await call.final(final(1, "提前还款要预约几天呢"))
    (card,) = await bench.until("suggestion_offered")
    assert knowledge.searches[-1] == "提前还款要预约几天呢"
    assert {stage.name for stage in card.stages} >= {"intent", "retrieve"}
    await call.end("hangup", 3000)
    bench.store.close()


async def test_few_guesses_are_made_of_an_utterance(tmp_path):
    knowledge = OneAnswer(0.9)
    bench = Bench(tmp_path, knowledge)
    call = await bench.desk.open_call(START, INTEGRATION)
    words = "我上个月刚办的那个按揭贷款现在想要提前把它全部还掉请问这样要不要收违约金呢"
    for length in range(4, len(words), 2):
        call.partial(partial(1, words[:length]))
        await asyncio.sleep(0.02)
    assert len(knowledge.searches) <= 3
    await call.end("hangup", 3000)
    bench.store.close()
