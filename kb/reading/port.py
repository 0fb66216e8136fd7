"""The port of the readers: a file in, its content out, and one way of saying that it cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from copilot.domain.errors import InvalidInput
from kb.reading.document import Document, FaqSheet
from kb.reading.limits import Limits

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Fault = Literal[
    "password", "damaged", "empty", "no_text", "needs_ocr", "unknown_type", "wrong_type", "old_office", "encoding", "columns", "rows",
    "too_large", "archive_bomb", "archive_path", "archive_nested", "pack", "entries", "taken", "stopped", "too_slow",
]  # fmt: skip
"""What can be wrong with a file. The screens have a sentence with the remedy for each (``import.error.<fault>`` in web/src/i18n)."""

Step = Callable[[int, int], None]
"""(done, total) pages or rows; total 0: not known. May raise to stop the reading."""


class Unreadable(InvalidInput):
    """A file that cannot be imported. ``fault`` says which way, ``detail`` what is particular to this file; never its text."""

    def __init__(self, fault: Fault, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.fault: Fault = fault
        self.detail = detail


def too_much_text(limits: Limits) -> Unreadable:
    """Of a file with more text than is read."""
    most = f"{limits.characters:,}"
    return Unreadable("too_large", f"It has more than {most} characters; split it.", most)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLine:
    """A line that OCR read: its box in pixels from the top left corner, and how sure it is, 0–1."""

    text: str
    x0: float
    x1: float
    top: float
    bottom: float
    confidence: float


class Ocr(Protocol):
    """Reads the text of a page's picture."""

    def lines(self, image: npt.NDArray[np.uint8]) -> list[ReadLine]:
        """``image``: ``[height, width, 3]``, RGB. Lines in no particular order."""
        ...


def _no_step(_done: int, _total: int) -> None:
    return


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a reader is given beside the file. ``ocr`` makes the engine when the first scanned page needs it; None: there is none here."""

    limits: Limits = field(default_factory=Limits)
    ocr: Callable[[], Ocr] | None = None
    step: Step = _no_step


class Reader(Protocol):
    """Reads one kind of file. Raises Unreadable; whatever else a library raises counts as a damaged file."""

    def __call__(self, path: Path, reading: Reading) -> Document | FaqSheet: ...
