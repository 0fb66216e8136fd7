"""Imports of knowledge files: runs, the files in them, and how far each is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from copilot.domain.ids import OrgId

RunState = Literal["queued", "running", "done", "cancelled", "interrupted"]
"""``done``: every file is done, unchanged or failed. ``interrupted``: its process died, and nobody goes on with it."""
OPEN_STATES: tuple[RunState, ...] = ("queued", "running")
FileState = Literal["queued", "reading", "done", "unchanged", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """``state``: of the articles that are new or changed. ``retire``: articles that their source no longer has are retired.

    ``language``: of all articles (empty: as their text is)."""

    state: Literal["draft", "published"] = "draft"
    retire: bool = False
    language: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportCounts:
    """Articles of a file or run. ``held``: changed in the source while a person has a draft of them open, which is left alone.
    ``gone``: which an earlier import of the same source made and this one no longer has."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    held: int = 0
    gone: int = 0

    def __add__(self, other: ImportCounts) -> ImportCounts:
        return ImportCounts(
            new=self.new + other.new,
            changed=self.changed + other.changed,
            unchanged=self.unchanged + other.unchanged,
            held=self.held + other.held,
            gone=self.gone + other.gone,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportFile:
    """A file of a run. ``source``: its path inside the import. ``done``/``total``: pages of a PDF, rows of a sheet; total 0: not known.

    ``fault`` is one of ``kb.reading.port.Fault`` if it failed; ``message`` the sentence, ``detail`` what is particular to the file.
    """

    number: int
    source: str
    size: int
    state: FileState = "queued"
    kind: str = ""
    sha256: str = ""
    done: int = 0
    total: int = 0
    fault: str = ""
    detail: str = ""
    message: str = ""
    notes: tuple[str, ...] = ()
    counts: ImportCounts = ImportCounts()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRun:
    """``actor``: the user's id, or ``cli``. ``node``: whose process carries it out. ``collections``: folders and archives given whole, so
    that a file missing in them is a removed source. ``removed``: those sources."""

    org_id: OrgId
    run_id: str
    state: RunState
    actor: str
    node: str
    name: str
    options: ImportOptions
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    files: int = 0
    finished: int = 0
    failed: int = 0
    counts: ImportCounts = ImportCounts()
    collections: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    cancel_requested: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportInput:
    """A file, folder or archive as given: its name inside the import and where it is."""

    name: str
    path: str


class ImportCancelled(Exception):  # no fault: it is what was asked for
    """Raised inside of a run to end it."""
