"""A folder of knowledge files → articles. Everything is read and checked first; with one fault nothing is returned.

faq/<domain>.<lang>.yaml    ``domain``, ``lang``, ``entries``: a list of questions with their approved answers
articles/<id>.<lang>.md     the same keys as front matter between ``---`` lines, then Markdown
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal

import yaml

from copilot.domain.errors import InvalidInput
from copilot.domain.ids import ArticleId
from copilot.domain.knowledge import Article

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")
_KEYS = frozenset(
    (
        "id",
        "title",
        "questions",
        "answer",
        "body",
        "products",
        "channels",
        "intent",
        "tags",
        "owner",
        "valid_from",
        "valid_to",
        "state",
        "audience",
    )
)
_FRONT_KEYS = _KEYS - {"body"} | {"lang", "domain"}
_STATES = ("draft", "in_review", "published", "expired", "retired")
_AUDIENCES = ("customer", "agent")
_MAX_FAULTS = 20
_MAX_FILE_BYTES = 8 << 20


@dataclass(slots=True)
class _Faults:
    """Collects what is wrong, each as ``file, entry: what to do``."""

    found: list[str] = field(default_factory=list)

    def add(self, where: str, what: str) -> None:
        self.found.append(f"{where}: {what}")

    def raise_if_any(self, root: Path) -> None:
        if self.found:
            shown = "\n".join(f"- {fault}" for fault in self.found[:_MAX_FAULTS])
            more = f"\n… and {len(self.found) - _MAX_FAULTS} more" if len(self.found) > _MAX_FAULTS else ""
            raise InvalidInput(f"Nothing was imported from {root}; correct {len(self.found)} fault(s) first:\n{shown}{more}")


def load_articles(root: Path, *, form: Literal["faq", "article"] | None = None, name: str = "") -> list[Article]:
    """Articles of a bank folder, or of one FAQ or Markdown file, sorted by id and language.

    ``form`` and ``name`` say what one file holds and what it is called where its path does not. Raises InvalidInput listing every
    fault by file and entry; NotFound is not used: an empty folder is a fault too.
    """
    faults = _Faults()
    if not root.exists():
        raise InvalidInput(f"{root} does not exist; give a folder with faq/*.yaml and articles/*.md, or one such file.")
    articles: list[Article] = []
    origin: dict[tuple[str, str], str] = {}
    for path in article_files(root):
        source = path.relative_to(root).as_posix() if root.is_dir() else name or path.name
        is_article = path.suffix == ".md" if form is None else form == "article"
        reader = _read_markdown if is_article else _read_faq
        for where, article in reader(path, source, faults):
            key = (article.article_id, article.language)
            if key in origin:
                faults.add(where, f"the id {article.article_id} ({article.language}) is used in {origin[key]} already; give it another id")
                continue
            origin[key] = where
            articles.append(article)
    if not articles and not faults.found:
        faults.add(str(root), "no articles found; put FAQ files in faq/*.yaml and longer articles in articles/*.md")
    faults.raise_if_any(root)
    return sorted(articles, key=lambda article: (article.article_id, article.language))


def article_files(root: Path) -> list[Path]:
    """The files that hold articles: of a folder ``faq/**/*.y(a)ml`` and ``articles/**/*.md``."""
    if root.is_file():
        return [root]
    faq = [path for pattern in ("*.yaml", "*.yml") for path in (root / "faq").rglob(pattern)]
    return sorted(faq) + sorted(path for path in (root / "articles").rglob("*.md"))


def _read_faq(path: Path, source: str, faults: _Faults) -> Iterator[tuple[str, Article]]:
    data = _parse_yaml(path, source, faults)
    if data is None:
        return
    if not isinstance(data, dict) or not isinstance(data.get("entries"), list):
        faults.add(source, "must be a mapping with domain, lang and a list called entries")
        return
    language, domain = data.get("lang"), data.get("domain")
    if language not in {"zh", "en"}:
        faults.add(source, "lang must be zh or en")
        return
    for number, entry in enumerate(data["entries"], 1):
        name = entry.get("id") if isinstance(entry, dict) else None
        where = f"{source}, entry {number}" + (f" ({name})" if name else "")
        if not isinstance(entry, dict):
            faults.add(where, "must be a mapping")
            continue
        article = _article(entry, _KEYS, str(entry.get("body", "") or ""), language, str(domain or ""), "faq", source, where, faults)
        if article is not None:
            yield where, article


def _read_markdown(path: Path, source: str, faults: _Faults) -> Iterator[tuple[str, Article]]:
    text = _read(path, source, faults)
    if text is None:
        return
    match = re.match(r"---\n(.*?)\n---\n?(.*)\Z", text, re.DOTALL)
    if match is None:
        faults.add(source, "must begin with front matter between two lines of ---")
        return
    front = _load_yaml(match.group(1), source, faults)
    if not isinstance(front, dict):
        faults.add(source, "the front matter must be a mapping")
        return
    if front.get("lang") not in {"zh", "en"}:
        faults.add(source, "lang must be zh or en")
        return
    article = _article(
        front, _FRONT_KEYS, match.group(2).strip() + "\n", front["lang"], str(front.get("domain") or ""), "article", source, source, faults
    )
    if article is not None:
        yield source, article


def _article(
    entry: Mapping[str, Any],
    keys: frozenset[str],
    body: str,
    language: str,
    domain: str,
    kind: Literal["faq", "article"],
    source: str,
    where: str,
    faults: _Faults,
) -> Article | None:
    before = len(faults.found)
    for key in sorted(set(entry) - keys):
        faults.add(where, f"unknown key {key}; known are {', '.join(sorted(keys))}")
    article_id, title, answer = (_text(entry, key, where, faults) for key in ("id", "title", "answer"))
    if article_id and not _ID.fullmatch(article_id):
        faults.add(where, f"id {article_id!r} must be lower-case letters, digits, '-', '_' or '.'")
    for key, value in (("id", article_id), ("title", title)):
        if not value:
            faults.add(where, f"{key} is missing or empty")
    if not answer and not body.strip():
        faults.add(where, "needs an answer or a body")
    lists = {key: _list(entry, key, where, faults) for key in ("questions", "products", "channels", "tags")}
    begins, ends = (_date(entry, key, where, faults) for key in ("valid_from", "valid_to"))
    if begins and ends and ends < begins:
        faults.add(where, "valid_to is before valid_from")
    state = entry.get("state", "published")
    if state not in _STATES:
        faults.add(where, f"state must be one of {', '.join(_STATES)}")
    audience = entry.get("audience", "customer")
    if audience not in _AUDIENCES:
        faults.add(where, f"audience must be one of {', '.join(_AUDIENCES)}")
    if len(faults.found) > before:
        return None
    return Article(
        article_id=ArticleId(article_id),
        version=1,
        language=language,
        domain=domain,
        title=title,
        body=body,
        kind=kind,
        answer=answer,
        questions=lists["questions"],
        products=lists["products"],
        channels=lists["channels"],
        intent=_text(entry, "intent", where, faults),
        tags=lists["tags"],
        owner=_text(entry, "owner", where, faults),
        valid_from=begins,
        valid_to=ends,
        state=state,
        source=source,
        audience=audience,
    )


def _text(entry: Mapping[str, Any], key: str, where: str, faults: _Faults) -> str:
    value = entry.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        faults.add(where, f"{key} must be text; put it in quotes")
        return ""
    return value.strip()


def _list(entry: Mapping[str, Any], key: str, where: str, faults: _Faults) -> tuple[str, ...]:
    value = entry.get(key) or []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        faults.add(where, f"{key} must be a list of texts; put an entry with ':' or only digits in quotes")
        return ()
    return tuple(item.strip() for item in value if item.strip())


def _date(entry: Mapping[str, Any], key: str, where: str, faults: _Faults) -> date | None:
    value = entry.get(key)
    if value is None or type(value) is date:
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        faults.add(where, f"{key} must be a date such as 2026-01-31")
        return None


def _parse_yaml(path: Path, source: str, faults: _Faults) -> Any:
    text = _read(path, source, faults)
    return None if text is None else _load_yaml(text, source, faults)


def _load_yaml(text: str, source: str, faults: _Faults) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark is not None else ""
        faults.add(source, f"not valid YAML{line} ({getattr(error, 'problem', None) or error})")
        return None


def _read(path: Path, source: str, faults: _Faults) -> str | None:
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            faults.add(source, f"is larger than {_MAX_FILE_BYTES >> 20} MiB; split it")
            return None
        return path.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        faults.add(source, f"cannot be read as UTF-8 text ({error})")
        return None
