"""The port between an import and the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from copilot.domain.imports import ImportCounts, ImportFile, ImportInput, ImportOptions, ImportRun, RunState
from copilot.domain.knowledge import Article


class ImportStore(Protocol):
    """Imports of one organisation. Synchronous and thread-safe. Every method that writes is one transaction."""

    def run(self, run_id: str) -> ImportRun:
        """Raises NotFound."""
        ...

    def inputs(self, run_id: str) -> list[ImportInput]: ...

    def begin(self, run_id: str, node: str) -> bool:
        """Takes a queued run to carry it out; False if somebody has it, or it is over. What was being read is queued again."""
        ...

    def register(self, run_id: str, files: Sequence[tuple[ImportFile, str]], collections: Sequence[str]) -> None:
        """The files of a run with their paths on disk, instead of those registered before. Those with a fault have failed already."""
        ...

    def files(self, run_id: str) -> list[ImportFile]: ...

    def path(self, run_id: str, number: int) -> str:
        """Where a file is on disk."""
        ...

    def progress(self, run_id: str, number: int, done: int, total: int) -> bool:
        """Stores how far a file is; True if the run is to be cancelled."""
        ...

    def is_known(self, source: str, sha256: str, options: ImportOptions) -> bool:
        """True if this very file was imported, with nothing held back, and nothing else is asked of it now."""
        ...

    def plan(self, source: str, articles: Sequence[Article], options: ImportOptions) -> ImportCounts:
        """What ``commit`` would do, without doing it."""
        ...

    def commit(self, run_id: str, file: ImportFile, articles: Sequence[Article]) -> ImportCounts:
        """Stores the articles of a file, which source they are from, and that the file is done: all or nothing.

        Raises Conflict when an article belongs to another file of the same run.
        """
        ...

    def close_file(self, run_id: str, file: ImportFile) -> None:
        """Stores that a file is unchanged or has failed."""
        ...

    def missing(self, run_id: str) -> list[str]:
        """Sources of the run's collections that it does not have (any more)."""
        ...

    def finish(self, run_id: str, state: RunState, removed: Sequence[str]) -> ImportRun:
        """Ends a run; ``removed`` sources are reported, and their articles retired if the options say so."""
        ...
