"""The web app over a real store and the real API, without telephony and models: the labelled calls with what after-call work makes of them.

For tests of the supervisors' pages; the times of the calls lie in the last days of the wall clock that the browser has.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn

from copilot.api.app import create_app
from copilot.api.context import PageCalls
from copilot.assembly.recordings import Recordings
from copilot.domain.artifacts import Artifact
from copilot.domain.audio import LegFormat, MediaFrame
from copilot.domain.events import CallEnded, ComplianceAlerted, IntentDetected, UtteranceFinal
from copilot.live.rule_monitor import evaluate
from copilot.live.rules import parse_compliance
from copilot.store.media import open_media
from kb.importing import import_path
from loadtest import call_set
from loadtest.postcall_eval import open_tools
from loadtest.server_process import ROOT, free_port
from postcall.needs import find_intents
from postcall.run import produce
from postcall.turns import Transcript, turns_from_json
from streaming.recording.recorder import Recorder, RecorderConfig
from streaming.telephony import g711
from tests.fakes.api_bench import ApiBench
from tests.fakes.stores import ORG, started

WEB = ROOT / "copilot/api/_web"
PASSWORD = "long enough for one"
PEOPLE: dict[str, tuple[str, str, str]] = {
    "zhang": ("agent", "north", "张晓"),
    "li": ("agent", "north", "李敏"),
    "wu": ("agent", "south", "吴桐"),
    "chen": ("team_lead", "north", "陈立"),
    "qi1": ("inspector", "", "孙宁"),
    "qi2": ("inspector", "", "何欣"),
    "qalead": ("qa_lead", "", "郑岚"),
}
"""username → (role, team, name). Invented."""


class ConsoleSite:
    """``base``: where it is served. ``call_ids``: the calls, newest first."""

    def __init__(self, directory: Path) -> None:
        self.bench = ApiBench(directory)
        self.store = self.bench.store
        now = datetime.now(UTC)
        self.bench.clock.advance((now - timedelta(days=8) - self.bench.clock.now()).total_seconds())
        import_path(call_set.BANK, self.store.articles(ORG))
        for team, name in (("north", "北区一组"), ("south", "南区二组")):
            self.store.people.create_team(ORG, team, name)  # type: ignore[arg-type]
        for username, (role, team, name) in PEOPLE.items():
            teams = [team] if team else []
            self.store.people.create_user(ORG, username, name, [role], teams, user_id=username)  # type: ignore[arg-type, list-item]
            self.store.people.enrol(self.store.people.create_enrolment(ORG, username), PASSWORD)  # type: ignore[arg-type]
        self.media = open_media(str(directory / "media"))
        self.directory = directory
        self.call_ids: list[str] = []
        self.port = free_port()
        context = replace(
            self.bench.context,
            recordings=Recordings(self.store, self.media),
            page_calls=lambda _host: PageCalls(calls_each=0, setting="telephony.browser_calls", url=""),
            web_dir=WEB,
            **self.more(),
        )
        self.app = create_app(context)

    def more(self) -> dict[str, Any]:
        """What the context has beside."""
        return {}

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def fill(self, *, recorded: int = 1) -> None:
        """All labelled calls, spread over the last week; the newest ``recorded`` have sound."""
        tools = open_tools(None)
        rules = parse_compliance((call_set.BANK / "compliance.yaml").read_text(encoding="utf-8"))
        calls = call_set.load("calls")
        agents = [name for name, (role, *_) in PEOPLE.items() if role == "agent"]
        step = timedelta(days=7) / len(calls)
        for number, call in enumerate(calls):
            at = self.bench.clock.now()
            lines = [{key: line[key] for key in ("channel", "start_ms", "end_ms", "text")} for line in call["utterances"]]
            turns = turns_from_json(lines)
            transcript = Transcript(language=call["language"], turns=tuple(turns))
            intents = find_intents(transcript, tools.packs, tools.intents)
            opened = await self.store.journal.open(ORG, call["id"], "node")
            first = replace(started(agents[number % len(agents)], at), language=call["language"])
            said = [
                UtteranceFinal(
                    utterance_id=turn.utterance_id, channel=turn.channel, start_ms=turn.start_ms, end_ms=turn.end_ms,
                    language=call["language"], confidence=0.93, text=turn.text,
                )
                for turn in turns
            ]  # fmt: skip
            heard = [
                IntentDetected(utterance_id=one.utterance_id, intent=one.intent, confidence=one.confidence, alternatives=(), why=())
                for one in {one.intent: one for one in reversed(intents)}.values()
            ]
            end = CallEnded(reason="hangup", duration_ms=max(turn.end_ms for turn in turns) + 800)
            broken: list[ComplianceAlerted] = evaluate(rules, turns, call["language"], end_ms=end.duration_ms)
            await self.store.journal.append(ORG, opened, [first, *said, *heard, *broken])
            if number >= len(calls) - recorded:
                await self._record(call["id"], turns)
            await self.store.journal.append(ORG, opened, [end])
            self.bench.clock.advance(3)
            for job in self.store.outbox.lease(self.bench.clock.now(), 1e8, 1000):
                if job.kind in ("summary", "ticket", "qa"):
                    self.store.outbox.finish(job.job_id, Artifact(kind=job.kind, version=1, body=produce(job.kind, transcript, tools)))
            self.bench.clock.advance(step.total_seconds() - 3)
            self.call_ids.insert(0, call["id"])
        now = datetime.now(UTC)
        self.bench.clock.advance((now - self.bench.clock.now()).total_seconds())
        self.bench.review.rounds.run(ORG)
        self.bench.found.follow()

    async def _record(self, call_id: str, turns: Any) -> None:
        """A tone where somebody speaks."""
        recorder = Recorder(RecorderConfig(spool_dir=self.directory / "spool"), self.media)
        await recorder.start()
        legs = tuple(LegFormat(channel=channel, encoding="pcmu", sample_rate_hz=8000) for channel in ("customer", "agent"))
        recording = recorder.open(ORG, call_id, legs, self.store.call_cipher(ORG, call_id), part=1, start_ms=0)  # type: ignore[arg-type]
        length = 8 * (max(turn.end_ms for turn in turns) + 800)
        rng = np.random.default_rng(1)
        for leg in legs:
            audio = np.zeros(length, dtype=np.int16)
            for turn in turns:
                if turn.channel == leg.channel:
                    span = slice(8 * turn.start_ms, 8 * turn.end_ms)
                    audio[span] = rng.integers(-6000, 6000, span.stop - span.start).astype(np.int16)
            for at in range(0, length, 8000):
                payload = g711.encode(audio[at : at + 8000], "pcmu")
                await recording.write(MediaFrame(channel=leg.channel, start_sample=at, payload=payload))
        await recording.close()
        await recorder.stop()

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Its base address, served as long as the block."""
        server = uvicorn.Server(uvicorn.Config(self.app, host="127.0.0.1", port=self.port, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        try:
            while not server.started:
                threading.Event().wait(0.05)
            yield self.base
        finally:
            server.should_exit = True
            thread.join(10)
            self.store.close()


def filled_site(directory: Path, *, recorded: int = 1, kind: type[ConsoleSite] = ConsoleSite) -> ConsoleSite:
    """A site with its calls. Needs the built web app (``make web``)."""
    site = kind(directory)
    # Playwright's own loop runs on this thread.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(site.fill(recorded=recorded))).result()
    return site
