"""What the pages of packs work with: every version, the check, and dry runs, which child processes carry out one after another."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import structlog

from copilot.assembly.after_call import worker_environment
from copilot.assembly.dry_runs import calls_of
from copilot.assembly.import_service import log_file
from copilot.assembly.interrupted import read_events
from copilot.assembly.pack_check import check_pack, outline, pack_faults
from copilot.domain.errors import Conflict, CopilotError, Forbidden, InvalidInput
from copilot.domain.events import UtteranceFinal
from copilot.domain.ids import CallId, OrgId
from copilot.domain.packs import PackFault, PackVersion
from copilot.domain.people import REVIEWERS, User
from copilot.settings import Settings

if TYPE_CHECKING:
    from copilot.store.dry_runs import DryRun, SqlDryRuns
    from copilot.store.packs import SqlPacks
    from copilot.store.store import Store

log = structlog.get_logger(__name__)
Json = dict[str, Any]
_LOOK_EVERY_S = 1.0
_LONGEST_S = 3600.0


class PackDesk:
    """``copilot.api.context.PackDesk``. Its methods that are not coroutines block: call them from worker threads."""

    def __init__(self, settings: Settings, store: Store, node: str) -> None:
        self._settings = settings
        self._store = store
        self._node = node
        self.dry_runs: SqlDryRuns = store.dry_runs

    def packs(self, org_id: OrgId) -> SqlPacks:
        return self._store.packs(org_id)

    def faults(self, name: str, text: str) -> list[PackFault]:
        return pack_faults(name, text)

    def outline(self, name: str, text: str) -> list[Json]:
        return outline(name, text)

    def publish(self, user: User, name: str, version: int, revision: int) -> PackVersion:
        """Raises what ``SqlPacks.publish`` does, and BadPack for a text that is not fit for use."""
        packs = self.packs(user.org_id)
        check_pack(name, packs.version(name, version)[1])
        return packs.publish(name, version, revision, user)

    def start(self, user: User, name: str, version: int, choice: Json) -> DryRun:
        """Queues a dry run of a version as it is now. Raises NotFound, Forbidden, InvalidInput, Conflict, BadPack, Overloaded."""
        from postcall.dry_run import DRY_PACKS

        if not user.roles & REVIEWERS:
            raise Forbidden("Only those who may open every call run a file over past calls.")
        packs = self.packs(user.org_id)
        known, text = packs.version(name, version)
        if name not in DRY_PACKS:
            raise InvalidInput(f"A dry run is for {', '.join(DRY_PACKS)}.")
        check_pack(name, text)
        calls_of(choice)
        base, _ = packs.published(name)
        if known.state not in ("draft", "published"):
            raise Conflict("Only a draft, or the version in force, is run over past calls.")
        return self.dry_runs.create(user.org_id, name, version, known.revision, base.version, text, choice, user.user_id, self._node)

    def words(self, org_id: OrgId, call_id: CallId, wanted: frozenset[str]) -> dict[str, Json]:
        """Utterance → ``{channel, start_ms, text}`` of the masked transcript; nothing of a call that was erased."""
        return {
            event.utterance_id: {"channel": event.channel, "start_ms": event.start_ms, "text": event.text}
            for event in (item.event for item in read_events(self._store, org_id, call_id))
            if isinstance(event, UtteranceFinal) and event.utterance_id in wanted and event.text
        }

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """While the block lives, dry runs of this node are carried out."""
        task = asyncio.create_task(self._work(), name="dry-runs")
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _work(self) -> None:
        while True:
            try:
                # What a server before this one was at is begun again.
                waiting = await asyncio.to_thread(self.dry_runs.of_node, self._node, ("queued", "running"))
                if waiting:
                    await self._carry_out(*waiting[0])
                    continue
            except CopilotError as error:
                log.warning("dry_run_failed", error=type(error).__name__)
            except Exception:  # the next round tries again; nothing else of the server depends on it
                log.exception("dry_run_failed")
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _carry_out(self, org_id: OrgId, run_id: str) -> None:
        argv = [sys.executable, "-m", "copilot", "packs", "carry-out", org_id, run_id]
        with log_file(self._settings.data_dir / "dry-run.log") as output:
            process = await asyncio.create_subprocess_exec(
                *argv,
                env=worker_environment(self._settings),
                stdin=asyncio.subprocess.PIPE,  # its end tells the child that we are gone
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LONGEST_S):
                    await process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        # Whatever ended the child, the run has ended too, or it would be tried for ever.
        await asyncio.to_thread(
            self.dry_runs.fail, org_id, run_id, "The process of the dry run ended before it was done; the server's dry-run.log says more."
        )
