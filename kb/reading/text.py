"""Markdown and plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from kb.reading import encodings
from kb.reading.document import Block, Document, Heading, Paragraph, Raw, clean, clean_lines
from kb.reading.port import Reading, too_much_text

_FRONT = re.compile(r"---\n(.*?)\n---(?:\n|\Z)", re.DOTALL)
_MAX_FRONT = 64_000
_HEADING = re.compile(r"(#{1,6})[ \t]+(.*?)[ \t#]*$")
_FENCE = re.compile(r" {0,3}(```+|~~~+)")
_UNDERLINE = re.compile(r"(=+|-+)[ \t]*$")


def read_markdown(path: Path, reading: Reading) -> Document:
    """The text as it is, cut at its headings; of front matter only the title is used."""
    text = _text(path, reading)
    front = front_matter(text.encode())
    if front is not None:
        text = _FRONT.sub("", text, count=1)
    title = front.get("title") if front is not None else None
    return Document(title=title if isinstance(title, str) else "", blocks=list(markdown_blocks(text)))


def front_matter(data: bytes) -> dict[str, Any] | None:
    """The mapping between two lines of ``---`` at the beginning of a Markdown file; None if there is none."""
    match = _FRONT.match(data[:_MAX_FRONT].decode("utf-8", "ignore").lstrip("\ufeff").replace("\r\n", "\n"))
    try:
        found = yaml.safe_load(match.group(1)) if match is not None else None
    except yaml.YAMLError:
        return None
    return found if isinstance(found, dict) else None


def read_text(path: Path, reading: Reading) -> Document:
    """Paragraphs are what blank lines part."""
    parts = (clean_lines(part) for part in re.split(r"\n[ \t　]*\n", _text(path, reading)))
    return Document(title="", blocks=[Paragraph(text=part) for part in parts if part])


def markdown_blocks(text: str) -> Iterator[Block]:
    """Headings, and what stands between them word for word; what looks like a heading inside a code fence is none. Pure."""
    held: list[str] = []
    fence = ""

    def between() -> Iterator[Block]:
        raw = "\n".join(held).strip("\n")
        held.clear()
        if raw.strip():
            yield Raw(text=raw)

    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if mark is not None and (not fence or (line.strip().startswith(fence) and not line.strip().strip(fence[0]))):
            fence = "" if fence else mark.group(1)
        match = None if fence or mark else _HEADING.match(line)
        if match is not None:
            yield from between()
            yield Heading(level=len(match.group(1)), text=clean(match.group(2)))
        elif not fence and held and held[-1].strip() and _UNDERLINE.match(line) and (len(held) == 1 or not held[-2].strip()):
            title = held.pop()
            yield from between()
            yield Heading(level=1 if line.startswith("=") else 2, text=clean(title))
        else:
            held.append(line)
    yield from between()


def _text(path: Path, reading: Reading) -> str:
    text = encodings.decode(path.read_bytes()).lstrip("\ufeff")
    if len(text) > reading.limits.characters:
        raise too_much_text(reading.limits)
    return re.sub(r"\r\n?", "\n", text).replace("\0", "")
