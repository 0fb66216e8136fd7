"""Running the rules over finished calls, for the command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from copilot.assembly import engines
from copilot.domain.errors import InvalidInput, NotFound
from copilot.domain.events import ComplianceAlerted
from copilot.domain.ids import CallId, OrgId, UtteranceId
from copilot.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from copilot.domain.artifacts import Turn
    from copilot.domain.ports.knowledge import Embedder
    from copilot.live.rules import ComplianceRule
    from copilot.store.store import Store

Json = dict[str, Any]


class RuleDesk:
    """The rules of one organisation over its calls."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._org_id = OrgId(settings.org)
        self._store = store
        self._likeness = Likeness(settings)

    def run_call(self, call_id: str, rules: str | None) -> Json:
        """The alerts of a stored call, and how they differ from those raised live. Raises NotFound, InvalidInput."""
        from copilot.assembly.interrupted import read_events
        from copilot.review.rule_comparison import finished

        envelopes = read_events(self._store, self._org_id, CallId(call_id))
        if not envelopes:
            raise NotFound(f"There is no call {call_id}.")
        language, turns, holds, end_ms = finished(envelopes)
        events = [item.event for item in envelopes]
        result = self._run(turns, language, rules, end_ms, holds)
        after = {f"{alert['rule_id']} ({alert['utterance_id']})" for alert in result["alerts"]}
        live = {f"{event.rule_id} ({event.utterance_id})" for event in events if isinstance(event, ComplianceAlerted)}
        return {**result, "only_live": sorted(live - after), "only_after": sorted(after - live)}

    def run_lines(self, lines: Any, language: str, rules: str | None) -> Json:
        """The alerts of a transcript in a file. Raises NotFound, InvalidInput."""
        from postcall.turns import turns_from_json

        turns = turns_from_json(lines)
        return self._run(turns, language, rules, max((turn.end_ms for turn in turns), default=0), ())

    def _run(self, turns: Sequence[Turn], language: str, rules: str | None, end_ms: int, holds: Sequence[tuple[int, int]]) -> Json:
        from copilot.codec import to_json
        from copilot.live.rule_monitor import evaluate

        chosen = self._rules(rules)
        alike = self._likeness(turns, language, chosen)
        alerts = evaluate(chosen, turns, language, end_ms=end_ms, holds=holds, alike=alike)
        return {"language": language, "utterances": len(turns), "alerts": [to_json(alert) for alert in alerts]}

    def _rules(self, text: str | None) -> tuple[ComplianceRule, ...]:
        from copilot.live.rules import parse_compliance

        if text is None:
            found = self._store.articles(self._org_id).pack("compliance")
            if found is None:
                raise NotFound("No rules are stored; import them first (pangting kb import FOLDER) or name a file with --rules.")
            text = found[1]
        return parse_compliance(text)


class Likeness:
    """How similar each utterance is to the sentences that rules look for by meaning. The model is opened when the first rule does."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._embedders: tuple[Embedder, Embedder] | None = None
        self._vectors: dict[str, npt.NDArray[np.float32]] = {}

    def __call__(self, turns: Sequence[Turn], language: str, rules: Sequence[ComplianceRule]) -> dict[UtteranceId, dict[str, float]]:
        from copilot.live.rule_monitor import RuleMonitor
        from kb.analysis import spoken_core

        monitor = RuleMonitor(language=language, rules=rules)
        wanted = {turn.utterance_id: monitor.phrases(turn.channel) for turn in turns}
        if not any(wanted.values()):
            return {}
        if language not in ("zh", "en"):
            raise InvalidInput("The language must be zh or en.")
        if self._embedders is None:
            embedder = engines.open_embedder(self._settings)
            self._embedders = embedder, engines.remembering(self._settings, embedder)
        heard, known = self._embedders
        new = sorted({phrase for phrases in wanted.values() for phrase in phrases} - self._vectors.keys())
        self._vectors |= zip(new, known.embed(new, "query"), strict=True) if new else ()
        asked = [turn for turn in turns if wanted[turn.utterance_id]]
        vectors = heard.embed([spoken_core(turn.text, language) for turn in asked], "query")
        found: dict[UtteranceId, dict[str, float]] = {}
        for turn, said in zip(asked, vectors, strict=True):
            found[turn.utterance_id] = {phrase: float(self._vectors[phrase] @ said) for phrase in wanted[turn.utterance_id]}
        return found


@contextmanager
def open_rule_desk(settings: Settings) -> Iterator[RuleDesk]:
    """The rules of the organisation for a command."""
    store = engines.open_store(settings)
    try:
        yield RuleDesk(settings, store)
    finally:
        store.close()
