"""The after-call form: what a person changed in an artifact that after-call work made. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
from typing import Any, Literal

from copilot.domain.artifacts import Artifact
from copilot.domain.ids import UserId

EditableKind = Literal["summary", "ticket"]
EDITABLE_KINDS: tuple[EditableKind, ...] = ("summary", "ticket")
"""Artifacts that the agent hands in; the scorecard is quality assurance's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a person has typed into an artifact and not handed in yet. ``base_version``: the version it began from."""

    artifact: Artifact
    base_version: int
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactVersion:
    """One version of an artifact. ``author`` None: made by after-call work; ``base_version``: what an edit began from."""

    artifact: Artifact
    author: UserId | None
    base_version: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of a field: a line of a list that came, went or was rewritten, or a value. Empty text: not there."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a person wrote down about a call. ``text`` is masked."""

    user_id: UserId
    text: str
    updated_at: datetime


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """What changed between two bodies of one kind, as JSON, field by field in the order of ``after``."""
    found: list[Change] = []
    for field in dict.fromkeys([*after, *before]):
        old, new = before.get(field), after.get(field)
        if old == new:
            continue
        if isinstance(old, list | tuple) or isinstance(new, list | tuple):
            found += _line_changes(field, [_line(item) for item in old or ()], [_line(item) for item in new or ()])
        else:
            found.append(Change(field=field, before=_line(old), after=_line(new)))
    return tuple(found)


def _line(value: Any) -> str:
    """An item of a body as one line: of a statement its text, of an alternative its categories."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return str(value["text"]) if "text" in value else " / ".join(str(value[key]) for key in ("level1", "level2") if key in value)
    return str(value)


def _line_changes(field: str, before: Sequence[str], after: Sequence[str]) -> list[Change]:
    found = []
    for kind, i1, i2, j1, j2 in SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        old, new = list(before[i1:i2]), list(after[j1:j2])
        width = max(len(old), len(new))
        old += [""] * (width - len(old))
        new += [""] * (width - len(new))
        found += [Change(field=field, before=a, after=b) for a, b in zip(old, new, strict=True)]
    return found
