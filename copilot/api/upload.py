"""A multipart upload straight into files: nothing of it is held in memory but a block, and no name of the sender is used on disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from copilot.domain.errors import InvalidInput
from copilot.domain.imports import ImportInput

MAX_PARTS = 2_000
_BLOCK = 1 << 20
_LONGEST_NAME = 500


class Upload:
    """Takes the parts of a multipart/form-data body that have a file name. Blocking; for one thread at a time."""

    def __init__(self, content_type: str, folder: Path) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise InvalidInput("Send the files as multipart/form-data.")
        self.inputs: list[ImportInput] = []
        self._folder = folder
        self._file: BinaryIO | None = None
        self._header = (bytearray(), bytearray())
        self._headers: dict[bytes, bytes] = {}
        self._parts = 0
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begins,
                "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                "on_header_end": self._header_ends,
                "on_headers_finished": self._open,
                "on_part_data": self._write,
                "on_part_end": self.close,
                "on_end": self._end,
            },
        )

    def feed(self, data: bytes) -> None:
        """Raises InvalidInput."""
        try:
            self._parser.write(data)
        except MultipartParseError:
            raise InvalidInput("The upload is not proper multipart/form-data.") from None

    def finish(self) -> list[ImportInput]:
        """The files, in order. Raises InvalidInput when the upload broke off or has none."""
        self.close()
        if not self._ended:
            raise InvalidInput("The upload broke off; send it again.")
        if not self.inputs:
            raise InvalidInput("There is no file in the upload; choose at least one.")
        return self.inputs

    def close(self) -> None:
        """Closes the file that is being written."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _part_begins(self) -> None:
        self._headers.clear()
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise InvalidInput(f"One upload may have {MAX_PARTS} files; pack them into a zip archive.")

    def _header_ends(self) -> None:
        field, value = self._header
        self._headers[bytes(field).lower()] = bytes(value)
        field.clear()
        value.clear()

    def _open(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        given = options.get(b"filename")
        if given is None:
            return
        path = self._folder / f"{len(self.inputs):05d}"
        self.inputs.append(ImportInput(name=source_name(given.decode("utf-8", "replace")), path=str(path)))
        self._file = path.open("wb")

    def _write(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])

    def _end(self) -> None:
        self._ended = True


def source_name(given: str) -> str:
    """The name of an uploaded file inside of the import, folders kept. Raises InvalidInput for one that is none."""
    parts = PurePosixPath(given.replace("\\", "/")).parts
    name = "/".join(part for part in parts if part not in {"/", "."})
    if not name or ".." in parts or len(name) > _LONGEST_NAME or not name.isprintable():
        raise InvalidInput("A file has a name that cannot be used; rename it.")
    return name


async def receive(stream: AsyncIterator[bytes], upload: Upload) -> list[ImportInput]:
    """The whole body into files, written in worker threads block by block. Raises InvalidInput."""
    held: list[bytes] = []
    size = 0
    try:
        async for chunk in stream:
            held.append(chunk)
            size += len(chunk)
            if size >= _BLOCK:
                await asyncio.to_thread(upload.feed, b"".join(held))
                held, size = [], 0
        await asyncio.to_thread(upload.feed, b"".join(held))
        return await asyncio.to_thread(upload.finish)
    finally:
        upload.close()
