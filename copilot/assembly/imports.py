"""Imports put together: the tools of a run, imports from the command line, and runs whose process is gone."""

from __future__ import annotations

import os
import shutil
import socket
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from copilot.assembly import engines
from copilot.domain.ids import OrgId
from copilot.domain.imports import OPEN_STATES, ImportFile, ImportInput, ImportOptions, ImportRun
from copilot.settings import Settings

if TYPE_CHECKING:
    from copilot.store.store import Store
    from kb.import_run import ImportTools
    from kb.reading.port import Ocr

Told = Callable[[ImportFile], None]
_CLI = "cli"


def import_dir(settings: Settings) -> Path:
    """Where uploads wait and archives are unpacked."""
    return settings.data_dir / "imports"


def import_tools(settings: Settings, run_id: str, told: Told, alive: Callable[[], None] = lambda: None) -> ImportTools:
    """The tools of a run; its spool is below ``import_dir``."""
    from kb.import_run import ImportTools
    from kb.reading.limits import MIB, Limits

    limits = Limits(total_bytes=settings.kb.import_mb * 5 * MIB, file_bytes=min(200, settings.kb.import_mb) * MIB)
    return ImportTools(spool=import_dir(settings) / run_id / "unpacked", limits=limits, ocr=_ocr(), told=told, alive=alive)


def _ocr() -> Callable[[], Ocr] | None:
    from kb.reading.ocr import RapidOcr, ocr_installed

    return RapidOcr if ocr_installed() else None


def new_run(org_id: OrgId, actor: str, node: str, name: str, options: ImportOptions) -> ImportRun:
    """A run to be created."""
    clock = engines.system_clock()
    return ImportRun(
        org_id=org_id, run_id=uuid.uuid4().hex, state="queued", actor=actor, node=node, name=name, options=options, created_at=clock.now()
    )


class CommandImport:
    """Imports of this command, in this process. Files are read where they are."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._org_id = OrgId(settings.org)
        self._imports = store.imports(self._org_id)

    def run(self, paths: Sequence[Path], options: ImportOptions, told: Told) -> tuple[ImportRun, list[ImportFile]]:
        """One run with all paths. Ctrl-C ends it as interrupted; what is done stays."""
        from kb.import_run import carry_out

        node = f"{_CLI}:{socket.gethostname()}:{os.getpid()}"
        name = ", ".join(path.resolve().name for path in paths)
        run = self._imports.create(new_run(self._org_id, _CLI, node, name, options), _inputs(paths))
        try:
            done = carry_out(self._imports, run.run_id, node, import_tools(self._settings, run.run_id, told))
        except BaseException:
            self._imports.finish(run.run_id, "interrupted", ())
            raise
        finally:
            shutil.rmtree(import_dir(self._settings) / run.run_id, ignore_errors=True)
        return done, self._imports.files(run.run_id)

    def preview(self, paths: Sequence[Path], options: ImportOptions, told: Told) -> list[ImportFile]:
        """What ``run`` would do."""
        from kb.import_run import preview

        scratch = f"preview-{uuid.uuid4().hex}"
        try:
            return list(preview(self._imports, _inputs(paths), options, import_tools(self._settings, scratch, told)))
        finally:
            shutil.rmtree(import_dir(self._settings) / scratch, ignore_errors=True)


def _inputs(paths: Sequence[Path]) -> list[ImportInput]:
    return [ImportInput(name=path.resolve().name, path=str(path.resolve())) for path in paths]


def settle_lost(store: Store, settings: Settings) -> int:
    """Runs of commands on this machine that are gone are marked as interrupted, and what they unpacked is removed; how many."""
    here, lost = f"{_CLI}:{socket.gethostname()}:", 0
    for node in store.import_queue.nodes(OPEN_STATES):
        if not node.startswith(here) or _runs(int(node.removeprefix(here))):
            continue
        for org_id, run_id in store.import_queue.of_node(node, OPEN_STATES):
            store.imports(org_id).finish(run_id, "interrupted", ())
            shutil.rmtree(import_dir(settings) / run_id, ignore_errors=True)
            lost += 1
    return lost


def _runs(pid: int) -> bool:
    """True if there is a process of this number, whoever's."""
    with suppress(ProcessLookupError, OverflowError):
        try:
            os.kill(pid, 0)
        except PermissionError:
            return True
        return True
    return False
