"""Sealed recordings as blobs: a directory, S3-compatible storage, or whatever fsspec speaks."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from copilot.domain.errors import ConfigError, EngineError, InvalidInput, NotFound
from copilot.domain.ports.media import MediaStore

_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:@-]{0,199}")


def open_media(url: str) -> MediaStore:
    """The store behind ``media.url``: a directory (plain path or ``file://``, created if missing) or e.g. ``s3://bucket/prefix``.

    Credentials and endpoints of remote stores come from their own environment (``AWS_…``, ``FSSPEC_…``). Raises ConfigError.
    """
    if "://" not in url or url.startswith("file://"):
        root = Path(url.removeprefix("file://")).expanduser()
        if not url or not root.name:
            raise ConfigError("media.url must name a directory or an object store such as s3://bucket/prefix.")
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"media.url: the directory {root} cannot be made ({error.strerror}): choose one that can be written."
            ) from error
        return DirectoryMedia(root)
    import fsspec

    try:
        filesystem, root_path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"media.url cannot be opened ({error}): install the extra for it (s3: pip install 'pangting[s3]').") from error
    return FsspecMedia(filesystem, root_path)


def check_path(path: str) -> str:
    """A relative path of plain segments. Raises InvalidInput for anything that could leave the root."""
    if not path or not all(_SEGMENT.fullmatch(part) for part in path.split("/")):
        raise InvalidInput("A media path must be plain segments of letters, digits and ._:@- joined by slashes.")
    return path


class DirectoryMedia:
    """Blobs as files under a directory. ``put`` returns once the file is on the disk under its name, whole."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, path: str, data: bytes) -> None:
        target = self._root / check_path(path)
        with _engine_errors("stored"):
            new = [parent for parent in target.parents if not parent.exists()]
            target.parent.mkdir(parents=True, exist_ok=True)
            # The name cannot collide with a blob's: those never begin with a dot.
            handle, name = tempfile.mkstemp(dir=target.parent, prefix=".put-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).replace(target)
            except BaseException:
                with contextlib.suppress(OSError):
                    Path(name).unlink()
                raise
            for directory in (target.parent, *(parent.parent for parent in new)):
                _sync_directory(directory)

    def get(self, path: str) -> bytes:
        target = self._root / check_path(path)
        try:
            with _engine_errors("read"):
                return target.read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise NotFound(f"There is no recording at {path}.") from None

    def list(self, prefix: str) -> Iterator[str]:
        """Paths under the folder ``prefix`` ("" for all), sorted."""
        base = self._root / check_path(prefix.rstrip("/")) if prefix else self._root
        with _engine_errors("listed"):
            found = sorted(
                Path(folder, name).relative_to(self._root).as_posix()
                for folder, _, names in os.walk(base)
                for name in names
                if not name.startswith(".")
            )
        yield from found

    def delete(self, prefix: str) -> int:
        """Removes the blob or the folder ``prefix``."""
        base = self._root / check_path(prefix.rstrip("/"))
        removed = 0
        with _engine_errors("deleted"):
            if base.is_file():
                base.unlink()
                return 1
            for folder, _, names in os.walk(base, topdown=False):
                for name in names:
                    Path(folder, name).unlink()
                    removed += not name.startswith(".")
                Path(folder).rmdir()
        return removed


class FsspecMedia:
    """Blobs on an fsspec filesystem whose writes are atomic by nature (object stores)."""

    def __init__(self, filesystem: Any, root: str) -> None:
        self._fs = filesystem
        self._root = root.rstrip("/")

    def put(self, path: str, data: bytes) -> None:
        with _engine_errors("stored", missing=False):
            self._fs.pipe_file(f"{self._root}/{check_path(path)}", data)

    def get(self, path: str) -> bytes:
        try:
            with _engine_errors("read"):
                return bytes(self._fs.cat_file(f"{self._root}/{check_path(path)}"))
        except FileNotFoundError:
            raise NotFound(f"There is no recording at {path}.") from None

    def list(self, prefix: str) -> Iterator[str]:
        base = f"{self._root}/{check_path(prefix.rstrip('/'))}" if prefix else self._root
        try:
            with _engine_errors("listed"):
                self._fs.invalidate_cache(base)
                found = sorted(str(name) for name in self._fs.find(base))
        except FileNotFoundError:
            return
        cut = len(self._root.lstrip("/")) + 1
        for name in found:
            yield name.lstrip("/")[cut:]

    def delete(self, prefix: str) -> int:
        names = list(self.list(prefix))
        with _engine_errors("deleted"):
            for name in names:
                self._fs.rm_file(f"{self._root}/{name}")
        return len(names)


@contextlib.contextmanager
def _engine_errors(verb: str, *, missing: bool = True) -> Iterator[None]:
    """Failures of the storage as EngineError; a missing blob is the caller's to name, where there can be one."""
    try:
        yield
    except (InvalidInput, NotFound):
        raise
    except Exception as error:  # each filesystem behind fsspec has errors of its own
        if missing and isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError):
            raise
        raise EngineError(
            f"A recording could not be {verb} ({type(error).__name__}): check the storage behind media.url.", retryable=True
        ) from error


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
