"""The quality rubric as typed data, from the bank's ``rubric.yaml``. The meaning of each kind is in docs/reference/qa-rubric.md. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from postcall.reading import Fields, Names, Patterns, document, each, version_of

Side = Literal["agent", "customer"]
_SIDES = ("agent", "customer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """Patterns looked for on one channel."""

    channel: Side
    patterns: Patterns


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Something is said: anywhere (``where`` is ``call``), or near the channel's first or last words."""

    wording: Wording
    where: Literal["call", "start", "end"] = "call"
    within_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSaid:
    wording: Wording


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    name: Names
    wording: Wording


@dataclass(frozen=True, slots=True, kw_only=True)
class AllSaid:
    """At least ``min_groups`` of the groups are said."""

    channel: Side
    groups: tuple[Group, ...]
    min_groups: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidBefore:
    """Something is said before the first trigger."""

    wording: Wording
    trigger: Wording


@dataclass(frozen=True, slots=True, kw_only=True)
class Interruptions:
    """At most ``max_count`` times an agent begins while the customer still speaks for ``min_overlap_ms`` or more."""

    channel: Side
    max_count: int
    min_overlap_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechRate:
    """Characters (zh) or words (en) a minute of the channel, per language."""

    channel: Side
    least: Mapping[str, float]
    most: Mapping[str, float]


Check = Said | NotSaid | AllSaid | SaidBefore | Interruptions | SpeechRate
KINDS = ("said", "not_said", "first_turn", "last_turn", "all_said", "said_before", "interruptions", "speech_rate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Applies:
    """When an item is asked; any one of the reasons is enough."""

    always: bool = False
    intents: frozenset[str] = frozenset()
    said: Wording | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RubricItem:
    """One question. ``deduction`` is taken off the final score when it fails; ``fatal``: a fail makes the whole score 0."""

    item_id: str
    section: str
    weight: float
    name: Names
    description: Names
    applies: Applies
    check: Check
    deduction: float = 0.0
    fatal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rubric:
    version: str
    sections: Mapping[str, Names]
    items: tuple[RubricItem, ...]
    pack_version: int = 0
    """Of the store; 0 for a file."""


def parse_rubric(text: str) -> Rubric:
    """``rubric.yaml``. Raises InvalidInput naming the item, the fault and the fix."""
    top = document(text, "rubric")
    sections = {fields.text("id"): fields.names("name") for fields in top.children("sections", "rubric section")}
    items = each(top.children("items", "rubric item"), lambda fields: _item(fields, tuple(sections)))
    return Rubric(version=version_of(top), sections=sections, items=items)


def _item(fields: Fields, sections: tuple[str, ...]) -> RubricItem:
    return RubricItem(
        item_id=fields.text("id"),
        section=fields.choice("section", sections),
        weight=fields.number("weight"),
        name=fields.names("name"),
        description=fields.names("description"),
        applies=_applies(fields.child("applies_when")),
        check=_check(fields.child("check")),
        deduction=fields.number("deduction", 0.0),
        fatal=fields.flag("fatal"),
    )


def _applies(fields: Fields) -> Applies:
    unknown = set(fields.data) - {"always", "intents", "said"}
    if unknown or not fields.data:
        wrong = f"`{min(unknown)}` is not known" if unknown else "it is empty"
        raise fields.fault(f"{wrong}; use always: true, intents: [..] or said: {{channel, patterns}}.")
    said = _wording(fields.child("said")) if "said" in fields.data else None
    return Applies(always=fields.flag("always"), intents=frozenset(fields.words("intents")), said=said)


def _side(fields: Fields) -> Side:
    return cast("Side", fields.choice("channel", _SIDES))


def _wording(fields: Fields) -> Wording:
    return Wording(channel=_side(fields), patterns=fields.patterns("patterns"))


def _check(fields: Fields) -> Check:
    kind = fields.choice("kind", KINDS)
    match kind:
        case "said":
            return Said(wording=_wording(fields))
        case "first_turn" | "last_turn":
            where: Literal["start", "end"] = "start" if kind == "first_turn" else "end"
            return Said(wording=_wording(fields), where=where, within_ms=int(fields.number("within_ms")))
        case "not_said":
            return NotSaid(wording=_wording(fields))
        case "all_said":
            return _all_said(fields)
        case "said_before":
            return SaidBefore(wording=_wording(fields), trigger=_wording(fields.child("before")))
        case "interruptions":
            _side(fields)
            return Interruptions(
                channel="agent", max_count=int(fields.number("max_count")), min_overlap_ms=int(fields.number("min_overlap_ms"))
            )
        case _:
            least, most = fields.child("min"), fields.child("max")
            if not least.data or set(least.data) != set(most.data):
                raise fields.fault("`min` and `max` must give a rate for the same languages.", "max")
            return SpeechRate(
                channel=_side(fields),
                least={language: least.number(language) for language in least.data},
                most={language: most.number(language) for language in most.data},
            )


def _all_said(fields: Fields) -> AllSaid:
    channel = _side(fields)
    raw = fields.data.get("groups")
    if not isinstance(raw, list) or not raw:
        raise fields.fault("`groups` must be a list of {name, patterns}.", "groups")
    groups = []
    for number, entry in enumerate(raw, start=1):
        if not isinstance(entry, Mapping):
            raise fields.fault(f"group {number} must be {{name, patterns}}.", "groups", number - 1)
        group = Fields(f"{fields.place}, group {number}", entry, (*fields.path, "groups", number - 1))
        groups.append(Group(name=group.names("name"), wording=Wording(channel=channel, patterns=group.patterns("patterns"))))
    least = int(fields.number("min_groups", len(groups)))
    if not 1 <= least <= len(groups):
        raise fields.fault(f"`min_groups` is {least}; it must be between 1 and {len(groups)}.", "min_groups")
    return AllSaid(channel=channel, groups=tuple(groups), min_groups=least)
