"""A draft of a pack run over past calls: which calls, what every judge is given, and the two ways in which a run is carried out.

A server starts one child process after another, niced, so that live calls keep their cores (``carry_out_dry_run``); a command does it in
its own process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from copilot.assembly import engines
from copilot.assembly.import_process import end_with_parent, step_back
from copilot.assembly.interrupted import read_events
from copilot.assembly.rule_tools import Likeness
from copilot.assembly.worker import postcall_tools
from copilot.domain.errors import CopilotError, InvalidInput
from copilot.domain.events import ComplianceAlerted, EventEnvelope, WrapUpSubmitted
from copilot.domain.ids import CallId, OrgId, UserId
from copilot.domain.people import Scope
from copilot.settings import Settings
from copilot.store.call_list import CallFilter
from copilot.store.dry_runs import MOST_CALLS

if TYPE_CHECKING:
    from copilot.live.rules import ComplianceRule
    from copilot.store.store import Store
    from postcall.dry_run import Case, DryPack, Judge
    from postcall.run import Tools

Json = dict[str, Any]
Step = Callable[[int, int], bool]
"""(calls done, calls in all) → whether to go on."""
_LOOK_EVERY_S = 0.5
_FACETS = ("team", "agent", "intent", "ticket", "score", "risk", "state", "language")


def calls_of(choice: Json) -> tuple[CallFilter, int]:
    """The filter and the number of ``{limit, since, until, <facets of the call list>}``. Raises InvalidInput."""
    limit = choice.get("limit", 200)
    if not isinstance(limit, int) or not 1 <= limit <= MOST_CALLS:
        raise InvalidInput(f"A dry run takes 1 to {MOST_CALLS} calls.")
    wanted: Json = {name: choice[name] for name in _FACETS if choice.get(name)}
    wanted |= {name: datetime.fromisoformat(choice[name]) for name in ("since", "until") if choice.get(name)}
    return CallFilter(phase="ended", **wanted), limit


class DryRunner:
    """Of one organisation. Opens only the models that the pack needs."""

    def __init__(self, settings: Settings, store: Store, org_id: OrgId) -> None:
        self._settings = settings
        self._store = store
        self._org_id = org_id
        self._likeness = Likeness(settings)

    def run(self, pack: DryPack, before: str, after: str, choice: Json, step: Step) -> tuple[Json, list[tuple[CallId, Json]]]:
        """(result, what would change in each call that changes). ``before``: the text in force.

        A run that ``step`` ends early tells of the calls up to there. Raises InvalidInput, NotFound.
        """
        from postcall.dry_run import Tally

        chosen, limit = calls_of(choice)
        tools = self._tools(pack)
        old = self._judge(pack, before, tools)
        # The version in force against itself: only what people and the live loop said is of interest.
        new = old if after == before else self._judge(pack, after, tools)
        everybody = Scope(org_id=self._org_id, user_id=UserId("dry-run"), roles=frozenset({"qa_lead"}))
        calls = [CallId(listed.call.call_id) for listed in self._store.call_list.every(everybody, chosen, limit)]
        rules = self._rules(pack, before, after)
        tally, changed, skipped = Tally(pack=pack), [], 0
        for number, call_id in enumerate(calls):
            if not step(number, len(calls)):
                break
            case = self._case(pack, call_id, tools, rules)
            if case is None:
                skipped += 1
                continue
            judged = old(case)
            change = tally.add(case, judged, judged if new is old else new(case))
            if change is not None:
                changed.append((call_id, change))
        step(len(calls), len(calls))
        return {**tally.result(), "skipped": skipped}, changed

    # -- what the judges are given -----------------------------------------------------------------------------------------------------

    def _tools(self, pack: DryPack) -> Tools | None:
        """Classifier and models, where what customers wanted matters. Raises NotFound when a pack is missing."""
        if pack == "compliance":
            return None
        return postcall_tools(self._settings, self._store, self._org_id)

    def _judge(self, pack: DryPack, text: str, tools: Tools | None) -> Judge:
        from copilot.live.rules import parse_checklists, parse_compliance
        from postcall import dry_run
        from postcall.classify import CategoryIndex
        from postcall.packs import parse_taxonomy
        from postcall.qa.rubric import parse_rubric

        if pack == "rubric":
            return dry_run.by_rubric(parse_rubric(text))
        if pack == "compliance":
            return dry_run.by_rules(parse_compliance(text))
        if pack == "sop":
            return dry_run.by_checklists(parse_checklists(text))
        taxonomy = parse_taxonomy(text)
        embedder = tools.embedder if tools is not None else None
        index = CategoryIndex(taxonomy, embedder, tools.pack_embedder or embedder) if tools is not None and embedder is not None else None
        return dry_run.by_taxonomy(taxonomy, index)

    def _rules(self, pack: DryPack, *texts: str) -> list[ComplianceRule]:
        from copilot.live.rules import parse_compliance

        return [rule for text in texts for rule in parse_compliance(text)] if pack == "compliance" else []

    def _case(self, pack: DryPack, call_id: CallId, tools: Tools | None, rules: Sequence[ComplianceRule]) -> Case | None:
        """None for a call with nothing to judge: erased, or nobody spoke."""
        from copilot.review.rule_comparison import finished
        from postcall.dry_run import Case
        from postcall.needs import find_intents
        from postcall.reading import LANGUAGES
        from postcall.turns import transcript_of

        events = read_events(self._store, self._org_id, call_id)
        transcript = transcript_of(events)
        if not transcript.turns or transcript.language not in LANGUAGES:
            return None
        _, _, holds, end_ms = finished(events)
        case = Case(call_id=call_id, transcript=transcript, end_ms=end_ms, holds=holds, human=self._human(pack, call_id, events))
        if pack == "compliance":
            live: dict[str, set[Any]] = {}
            for event in (item.event for item in events):
                if isinstance(event, ComplianceAlerted):
                    live.setdefault(event.rule_id, set()).add(event.utterance_id)
            alike = self._likeness(transcript.turns, transcript.language, rules)
            return replace(case, alike=alike, live={rule: frozenset(places) for rule, places in live.items()})
        return replace(case, intents=find_intents(transcript, tools.packs, tools.intents) if tools is not None else ())

    def _human(self, pack: DryPack, call_id: CallId, events: Sequence[EventEnvelope]) -> dict[str, str]:
        """What people answered: the newest verdict of a review, and the ticket that the agent handed in."""
        if pack == "rubric":
            verdicts = self._store.reviews.verdicts(self._org_id, call_id)
            return {name: pair[1] for name, pair in verdicts[-1].answers.items()} if verdicts else {}
        submitted = [item.event for item in events if isinstance(item.event, WrapUpSubmitted)]
        if pack != "taxonomy" or not submitted or "ticket" not in submitted[-1].versions:
            return {}
        for artifact in self._store.calls.versions(self._org_id, call_id, {"ticket": submitted[-1].versions["ticket"]}):
            return {"level1": artifact.body.level1, "level2": artifact.body.level2}  # type: ignore[union-attr]
        return {}


def carry_out_dry_run(settings: Settings, org: str, run_id: str) -> None:
    """Carries a run of a server out in this process, which a pipe on standard input ends together with the server."""
    threading.Thread(target=end_with_parent, name="lifeline", daemon=True).start()
    engines.one_core_each()
    store = engines.open_store(settings)
    try:
        carry_out(settings, store, OrgId(org), run_id)
    finally:
        store.close()


def carry_out(settings: Settings, store: Store, org_id: OrgId, run_id: str) -> None:
    """A queued run to its end, whatever that is; a run that was cancelled stops before its next call."""
    runs = store.dry_runs
    if not runs.begin(org_id, run_id):
        return
    run, wanted, seen = runs.run(org_id, run_id), threading.Event(), [0, 0]
    wanted.set()

    def step(done: int, total: int) -> bool:
        seen[:] = done, total
        return wanted.is_set()

    try:
        _, base = store.packs(org_id).version(run.pack, run.base_version)
        # Writing holds the database's lock, for which live calls wait: only the thread that computes is niced.
        with ThreadPoolExecutor(1, "dry-run", initializer=step_back) as pool:
            runner = DryRunner(settings, store, org_id)
            draft = runs.text(org_id, run_id)
            work = pool.submit(runner.run, run.pack, base, draft, dict(run.choice), step)  # type: ignore[arg-type]
            while not work.done():
                wait((work,), _LOOK_EVERY_S)
                if not runs.progress(org_id, run_id, seen[0], seen[1]):
                    wanted.clear()
            result, changed = work.result()
        runs.progress(org_id, run_id, seen[0], seen[1])
        runs.finish(org_id, run_id, result, changed)
    except CopilotError as error:
        runs.fail(org_id, run_id, str(error))
    except Exception as error:  # the row must say that it ended; what a library says may quote what was said
        runs.fail(org_id, run_id, f"The dry run failed ({type(error).__name__}); the server's dry-run.log says more.")
        raise
