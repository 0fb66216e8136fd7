"""The after-call worker as a supervised child process: niced, restarted when it dies, gone when its parent is gone.

The child's standard input is a pipe that the parent never writes to: its end means the parent is gone, however it died
(``copilot.worker`` watches it). A second pipe carries one line when the worker takes jobs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Literal

_log = logging.getLogger(__name__)
WorkerState = Literal["stopped", "starting", "ready", "restarting", "crash_loop"]
LIFELINE_ENV = "PANGTING_WORKER_LIFELINE"
"""Set to ``stdin`` in the child: it must end when its standard input does."""
READY_ENV = "PANGTING_WORKER_READY_FD"
"""The file descriptor on which the child writes one line when it takes jobs."""
NICENESS = 10
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0
_LOOP_AFTER = 4
_LOG_BYTES = 5_000_000


class WorkerProcess:
    """``await start()``, ``await stop()``; ``state`` and ``running`` are for /status and may be read from any thread.

    ``crash_loop``: it died several times in a row before or soon after it was ready; it is still tried, at most every 30 s.
    """

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        log_path: Path,
        *,
        stop_grace_s: float = 8.0,
        healthy_after_s: float = 30.0,
        first_wait_s: float = _FIRST_WAIT_S,
    ) -> None:
        self._argv = tuple(argv)
        self._env = dict(env)
        self._log_path = log_path
        self._stop_grace_s = stop_grace_s
        self._healthy_after_s = healthy_after_s
        self._first_wait_s = first_wait_s
        self._task: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._ready = asyncio.Event()
        self.state: WorkerState = "stopped"
        self.starts = 0

    @property
    def running(self) -> bool:
        """True while the worker takes jobs."""
        return self.state == "ready"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Begins to supervise; returns at once. See ``wait_ready``."""
        if self._task is None:
            self.state = "starting"
            self._task = asyncio.create_task(self._supervise(), name="postcall-worker")

    async def wait_ready(self, timeout_s: float) -> bool:
        """True as soon as the worker takes jobs, False after ``timeout_s``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._ready.wait()
        return self._ready.is_set()

    async def stop(self) -> None:
        """SIGTERM (the running job is finished), after the grace SIGKILL. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self.state = "stopped"

    async def _supervise(self) -> None:
        deaths = 0
        loop = asyncio.get_running_loop()
        try:
            while True:
                begun = loop.time()
                code = await self._run_once()
                deaths = 0 if loop.time() - begun >= self._healthy_after_s else deaths + 1
                wait_s = min(_LONGEST_WAIT_S, self._first_wait_s * 2.0 ** min(max(0, deaths - 1), 16))
                self.state = "crash_loop" if deaths >= _LOOP_AFTER else "restarting"
                _log.warning("the after-call worker ended with %s; next start in %.1f s (see %s)", code, wait_s, self._log_path)
                await asyncio.sleep(wait_s)
        finally:
            self._ready.clear()

    async def _run_once(self) -> int | str:
        """One life of the child; its exit status, or why it could not start."""
        read_end, write_end = os.pipe()
        loop = asyncio.get_running_loop()
        try:
            with _open_log(self._log_path) as log:
                self._process = await asyncio.create_subprocess_exec(
                    *self._argv,
                    env={**self._env, LIFELINE_ENV: "stdin", READY_ENV: str(write_end)},
                    stdin=asyncio.subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    pass_fds=(write_end,),
                    start_new_session=True,
                )
        except OSError as error:
            os.close(read_end)
            return f"{type(error).__name__} ({error.strerror})"
        finally:
            os.close(write_end)
        process = self._process
        self.starts += 1
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
        loop.add_reader(read_end, self._heard, read_end)
        try:
            return await process.wait()
        finally:
            loop.remove_reader(read_end)
            os.close(read_end)
            self._ready.clear()
            await self._end(process)

    def _heard(self, read_end: int) -> None:
        if os.read(read_end, 64):
            self.state = "ready"
            self._ready.set()
        else:
            # End of file: the child closed it or is gone; wait() tells.
            asyncio.get_running_loop().remove_reader(read_end)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(self._stop_grace_s):
                    await process.wait()
            except TimeoutError:
                _log.warning("the after-call worker did not stop within %.0f s and is killed; its job is done later", self._stop_grace_s)
                with contextlib.suppress(ProcessLookupError):
                    # The child leads a session of its own: the processes of its pool go with it.
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        self._process = None


def _open_log(path: Path) -> BinaryIO:
    """The log, appended to; the previous one is kept when it has grown large."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > _LOG_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
    return path.open("ab")
