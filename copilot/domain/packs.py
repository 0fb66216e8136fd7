"""The bank's packs, files that decide how calls are judged: their versions, who may write and publish them, what is wrong with a text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Literal

from copilot.domain.errors import Conflict, Forbidden, InvalidInput, NotFound
from copilot.domain.people import Role, User

PackState = Literal["draft", "published", "superseded", "discarded"]
MOST_CHARACTERS = 500_000
"""Of one pack's text."""
MOST_NOTE = 500

_QUALITY: frozenset[Role] = frozenset({"qa_lead", "ops_admin"})
_KNOWLEDGE: frozenset[Role] = frozenset({"editor", "qa_lead", "ops_admin"})
PUBLISHERS: Mapping[str, frozenset[Role]] = MappingProxyType(
    {
        "rubric": _QUALITY,
        "compliance": _QUALITY,
        "sop": _QUALITY,
        "review": _QUALITY,
        "taxonomy": _KNOWLEDGE,
        "intents": _KNOWLEDGE,
        "lexicon": _KNOWLEDGE,
        "moods": _KNOWLEDGE,
        "leads": _KNOWLEDGE,
    }
)
"""Pack → the roles that put a version in force. What is not here is made by commands, not written by people."""
WRITERS: frozenset[Role] = frozenset({"inspector", "qa_lead", "editor", "ops_admin"})
READERS: frozenset[Role] = WRITERS | {"team_lead", "sys_admin", "auditor"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PackVersion:
    """One version without its text. ``revision`` grows with every save of a draft; ``base_version`` is the published one it began from.

    ``published_by`` and ``published_at`` are None until it was in force.
    """

    name: str
    version: int
    state: PackState
    author: str
    note: str
    base_version: int
    revision: int
    created_at: datetime
    changed_at: datetime
    published_by: str | None = None
    published_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PackFault:
    """What is wrong at one place. ``path``: keys and indexes from the top of the file; ``line`` and ``column`` from 1, 0 if not known yet.

    ``place`` names the spot for people, ``message`` says what is wrong and what to do.
    """

    place: str
    message: str
    path: tuple[str | int, ...] = ()
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class BadPack(InvalidInput):
    """A pack that cannot be used, with every fault that was found."""

    def __init__(self, faults: Sequence[PackFault]) -> None:
        super().__init__("; ".join(map(str, faults[:5])))
        self.faults = tuple(faults)


class PackConflict(Conflict):
    """Somebody else saved this draft first; ``stored`` is what is kept now."""

    def __init__(self, stored: PackVersion) -> None:
        super().__init__("This draft was saved elsewhere meanwhile; look at what is stored before you save over it.")
        self.stored = stored


_STEP = re.compile(r"^([^\[(]+?)(?:\[(\d+)\])?(?: \(.*\))?$")


def path_of(place: str) -> tuple[str | int, ...]:
    """``rules[3] (soothe) › when › patterns › zh[0]`` → ``("rules", 3, "when", "patterns", "zh", 0)``."""
    path: list[str | int] = []
    for part in place.split(" › "):
        found = _STEP.match(part)
        if found is None:
            break
        path.append(found[1])
        if found[2] is not None:
            path.append(int(found[2]))
    return tuple(path)


def check_known(name: str) -> None:
    """Raises NotFound for a pack that people do not write."""
    if name not in PUBLISHERS:
        raise NotFound(f"{name} is no pack; it must be one of {', '.join(PUBLISHERS)}.")


def may_publish(name: str, roles: Iterable[Role]) -> bool:
    return bool(PUBLISHERS.get(name, frozenset()) & frozenset(roles))


def check_writer(user: User) -> None:
    if not user.roles & WRITERS:
        raise Forbidden("Only quality inspectors, knowledge editors and administrators of operations change these files.")


def check_reader(user: User) -> None:
    if not user.roles & READERS:
        raise Forbidden("Only supervisors, quality inspectors, knowledge editors and administrators see these files.")


def saved(known: PackVersion, author: str, revision: int, base_version: int) -> PackVersion:
    """The draft after a save. Raises Forbidden, Conflict, PackConflict when ``revision`` is not the stored one."""
    if known.state != "draft":
        raise Conflict(f"Version {known.version} is no draft any more; begin a new one.")
    if known.author != author:
        raise Forbidden("This draft belongs to somebody else; begin your own from it.")
    if known.revision != revision:
        raise PackConflict(known)
    return replace(known, revision=revision + 1, base_version=base_version)


def check_publication(draft: PackVersion, revision: int, current: int, user: User) -> None:
    """Whether ``user`` may put this draft in force over version ``current``. Raises Forbidden, Conflict, PackConflict."""
    if not may_publish(draft.name, user.roles):
        raise Forbidden("Your role may write drafts of this file, but not publish it.")
    if draft.author == user.user_id:
        raise Forbidden("Who wrote a version does not publish it; ask somebody else who may.")
    if draft.state != "draft":
        raise Conflict(f"Version {draft.version} is no draft any more.")
    if draft.revision != revision:
        raise PackConflict(draft)
    if draft.base_version != current:
        raise Conflict(
            f"Version {current} was published after this draft was begun from version {draft.base_version}; "
            "its author must look at the differences and take them over first."
        )
