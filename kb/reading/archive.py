"""Folders and zip archives → the files in them, within bounds. An archive's own names are never used as paths on disk."""

from __future__ import annotations

import contextlib
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kb.reading.kinds import check_ratio, kind_of
from kb.reading.limits import Limits
from kb.reading.port import Unreadable

_BLOCK = 1 << 20
_IGNORED_NAMES = frozenset({"thumbs.db", "desktop.ini"})
_IGNORED_FOLDERS = frozenset({"__MACOSX"})
_UTF8_NAMES = 0x800
_ENCRYPTED = 0x1


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file to import. ``name``: its path inside the import, with ``/``; ``fault``: why it cannot be read, known already."""

    name: str
    path: Path
    fault: Unreadable | None = None


def ignored(name: str) -> bool:
    """Files that systems and editors leave beside the real ones."""
    path = PurePosixPath(name)
    if any(part.startswith(".") or part in _IGNORED_FOLDERS for part in path.parts):
        return True
    return path.name.lower() in _IGNORED_NAMES or path.name.startswith("~$")


def folder_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """(name, path) of every file below, sorted; symbolic links are not followed."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not path.is_symlink() and not ignored(name):
            yield f"{folder.resolve().name}/{name}", path


class Expander:
    """Unpacks the archives among the files of one import into ``spool``; what one import may hold is counted over all of them."""

    def __init__(self, spool: Path, limits: Limits) -> None:
        self._spool = spool
        self._limits = limits
        self._files = 0
        self._bytes = 0
        self._unpacked = 0

    def files(self, name: str, path: Path, depth: int = 0) -> Iterator[Found]:
        """The file itself, or what its archive holds: names ``archive/inner``. Raises Unreadable when the import holds too many files."""
        try:
            archive = kind_of(path, name, self._limits) == "zip"
        except Unreadable as fault:
            yield self._found(name, path, fault)
            return
        if not archive:
            yield self._found(name, path)
        elif depth > self._limits.nesting:
            nested = f"It is an archive inside of {depth} others and was not opened; unpack it and import what it holds."
            yield self._found(name, path, Unreadable("archive_nested", nested))
        else:
            yield from self._archive(name, path, depth)

    def _found(self, name: str, path: Path, fault: Unreadable | None = None) -> Found:
        self._files += 1
        if self._files > self._limits.entries:
            raise Unreadable(
                "entries", f"One import may hold {self._limits.entries:,} files; import the folders one by one.", f"{self._limits.entries}"
            )
        return Found(name=name, path=path, fault=fault)

    def _archive(self, name: str, path: Path, depth: int) -> Iterator[Found]:
        base = str(PurePosixPath(name).with_suffix(""))
        unpacked: list[tuple[str, Path]] = []
        try:
            with zipfile.ZipFile(path) as archive:
                check_ratio(archive, path.stat().st_size, self._limits)
                entries = [entry for entry in archive.infolist() if not entry.is_dir()]
                if len(entries) > self._limits.entries:
                    raise Unreadable("entries", f"It holds more than {self._limits.entries:,} files; split it.", f"{self._limits.entries}")
                named = [(inner_name(entry), entry) for entry in entries]
                for inner, entry in named:
                    if not ignored(inner):
                        unpacked.append((f"{base}/{inner}", self._unpack(archive, entry)))
        except Unreadable as fault:
            yield self._found(name, path, fault)
            return
        except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError, RuntimeError):
            damaged = "It is damaged: not every file in it can be unpacked; copy or make it again."
            yield self._found(name, path, Unreadable("damaged", damaged))
            return
        if not unpacked:
            yield self._found(name, path, Unreadable("empty", "It is an archive without files."))
        for inner, where in sorted(unpacked):
            yield from self.files(inner, where, depth + 1)

    def _unpack(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Path:
        if entry.flag_bits & _ENCRYPTED:
            raise Unreadable("password", "It is protected with a password; make it without one and import that.")
        self._unpacked += 1
        target = self._spool / f"{self._unpacked:06d}"
        with archive.open(entry) as source, target.open("wb") as file:
            while block := source.read(_BLOCK):
                self._bytes += len(block)
                if self._bytes > self._limits.total_bytes:
                    most = self._limits.total_bytes >> 20
                    raise Unreadable("archive_bomb", f"It unpacks to more than {most} MiB; split it.", f"{most} MiB")
                file.write(block)
        return target


def inner_name(entry: zipfile.ZipInfo) -> str:
    """The entry's name with ``/``; Chinese Windows writes GBK names without saying so. Raises Unreadable for one that leads outside."""
    name = entry.filename
    if not entry.flag_bits & _UTF8_NAMES:
        with contextlib.suppress(UnicodeError):  # what is neither keeps the archive's spelling
            name = name.encode("cp437").decode("gb18030")
    name = name.replace("\\", "/")
    path = PurePosixPath(name)
    mode = entry.external_attr >> 16
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0] or (mode and stat.S_ISLNK(mode)):
        raise Unreadable("archive_path", "It holds a name that leads outside of it, as files made to do harm do, and was not opened.")
    return str(path)
