"""Recordings over HTTP: masked for everybody, the original for the agent of the call alone, in ranges, audited; never a stale copy."""

from __future__ import annotations

import io
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
import soundfile
from fastapi import FastAPI

from copilot.api import audio, problems
from copilot.assembly.recordings import Recordings
from copilot.domain.errors import EngineError
from streaming.recording.masking import PAD_MS
from tests.fakes.recorded_call import AGENT, CUSTOMER, RecordedCall, card_number, frame, record, speech
from tests.fakes.stores import CALL, ORG, scope

pytestmark = pytest.mark.anyio
BASE = f"/calls/{CALL}/audio"
SECRET = slice(8 * (3000 - PAD_MS), 8 * (5000 + PAD_MS))


class Site:
    """The audio routes over a recorded call of agent ``u1``, in which a card number was said from 3 to 5 s."""

    def __init__(self, tmp_path) -> None:
        self.call = RecordedCall(tmp_path)
        store = self.call.store
        store.people.ensure_org(ORG)
        roles = {"u1": "agent", "u2": "agent", "qi": "inspector", "lead": "qa_lead", "ops": "ops_admin"}
        self.users = {name: store.people.create_user(ORG, name, name, [role], user_id=name) for name, role in roles.items()}
        self.context = SimpleNamespace(
            calls=store.calls,
            audit=store.audit,
            signin=store.signin,
            clock=self.call.clock,
            recordings=Recordings(store, self.call.media),
        )
        app = FastAPI()
        problems.install(app)
        app.include_router(audio.router(self.context))
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")

    async def recorded(self, *, over: bool = True) -> None:
        opened = await self.call.begin(agent_id="u1")
        frames = [frame(CUSTOMER, 0, speech(8 * 9000)), frame(AGENT, 0, speech(8 * 9000, 2))]
        await record(self.call.node("a"), self.call.cipher(), (CUSTOMER, AGENT), frames)
        line = card_number(3000, 5000)
        if over:
            await self.call.end(opened, line)
        else:
            await self.call.store.journal.append(ORG, opened, [line])

    async def get(self, who: str, path: str = "", **options) -> httpx.Response:
        store = self.call.store
        token = store.signin.start_session(self.users[who]).token
        headers = {"Authorization": f"Bearer {token}", **options.pop("headers", {})}
        return await self.http.get(BASE + path, headers=headers, **options)

    def audited(self) -> list[tuple[str, str, str]]:
        entries = self.call.store.audit.entries(scope("x", "auditor"))
        return [(entry.actor, entry.action, entry.target) for entry in reversed(entries) if entry.action.startswith("call.")]


