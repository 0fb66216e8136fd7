"""One file → its articles: the reader for its kind, and every fault as one sentence for a person."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import yaml

from copilot.domain.errors import CopilotError, InvalidInput
from copilot.domain.knowledge import Article, ArticleState
from kb import packs
from kb.loaders import load_articles
from kb.reading.articles import articles_of
from kb.reading.document import Document, FaqSheet
from kb.reading.docx import read_docx
from kb.reading.html import read_html
from kb.reading.kinds import Kind, kind_of
from kb.reading.pdf import read_pdf
from kb.reading.port import Reader, Reading, Unreadable
from kb.reading.sheets import read_csv, read_xlsx
from kb.reading.text import front_matter, read_markdown, read_text

READERS: MappingProxyType[Kind, Reader] = MappingProxyType(
    {
        "pdf": read_pdf,
        "docx": read_docx,
        "xlsx": read_xlsx,
        "csv": read_csv,
        "html": read_html,
        "markdown": read_markdown,
        "text": read_text,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileArticles:
    """``notes``: what a person should know of how the file was read."""

    kind: Kind
    articles: tuple[Article, ...]
    notes: tuple[str, ...] = ()


def read_file(path: Path, name: str, state: ArticleState, reading: Reading, language: str | None = None) -> FileArticles:
    """The articles of one file; ``name``: its path inside the import.

    Raises Unreadable; what ``reading.step`` raises passes through.
    """
    kind = kind_of(path, name, reading.limits)
    own = _own_format(path, name, kind, state) if kind in {"yaml", "markdown"} else None
    if own is not None:
        return FileArticles(kind=kind, articles=own)
    if kind == "zip":
        raise Unreadable("archive_nested", "It is an archive that was not unpacked; import what it holds.")
    stopped: list[BaseException] = []
    content = _guarded(lambda: READERS[kind](path, replace(reading, step=_remembering(reading.step, stopped))), stopped)
    articles = articles_of(content, name, state, language)
    if not articles:
        raise Unreadable("no_text", "There is no text in it; if it shows pictures of text, import it as a PDF.")
    return FileArticles(kind=kind, articles=tuple(articles), notes=tuple(content.notes))


def _remembering(step: Callable[[int, int], None], stopped: list[BaseException]) -> Callable[[int, int], None]:
    """The same, keeping what it raises: a reader's library might wrap it."""

    def remembered(done: int, total: int) -> None:
        try:
            step(done, total)
        except BaseException as error:
            stopped.append(error)
            raise

    return remembered


def _guarded(read: Callable[[], Document | FaqSheet], stopped: list[BaseException]) -> Document | FaqSheet:
    try:
        return read()
    except MemoryError:
        raise Unreadable("too_large", "It needs more memory than an import may use; split it.", "memory") from None
    except Exception as error:
        # Parsers of foreign formats raise whatever they like on damaged files; what they say quotes the file, so it is not passed on.
        if stopped:
            raise stopped[0] from None
        if isinstance(error, CopilotError):
            raise
        hint = " (not all of it is there)" if isinstance(error, EOFError | zipfile.BadZipFile) else ""
        damaged = f"It is damaged{hint}: it cannot be read to its end; open it in its own program, save it again and import that."
        raise Unreadable("damaged", damaged, type(error).__name__) from error


def _own_format(path: Path, name: str, kind: Kind, state: ArticleState) -> tuple[Article, ...] | None:
    """Pangting's own FAQ YAML and Markdown with front matter, with ids and fields of their own; None for other Markdown."""
    if kind == "markdown":
        front = front_matter(path.read_bytes())
        if front is None or "id" not in front:
            return None
    elif Path(name).stem in packs.LISTS and _holds_list(path, packs.LISTS[Path(name).stem]):
        stem = Path(name).stem
        raise Unreadable("pack", "It is a configuration pack, no article; an administrator imports it with: pangting kb import PATH.", stem)
    try:
        found = load_articles(path, form="article" if kind == "markdown" else "faq", name=name)
    except InvalidInput as error:
        faults = "; ".join(
            line.removeprefix("- ").removeprefix(f"{name}: ").removeprefix(f"{name}, ") for line in str(error).splitlines()[1:]
        )
        raise Unreadable("rows", f"It must be corrected first: {faults}.", faults) from None
    return tuple(replace(article, state=state, source=name) for article in found)


def _holds_list(path: Path, key: str) -> bool:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return False
    return isinstance(data, dict) and key in data
