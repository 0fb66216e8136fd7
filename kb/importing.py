"""A bank folder → the store: articles and packs, all or nothing, and nothing changes when nothing changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from copilot.domain.errors import InvalidInput
from copilot.domain.packs import PackFault
from copilot.domain.ports.knowledge import ArticleStore
from kb import packs
from kb.loaders import article_files, load_articles
from kb.reading.text import front_matter

Check = Callable[[str, str], Sequence[PackFault]]
"""(name, text) → what is wrong with a pack."""
_ANY_LANGUAGE = "*"
"""Packs hold both languages in one file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What was read (an article in two languages counts twice), how much of it was new, and which packs changed."""

    articles: int
    changed: int
    packs: Mapping[str, bool] = field(default_factory=dict)


def import_path(
    path: Path, articles: ArticleStore, progress: Callable[[str], None] | None = None, check: Check = packs.faults
) -> ImportReport:
    """Imports a folder, or one FAQ, Markdown or pack file. Idempotent. ``progress`` is told each step in a few words, ``check`` looks at
    each pack.

    Raises InvalidInput listing every fault by file and entry; then nothing was stored. Articles that the folder no longer has stay:
    they are retired on purpose, not by a missing file.
    """

    def say(text: str) -> None:
        if progress is not None:
            progress(text)

    texts = _read_packs(path, check)
    one_pack = path.is_file() and bool(texts)
    found = [] if one_pack or (texts and not article_files(path)) else load_articles(path)
    say(f"{path}: {len(found)} articles, {len(texts)} packs")
    # Packs first: they are few, checked already, and an article's intent should be known before the article.
    changed_packs = {name: articles.put_pack(name, _ANY_LANGUAGE, text) for name, text in texts.items()}
    changed = articles.upsert(found) if found else 0
    say(f"{changed} articles and {sum(changed_packs.values())} packs changed")
    return ImportReport(articles=len(found), changed=changed, packs=changed_packs)


def is_bank(path: Path) -> bool:
    """True for what is in Pangting's own formats: a folder with packs, ``faq/*.yaml`` or ``articles/*.md``; a YAML file, an article."""
    if path.is_dir():
        own = [path / f"{name}.yaml" for name in packs.LISTS]
        return any(file.is_file() for file in own) or any(file.suffix != ".md" or _is_article(file) for file in article_files(path))
    return path.suffix in {".yaml", ".yml"} or (path.suffix == ".md" and _is_article(path))


def _is_article(path: Path) -> bool:
    try:
        front = front_matter(path.read_bytes())
    except OSError:
        return False
    return front is not None and "id" in front


def preview_path(path: Path, articles: ArticleStore, check: Check = packs.faults) -> ImportReport:
    """What ``import_path`` would do, without storing anything. Raises InvalidInput as it does."""
    texts = _read_packs(path, check)
    one_pack = path.is_file() and bool(texts)
    found = [] if one_pack or (texts and not article_files(path)) else load_articles(path)
    stored = {name: articles.pack(name) for name in texts}
    changed_packs = {name: known is None or known[1] != texts[name] for name, known in stored.items()}
    return ImportReport(articles=len(found), changed=articles.changes(found), packs=changed_packs)


def report_json(report: ImportReport) -> dict[str, Any]:
    """The form of ``pangting kb import --json`` (docs/reference/schemas/kb-import.json)."""
    return {"articles": report.articles, "changed": report.changed, "packs": dict(report.packs)}


def _read_packs(path: Path, check: Check) -> dict[str, str]:
    """Packs by name. Raises InvalidInput if one is not fit for use."""
    files = [path] if path.is_file() else [path / f"{name}.yaml" for name in packs.LISTS]
    texts: dict[str, str] = {}
    problems: list[str] = []
    for file in files:
        if file.stem not in packs.LISTS or file.suffix != ".yaml" or not file.is_file():
            continue
        try:
            text = file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{file.name}: cannot be read as UTF-8 text ({error})")
            continue
        problems += [f"{file.name}{f', line {fault.line}' if fault.line else ''}, {fault}" for fault in check(file.stem, text)]
        texts[file.stem] = text
    if problems:
        listed = "\n".join(f"- {problem}" for problem in problems[:20])
        raise InvalidInput(f"Nothing was imported from {path}; correct {len(problems)} fault(s) first:\n{listed}")
    return texts