def decoded(answer: httpx.Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return soundfile.read(io.BytesIO(answer.content), dtype="int16", always_2d=True)[0]


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


async def test_the_copy_is_masked_for_everybody_and_unmasked_for_the_agent_who_asks(site):
    await site.recorded()
    assert (await site.get("qi")).json()["copy"] is None
    assert site.call.work() == ["done"]
    about = (await site.get("qi")).json()
    assert about["copy"] == {
        "version": 1,
        "channels": ["customer", "agent"],
        "sample_rate_hz": 8000,
        "duration_ms": 9000,
        "complete": True,
        "hidden": [{"start_ms": 3000 - PAD_MS, "end_ms": 5000 + PAD_MS, "channel": None}],
    }
    original = site.call.heard("original")
    for who in ("qi", "lead", "ops", "u1"):
        heard = decoded(await site.get(who, "/copy.flac", params={"version": 1}))
        assert np.abs(heard[SECRET]).max() < 1000, who
        assert np.array_equal(heard[: SECRET.start], original[: SECRET.start])
    for who in ("qi", "lead", "ops"):
        assert (await site.get(who)).json()["may_hear_original"] is False
        for path in ("/copy.flac", "/customer.wav"):
            answer = await site.get(who, path, params={"version": 1, "original": "true"})
            assert answer.status_code == 403, who
    assert (await site.get("u1")).json()["may_hear_original"] is True
    assert np.array_equal(decoded(await site.get("u1", "/copy.flac", params={"version": 1, "original": "true"})), original)
    assert (await site.get("u2", "/copy.flac", params={"version": 1})).status_code == 404


async def test_the_segments_are_masked_as_well_while_there_is_no_copy(site):
    await site.recorded()
    whole = decoded(await site.get("u1", "/customer.wav", params={"original": "true"}))
    heard = decoded(await site.get("qi", "/customer.wav"))
    assert np.abs(whole[SECRET]).max() > 3500
    assert np.abs(heard[SECRET]).max() < 1000
    assert np.array_equal(heard[SECRET.stop :], whole[SECRET.stop :])
    tail = await site.get("qi", "/customer.wav", headers={"Range": f"bytes={44 + 2 * SECRET.start}-{44 + 2 * SECRET.stop - 1}"})
    assert tail.status_code == 206
    assert np.abs(np.frombuffer(tail.content, "<i2")).max() < 1000, "whatever range is asked for"


async def test_of_a_running_call_what_has_no_line_yet_is_not_heard(site):
    await site.recorded(over=False)
    heard = {channel: decoded(await site.get("qi", f"/{channel}.wav")) for channel in ("customer", "agent")}
    assert np.abs(heard["agent"]).max() < 1000, "the agent's leg has no line at all"
    assert np.abs(heard["customer"][: 8 * 2000]).max() > 3500
    assert np.abs(heard["customer"][8 * 5700 :]).max() < 1000


async def test_ranges_of_the_copy(site):
    await site.recorded()
    site.call.work()
    whole = (await site.get("qi", "/copy.flac", params={"version": 1})).content
    size = len(whole)
    for header, start, end in [("bytes=0-0", 0, 1), ("bytes=100-", 100, size), ("bytes=-7", size - 7, size), ("bytes=5-9999999", 5, size)]:
        part = await site.get("qi", "/copy.flac", params={"version": 1}, headers={"Range": header})
        assert (part.status_code, part.content) == (206, whole[start:end]), header
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
        assert part.headers["content-type"] == "audio/flac"
    outside = await site.get("qi", "/copy.flac", params={"version": 1}, headers={"Range": f"bytes={size}-"})
    assert (outside.status_code, outside.headers["content-range"]) == (416, f"bytes */{size}")


async def test_listening_is_audited_whatever_range_comes_first(site):
    await site.recorded()
    site.call.work()
    opened = ("qi", "call.audio_opened", f"{CALL}/copy")
    for header in ("bytes=500-999", "bytes=0-", "bytes=1000-"):
        await site.get("qi", "/copy.flac", params={"version": 1}, headers={"Range": header})
    assert site.audited() == [opened]
    await site.get("u1", "/copy.flac", params={"version": 1, "original": "true"})
    await site.get("qi", "/copy.flac", params={"version": 1, "original": "true"})
    assert site.audited() == [opened, ("u1", "call.audio_original_opened", f"{CALL}/copy")], "and a refusal is no listening"
    site.call.clock.advance(601)
    await site.get("qi", "/copy.flac", params={"version": 1}, headers={"Range": "bytes=500-999"})
    assert site.audited()[-1] == opened
    assert len(site.audited()) == 3


async def test_a_copy_in_which_something_was_found_since_is_not_played(site):
    await site.recorded()
    site.call.work()
    events = site.call.store.calls.events(ORG, CALL)
    said = next(item for item in events if item.event.type == "utterance_final")
    site.call.store.calls.rewrite(ORG, CALL, {said.seq: card_number(3000, 5000)})
    assert (await site.get("qi")).json()["copy"] is None
    assert (await site.get("qi", "/copy.flac", params={"version": 1})).status_code == 404
    assert site.call.work() == ["done"]
    assert (await site.get("qi")).json()["copy"]["version"] == 2
    assert (await site.get("qi", "/copy.flac", params={"version": 1})).status_code == 404
    assert (await site.get("qi", "/copy.flac", params={"version": 2})).status_code == 200


async def test_a_media_store_that_is_away_is_a_problem_and_no_broken_file(site, monkeypatch):
    await site.recorded()
    site.call.work()

    def away(_path):
        raise EngineError("The media store is away.", retryable=True)

    monkeypatch.setattr(site.call.media, "get", away)
    answer = await site.get("qi", "/copy.flac", params={"version": 1})
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
