"""A directory that holds an index in generations: a new one is written beside the one in use, and then one pointer file moves, so that a
crash or a reader never meets a half-written index. One process writes at a time.

    <dir>/current              name of the generation in use
    <dir>/writer.lock          held by the one process that may write; writer.json says which
    <dir>/gen-000007/          a generation; with .part behind its name while it is written
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

from filelock import FileLock, Timeout

from copilot.domain.errors import Conflict

_LOCK_WAIT_S = 10.0


class Generations:
    """Of one directory, which the first writer makes. Its user sees to it that one thread writes at a time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = FileLock(root / "writer.lock", thread_local=False)

    def acquire(self) -> None:
        """Becomes the process that writes. Raises Conflict naming the process that is, if it says."""
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=_LOCK_WAIT_S)
        except Timeout as error:
            raise Conflict(f"{self._holder()} is writing the index {self.root}; try again when it is done, or stop it.") from error
        text = json.dumps({"pid": os.getpid(), "program": Path(sys.argv[0]).name})
        (self.root / "writer.json").write_text(text, encoding="utf-8")

    def release(self) -> None:
        (self.root / "writer.json").unlink(missing_ok=True)
        self._lock.release()

    def _holder(self) -> str:
        try:
            found = json.loads((self.root / "writer.json").read_text(encoding="utf-8"))
            return f"Process {int(found['pid'])} ({found['program']})"
        except (OSError, ValueError, KeyError, TypeError):
            return "Another process"

    def current(self) -> str:
        """The name of the generation in use; "" before there is one."""
        try:
            return (self.root / "current").read_text(encoding="utf-8").strip()
        except OSError:
            return ""

    def path(self, name: str) -> Path:
        return self.root / name

    def next_path(self) -> Path:
        """Where the next generation is to stand."""
        numbers = [int(path.name[4:]) for path in self.root.glob("gen-*") if path.name[4:].isdigit()]
        return self.root / f"gen-{max(numbers, default=0) + 1:06d}"

    def staging(self, path: Path) -> Path:
        """An empty directory in which the generation ``path`` is written; rename it to that."""
        staging = path.with_name(path.name + ".part")
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        return staging

    def point_at(self, path: Path) -> None:
        """From here on ``path`` is in use."""
        pointer = self.root / "current.part"
        pointer.write_text(path.name, encoding="utf-8")
        pointer.replace(self.root / "current")

    def remove_others(self, keep: Path) -> None:
        """Removes every generation but one: those that were in use, and what a killed run left behind."""
        for path in self.root.glob("gen-*"):
            if path != keep:
                shutil.rmtree(path, ignore_errors=True)
