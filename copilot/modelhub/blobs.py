"""Content-addressed files: ``<dir>/blobs/sha256-<hex>``, complete and verified or not there at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

_CHUNK = 1 << 20


def sha256_of(path: Path, progress: Callable[[int], None] | None = None) -> str:
    """Hex sha256 of a file, read in pieces of 1 MiB; ``progress`` is told the bytes of each piece."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            digest.update(piece)
            if progress is not None:
                progress(len(piece))
    return digest.hexdigest()


class Stamps:
    """Remembers which files were hashed, by size, time and inode, so that a start need not hash gigabytes again.

    A convenience, not a defence: ``verify`` always reads the bytes. Nothing is remembered in a directory that cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def holds(self, path: Path, sha256: str) -> bool:
        """True if the file was found to have this sha256 before and looks unchanged since."""
        return self._read().get(str(path.resolve())) == [sha256, *_fingerprint(path)]

    def remember(self, path: Path, sha256: str) -> None:
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self._path}.lock"):
                known = {name: stamp for name, stamp in self._read().items() if Path(name).exists()}
                known[str(path.resolve())] = [sha256, *_fingerprint(path)]
                write_atomically(self._path, json.dumps(known, indent=0).encode())

    def _read(self) -> dict[str, list[object]]:
        try:
            data = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return data if isinstance(data, dict) else {}


class BlobStore:
    """Verified files by content. Safe for several processes: a blob appears by one atomic rename."""

    def __init__(self, root: Path, stamps: Stamps) -> None:
        self._root = root
        self._stamps = stamps

    def path(self, sha256: str) -> Path:
        return self._root / f"sha256-{sha256}"

    def has(self, sha256: str, size: int) -> bool:
        """True if the blob is there and its bytes are right; a damaged one is removed."""
        path = self.path(sha256)
        if not path.is_file():
            return False
        if path.stat().st_size == size and (self._stamps.holds(path, sha256) or sha256_of(path) == sha256):
            self._stamps.remember(path, sha256)
            return True
        path.unlink(missing_ok=True)
        return False

    def adopt(self, staged: Path, sha256: str) -> bool:
        """Moves a finished file in if its sha256 is right; deletes it and says False if not."""
        if sha256_of(staged) != sha256:
            staged.unlink(missing_ok=True)
            return False
        self._root.mkdir(parents=True, exist_ok=True)
        staged.chmod(0o444)
        sync(staged)
        staged.replace(self.path(sha256))
        self._stamps.remember(self.path(sha256), sha256)
        return True

    def place(self, sha256: str, target: Path) -> None:
        """Puts the blob at ``target`` as a hard link, or as a copy where links are not possible. Atomic."""
        target.parent.mkdir(parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(prefix=".place-", dir=target.parent))
        try:
            link = staged / target.name
            try:
                os.link(self.path(sha256), link)
            except OSError:
                shutil.copyfile(self.path(sha256), link)
            link.replace(target)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
        self._stamps.remember(target, sha256)


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a small file by rename, so that readers see the old or the new bytes."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    staged = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Flushes a file's bytes to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _fingerprint(path: Path) -> list[object]:
    try:
        stat = path.stat()
    except OSError:
        return []
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino]
