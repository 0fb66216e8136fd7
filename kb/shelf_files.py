"""The files of a shelf (``kb.shelf``): passages as lines of JSON, and copies that share what never changes."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from copilot.domain.ids import ArticleId, PassageId
from copilot.domain.knowledge import Passage


def write_passages(path: Path, keys: Iterable[int], passages: Mapping[int, Passage]) -> None:
    """One a line, in the order of ``keys``."""
    with path.open("w", encoding="utf-8") as file:
        for key in keys:
            one = passages[key]
            row = [key, one.passage_id, one.article_id, one.version, one.kind, one.section, one.text, one.start, one.end]
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def read_passages(path: Path, language: str) -> Iterator[tuple[int, Passage]]:
    """Keys and passages in the order of the file. Raises ValueError for a line that is none."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            key, passage_id, article_id, version, kind, section, text, start, end = json.loads(line)
            yield (
                int(key),
                Passage(
                    passage_id=PassageId(passage_id),
                    # The passages of an article share its id, and many share a section.
                    article_id=ArticleId(sys.intern(article_id)),
                    version=version,
                    language=language,
                    kind=kind,
                    section=sys.intern(section),
                    text=text,
                    start=start,
                    end=end,
                ),
            )


def link_tree(source: Path, target: Path) -> None:
    """A copy that shares the segment files, which are never changed once written; the small JSON files are copied."""
    target.mkdir()
    for path in source.iterdir():
        if path.name.endswith(".lock"):
            continue
        if path.suffix == ".json":
            shutil.copyfile(path, target / path.name)
        else:
            link(path, target / path.name)


def link(source: Path, target: Path) -> None:
    """A hard link, or a copy where the file system has none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def link_shelf(source: Path, target: Path) -> None:
    """The same shelf under another name; nothing is copied that can be shared."""
    target.mkdir()
    link_tree(source / "terms", target / "terms")
    for path in source.iterdir():
        if path.is_file():
            link(path, target / path.name)
