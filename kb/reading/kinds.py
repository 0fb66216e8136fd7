"""Which kind of file it is: by its content where that is plain, else by the end of its name."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath
from typing import Literal

from kb.reading.limits import Limits
from kb.reading.port import Unreadable

Kind = Literal["pdf", "docx", "xlsx", "csv", "html", "markdown", "text", "yaml", "zip"]

_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_BY_NAME: dict[str, Kind] = {
    ".csv": "csv", ".tsv": "csv",
    ".html": "html", ".htm": "html", ".xhtml": "html",
    ".md": "markdown", ".markdown": "markdown",
    ".txt": "text",
    ".yaml": "yaml", ".yml": "yaml",
}  # fmt: skip
_BINARY = {".pdf": "PDF", ".docx": "Word document", ".xlsx": "Excel workbook", ".xlsm": "Excel workbook", ".zip": "zip archive"}
_OLD = {".doc": ".docx", ".xls": ".xlsx", ".ppt": ".pdf", ".wps": ".docx", ".et": ".xlsx"}
SUPPORTED = "PDF, DOCX, XLSX, CSV, HTML, Markdown, TXT, FAQ YAML and zip"


def kind_of(path: Path, name: str, limits: Limits) -> Kind:
    """``name``: as the person gave it. Raises Unreadable for what is empty, too large, encrypted, of an old Office format or unknown."""
    size = path.stat().st_size
    if size == 0:
        raise Unreadable("empty", "It is empty; check that it was saved and copied completely.")
    if size > limits.file_bytes:
        most = limits.file_bytes >> 20
        raise Unreadable("too_large", f"It is larger than {most} MiB; split it.", f"{most} MiB")
    with path.open("rb") as file:
        head = file.read(4096)
    ending = PurePosixPath(name).suffix.lower()
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head.startswith(_OLE):
        raise _compound(path, ending)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _packed(path, ending, limits)
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "html"  # also what many systems export with the ending .xls
    if ending in _BY_NAME:
        if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise Unreadable(
                "wrong_type", f"Its name ends in {ending}, but it is not text; export it again from where it was made.", ending
            )
        return _BY_NAME[ending]
    if ending in _BINARY:
        raise Unreadable(
            "wrong_type", f"Its name ends in {ending}, but it is no {_BINARY[ending]}; export it again from where it was made.", ending
        )
    if ending in _OLD:
        raise Unreadable("old_office", f"Files of the kind {ending} are not read; save it as {_OLD[ending]}.", _OLD[ending])
    raise Unreadable("unknown_type", f"Files of this kind are not read; what is read is {SUPPORTED}.", ending)


def _compound(path: Path, ending: str) -> Unreadable:
    """Of an OLE file: a protected Office file has its package encrypted inside; anything else there is an old format."""
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            if _ENCRYPTED in block:
                return Unreadable("password", "It is protected with a password; save a copy without one and import that.")
            if len(block) == 1 << 20:
                file.seek(-len(_ENCRYPTED), 1)
    new = _OLD.get(ending, ".docx")
    return Unreadable("old_office", f"It has the file format of Office before 2007; save it as {new}.", new)


def _packed(path: Path, ending: str, limits: Limits) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = {entry.filename for entry in archive.infolist()}
            if "[Content_Types].xml" not in names:
                return "zip"
            check_ratio(archive, path.stat().st_size, limits)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError):
        what = _BINARY.get(ending, "zip archive")
        raise Unreadable("damaged", f"It is damaged: it cannot be opened as a {what}; copy or export it again.") from None
    if "word/document.xml" in names:
        return "docx"
    if "xl/workbook.xml" in names:
        return "xlsx"
    raise Unreadable("unknown_type", f"Office files of this kind are not read; what is read is {SUPPORTED}.", ending)


def check_ratio(archive: zipfile.ZipFile, packed: int, limits: Limits) -> None:
    """Raises Unreadable for an archive that says it unpacks to more than is allowed. zipfile never gives more than an entry said."""
    unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > limits.total_bytes:
        most = limits.total_bytes >> 20
        raise Unreadable("archive_bomb", f"It unpacks to more than {most} MiB and was not opened; split it.", f"{most} MiB")
    if unpacked > limits.ratio_from and unpacked > limits.ratio * max(1, packed):
        raise Unreadable(
            "archive_bomb",
            f"It unpacks to more than {limits.ratio} times its size, as files made to do harm are, and was not opened.",
            f"{limits.ratio} : 1",
        )
