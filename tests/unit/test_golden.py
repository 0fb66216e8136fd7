"""The shared golden logs: folding them gives the call written beside them. The web app's own fold is held to the same files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from copilot.domain.calls import Call, apply, fold
from copilot.domain.events import EventEnvelope

GOLDEN = Path(__file__).parents[1] / "golden"
LOGS = sorted(GOLDEN.glob("*.jsonl"))
ENVELOPE = TypeAdapter(EventEnvelope)
CALL = TypeAdapter(Call)


def _read(log: Path) -> tuple[list[EventEnvelope], Call]:
    envelopes = [ENVELOPE.validate_json(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return envelopes, CALL.validate_json(log.with_suffix(".fold.json").read_bytes())


def test_there_are_logs() -> None:
    assert len(LOGS) >= 3


@pytest.mark.parametrize("log", LOGS, ids=lambda p: p.stem)
def test_fold_is_what_is_written(log: Path) -> None:
    envelopes, expected = _read(log)
    assert fold(expected.org_id, expected.call_id, envelopes) == expected


@pytest.mark.parametrize("log", LOGS, ids=lambda p: p.stem)
def test_duplicates_change_nothing_and_a_hole_is_refused(log: Path) -> None:
    envelopes, expected = _read(log)
    call = fold(expected.org_id, expected.call_id, [e for e in envelopes for _ in range(2)])
    assert call == expected
    with pytest.raises(ValueError, match="does not follow"):
        apply(fold(expected.org_id, expected.call_id, envelopes[:1]), envelopes[2])


@pytest.mark.parametrize("log", LOGS, ids=lambda p: p.stem)
def test_logs_carry_every_field(log: Path) -> None:
    """A log that leaves a field out would hide from the web app what the server really sends."""
    for line in log.read_text(encoding="utf-8").splitlines():
        written = json.loads(line)
        dumped = ENVELOPE.dump_python(ENVELOPE.validate_python(written), mode="json")
        assert dumped.keys() == written.keys()
        assert dumped["event"].keys() == written["event"].keys()
