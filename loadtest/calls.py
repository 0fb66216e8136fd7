"""Scenario calls: playing into a server and reading what became of them, over the public interfaces."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from copilot.cli.play import announce
from copilot.domain.artifacts import ARTIFACT_KINDS
from loadtest.feed_client import FeedClient
from loadtest.server_process import ROOT, ServerProcess
from streaming.callers import CALLERS
from streaming.play import Announce, PlayResult, play

Json = dict[str, Any]
SCENARIOS = ROOT / "loadtest" / "scenarios"


def gold(name: str) -> Json:
    loaded: Json = json.loads((SCENARIOS / name / "gold.json").read_text(encoding="utf-8"))
    return loaded


def audio(name: str) -> Path:
    return SCENARIOS / name / "call.wav"


def new_call_id(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


@asynccontextmanager
async def signed_in(server: ServerProcess, username: str) -> AsyncIterator[FeedClient]:
    client = FeedClient(server.base)
    try:
        await client.sign_in(username, server.passwords[username])
        yield client
    finally:
        await client.aclose()


async def send(
    server: ServerProcess, call_id: str, name: str, *, protocol: str = "raw", agent: str = "agent-a", speed: float = 1.0
) -> None:
    """Plays a scenario's call to its end."""
    await send_file(server, call_id, audio(name), protocol=protocol, agent=agent, speed=speed)


async def send_file(
    server: ServerProcess, call_id: str, file: Path, *, protocol: str, agent: str = "agent-a", speed: float = 1.0
) -> PlayResult:
    """Plays a recording to its end by any protocol of the server's; calls by AudioSocket are announced first."""
    return await play(
        file,
        protocol=protocol,
        url=server.telephony_url(protocol),
        key=server.key,
        secret=server.secret if protocol == "audiohook" else "",
        announce=announcing(protocol, server.base, server.key),
        call_id=call_id,
        metadata={"agent": agent},
        speed=speed,
    )


def announcing(protocol: str, base: str, key: str) -> Announce | None:
    """How a call by ``protocol`` is announced at the server whose HTTP address is ``base``; None where nothing must be."""
    return partial(announce, base, key) if CALLERS[protocol].transport == "tcp" else None


async def events_until(client: FeedClient, call_id: str, done: Any, timeout_s: float = 60.0) -> list[Json]:
    """The call's events as soon as ``done(events)`` is true. Fails with what there was."""
    async with asyncio.timeout(timeout_s):
        while True:
            with contextlib.suppress(httpx.TimeoutException):  # a machine may be too busy to answer in time: asked again
                answer = await client.http.get(f"/calls/{call_id}/events", params={"limit": 5000})
                events = [item["event"] for item in answer.json()["events"]] if answer.status_code == 200 else []
                if answer.status_code == 200 and done(events):
                    return events
            await asyncio.sleep(0.2)


def of_type(events: list[Json], kind: str) -> list[Json]:
    return [event for event in events if event["type"] == kind]


def all_artifacts(events: list[Json]) -> bool:
    """Those made from the transcript are there; the listening copy may still be on its way."""
    return {event["kind"] for event in of_type(events, "artifact_ready")} >= set(ARTIFACT_KINDS) - {"recording"}


def has_copy(events: list[Json]) -> bool:
    """The listening copy of the recording is there."""
    return any(event["kind"] == "recording" for event in of_type(events, "artifact_ready"))


def has_ended(events: list[Json]) -> bool:
    return bool(of_type(events, "call_ended"))
