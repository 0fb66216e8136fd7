"""Two versions of a text laid side by side: paragraph by paragraph, and word by word (Chinese: character by character) inside. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from copilot.domain.knowledge import Article

Op = Literal["same", "removed", "added"]
_PIECE = re.compile(r"[A-Za-z0-9_.%]+|\s+|.", re.DOTALL)
_TEXTS = ("title", "answer", "body", "source", "owner", "domain", "intent", "audience")
_LISTS = ("questions", "products", "channels", "tags")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    op: Op
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDiff:
    """A field that changed; ``pieces`` joined without the removed ones are the new text, without the added ones the old."""

    field: str
    pieces: tuple[Piece, ...]


def diff_texts(old: str, new: str) -> tuple[Piece, ...]:
    """Paragraphs are matched first, so that a moved sentence does not turn the whole text red."""
    pieces: list[Piece] = []
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        left, right = "".join(before[i1:i2]), "".join(after[j1:j2])
        if tag == "equal":
            pieces.append(Piece(op="same", text=left))
        else:
            pieces += _inside(_PIECE.findall(left), _PIECE.findall(right))
    return tuple(_joined(pieces))


def diff_articles(old: Article | None, new: Article) -> tuple[FieldDiff, ...]:
    """The fields that differ, in the order in which a reviewer reads them. ``old`` None: everything is new."""
    found = []
    for name in (*_TEXTS[:3], *_LISTS[:1], *_TEXTS[3:], *_LISTS[1:], "valid_from", "valid_to"):
        before, after = _text(old, name), _text(new, name)
        if before != after:
            found.append(FieldDiff(field=name, pieces=diff_texts(before, after)))
    return tuple(found)


def _text(article: Article | None, name: str) -> str:
    value = getattr(article, name) if article is not None else None
    if value is None:
        return ""
    return "\n".join(value) if isinstance(value, tuple) else str(value)


def _inside(left: Sequence[str], right: Sequence[str]) -> list[Piece]:
    pieces = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        removed, added = "".join(left[i1:i2]), "".join(right[j1:j2])
        if tag == "equal":
            pieces.append(Piece(op="same", text=removed))
            continue
        pieces += [Piece(op="removed", text=removed)] if removed else []
        pieces += [Piece(op="added", text=added)] if added else []
    return pieces


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    """Neighbours of one kind as one."""
    out: list[Piece] = []
    for piece in pieces:
        if out and out[-1].op == piece.op:
            out[-1] = Piece(op=piece.op, text=out[-1].text + piece.text)
        elif piece.text:
            out.append(piece)
    return out
