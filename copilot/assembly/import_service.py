"""Imports over the API: uploads wait in a spool; one child process after another carries them out, never the server itself.

A parser that crashes, or that takes all memory it may have, ends the child; the file it was at has failed, and the next child goes on with
the others. When the server itself dies, its child ends too, and the next server goes on where it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import structlog

from copilot.assembly.after_call import worker_environment
from copilot.assembly.imports import import_dir, new_run, settle_lost
from copilot.domain.errors import EngineError, Overloaded
from copilot.domain.ids import OrgId
from copilot.domain.imports import OPEN_STATES, ImportInput, ImportOptions, ImportRun
from copilot.domain.people import User
from copilot.settings import Settings

if TYPE_CHECKING:
    from copilot.store.imports import SqlImports
    from copilot.store.store import Store

log = structlog.get_logger(__name__)
MIB = 1 << 20
MOST_WAITING = 20
_LOOK_EVERY_S = 1.0
_STALLED_AFTER_S = 600.0
_MOST_DEATHS = 3
_LEAST_FREE = 512 * MIB
_LOG_BYTES = 5_000_000


class ImportService:
    """``copilot.api.kb_import.ImportDesk``. Its methods that are not coroutines block: call them from worker threads."""

    def __init__(self, settings: Settings, store: Store, node: str, *, stalled_after_s: float = _STALLED_AFTER_S) -> None:
        from kb.reading.ocr import ocr_installed

        self.max_bytes = settings.kb.import_mb * MIB
        self.reads_scans = ocr_installed()
        self._settings = settings
        self._store = store
        self._node = node
        self._stalled_after_s = stalled_after_s
        self._dir = import_dir(settings)

    def imports(self, org_id: OrgId) -> SqlImports:
        return self._store.imports(org_id)

    def open_upload(self, user: User, options: ImportOptions) -> tuple[ImportRun, Path]:
        """A run to be, and the empty directory for its files. Raises Overloaded, EngineError when the disk is full."""
        if len(self._store.import_queue.of_node(self._node, ("queued",))) >= MOST_WAITING:
            raise Overloaded("Too many imports are waiting; try again when some of them are done.")
        run = new_run(user.org_id, user.user_id, self._node, "", options)
        place = self._dir / run.run_id
        place.mkdir(parents=True, mode=0o700)
        if shutil.disk_usage(place).free < self.max_bytes + _LEAST_FREE:
            place.rmdir()
            raise EngineError("The server's disk is nearly full, so that nothing can be imported; tell an administrator.")
        return run, place

    def submit(self, run: ImportRun, inputs: Sequence[ImportInput]) -> ImportRun:
        """Queues it."""
        return self.imports(run.org_id).create(run, inputs)

    def discard(self, run: ImportRun) -> None:
        """The upload came to nothing."""
        shutil.rmtree(self._dir / run.run_id, ignore_errors=True)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """While the block lives, imports of this node are carried out."""
        await asyncio.to_thread(self._take_up)
        task = asyncio.create_task(self._work(), name="imports")
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _take_up(self) -> None:
        """What a server before this one left: its runs are queued again, commands that died are settled, and stray files are removed."""
        settle_lost(self._store, self._settings)
        queue = self._store.import_queue
        for org_id, run_id in queue.of_node(self._node, ("running",)):
            self.imports(org_id).requeue(run_id)
        open_runs = {run_id for node in queue.nodes(OPEN_STATES) for _, run_id in queue.of_node(node, OPEN_STATES)}
        for place in self._dir.iterdir() if self._dir.is_dir() else ():
            if place.name not in open_runs and not place.name.startswith("preview-"):
                shutil.rmtree(place, ignore_errors=True)

    async def _work(self) -> None:
        while True:
            try:
                waiting = await asyncio.to_thread(self._store.import_queue.of_node, self._node, ("queued",))
                if waiting:
                    await self._carry_out(*waiting[0])
                    continue
            except Exception as error:  # the next round tries again; nothing else of the server depends on it
                log.warning("import_failed", error=type(error).__name__)
                await asyncio.sleep(5)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _carry_out(self, org_id: OrgId, run_id: str) -> None:
        """One run to its end, with as many children as it takes."""
        from kb.import_run import fail_reading

        imports, deaths = self.imports(org_id), 0
        while True:
            status, stalled = await self._child(org_id, run_id)
            run = await asyncio.to_thread(imports.run, run_id)
            if run.state not in OPEN_STATES:
                break
            reading = [file.number for file in await asyncio.to_thread(imports.files, run_id) if file.state == "reading"]
            log.warning("import_process_ended", run=run_id, status=status, stalled=stalled)
            if reading:
                message = (
                    "It took too long to read and was given up; split it."
                    if stalled
                    else "Reading it ended the reader's process: it is damaged or needs too much memory; save it again in its own program."
                )
                await asyncio.to_thread(fail_reading, imports, run_id, "too_slow" if stalled else "stopped", message)
            else:
                deaths += 1
                if deaths >= _MOST_DEATHS:
                    await asyncio.to_thread(imports.finish, run_id, "interrupted", ())
                    break
            await asyncio.to_thread(imports.requeue, run_id)
        await asyncio.to_thread(shutil.rmtree, self._dir / run_id, True)

    async def _child(self, org_id: OrgId, run_id: str) -> tuple[int, bool]:
        """(exit status, whether it stood still and was killed)."""
        argv = [sys.executable, "-m", "copilot", "kb", "carry-out", org_id, run_id, self._node]
        with log_file(self._settings.data_dir / "import.log") as output:
            process = await asyncio.create_subprocess_exec(
                *argv,
                env=worker_environment(self._settings),
                stdin=asyncio.subprocess.PIPE,  # its end tells the child that we are gone
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        watch = asyncio.create_task(self._watch(org_id, run_id, process), name=f"import-{run_id}")
        try:
            status = await process.wait()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
        return status, watch.done() and not watch.cancelled()

    async def _watch(self, org_id: OrgId, run_id: str, process: asyncio.subprocess.Process) -> None:
        """Kills a child whose file has not moved for too long, and returns; else runs until it is cancelled."""
        loop, imports = asyncio.get_running_loop(), self.imports(org_id)
        last, since = None, loop.time()
        while True:
            await asyncio.sleep(min(5.0, self._stalled_after_s / 4))
            files = await asyncio.to_thread(imports.files, run_id)
            now = [(file.number, file.state, file.done) for file in files if file.state != "queued"]
            if now != last:
                last, since = now, loop.time()
            elif loop.time() - since > self._stalled_after_s and any(state == "reading" for _, state, _ in now):
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                return


def log_file(path: Path) -> BinaryIO:
    """For what a child process says; a long one is put aside once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > _LOG_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
    return path.open("ab")
