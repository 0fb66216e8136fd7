"""Tool files: views that may be read, questions with their SQL, and HTTP look-ups. Parsed and checked whole before anything is used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import yaml

from copilot.domain.errors import InvalidInput
from copilot.tools.sql import View, checked

LANGUAGES = ("zh", "en")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_HOLE = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_MOST_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question that people ask, and its SQL. ``patterns``: named groups become the bound values of ``sql``."""

    question_id: str
    name: Mapping[str, str]
    patterns: Mapping[str, tuple[re.Pattern[str], ...]]
    sql: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A value the agent gives; the whole of it must match ``pattern``."""

    name: str
    pattern: re.Pattern[str]
    label: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpTool:
    """A look-up over HTTP. ``url``: a template whose holes are parameters, in the path or the query; the host is fixed.

    ``fields``: what of the JSON answer is shown. ``confirm``: the agent confirms before it runs, since it touches an identified
    customer or changes something.
    """

    tool_id: str
    name: Mapping[str, str]
    method: Literal["GET", "POST"]
    url: str
    parameters: tuple[Parameter, ...]
    fields: tuple[str, ...]
    timeout_s: float
    confirm: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSet:
    """What one file declares."""

    views: tuple[View, ...] = ()
    questions: tuple[Question, ...] = ()
    http: tuple[HttpTool, ...] = ()


def parse_tools(text: str, *, dialect: str = "sqlite", most_rows: int = 50) -> ToolSet:
    """The tools of a file. Raises InvalidInput naming the entry and the fault."""
    try:
        data = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise InvalidInput(f"The tool file is not valid YAML: {error}") from error
    if not isinstance(data, dict) or set(data) - {"version", "hosts", "views", "questions", "http"}:
        raise InvalidInput("The tool file may have: version, hosts, views, questions, http.")
    hosts = frozenset(str(host).casefold() for host in data.get("hosts") or ())
    views = tuple(_view(raw) for raw in _entries(data, "views"))
    return ToolSet(
        views=views,
        questions=tuple(_question(raw, views, dialect, most_rows) for raw in _entries(data, "questions")),
        http=tuple(_http(raw, hosts) for raw in _entries(data, "http")),
    )


def _entries(data: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    entries = data.get(key) or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and _NAME.fullmatch(str(entry.get("id", ""))) for entry in entries):
        raise InvalidInput(f"Tools: `{key}` is a list of entries with an `id` of small letters, digits and underscores.")
    if len({entry["id"] for entry in entries}) != len(entries):
        raise InvalidInput(f"Tools: an id of `{key}` is there twice.")
    return entries


def _texts(raw: Any, where: str) -> dict[str, str]:
    if not isinstance(raw, dict) or not any(raw.get(language) for language in LANGUAGES):
        raise InvalidInput(f"{where}: a text in zh or en is needed.")
    return {language: str(raw[language]) for language in LANGUAGES if raw.get(language)}


def _view(raw: dict[str, Any]) -> View:
    columns = raw.get("columns")
    if not isinstance(columns, dict) or not columns or not all(_NAME.fullmatch(str(name)) for name in columns):
        raise InvalidInput(f"View {raw['id']}: `columns` names each column and says what it holds.")
    return View(name=str(raw["id"]), columns={str(name): str(about) for name, about in columns.items()}, about=str(raw.get("about", "")))


def _question(raw: dict[str, Any], views: tuple[View, ...], dialect: str, most_rows: int) -> Question:
    where = f"Question {raw['id']}"
    patterns: dict[str, tuple[re.Pattern[str], ...]] = {}
    groups: set[frozenset[str]] = set()
    for language, written in (raw.get("patterns") or {}).items():
        found = []
        for pattern in written or ():
            try:
                found.append(re.compile(str(pattern), re.IGNORECASE))
            except re.error as error:
                raise InvalidInput(f"{where}: {pattern!r} is not a valid regular expression ({error}).") from error
            groups.add(frozenset(found[-1].groupindex))
        patterns[str(language)] = tuple(found)
    if len(groups) != 1:
        raise InvalidInput(f"{where}: patterns are needed, and all must have the same named groups.")
    try:
        checked(str(raw.get("sql", "")), views, dialect=dialect, most_rows=most_rows, parameters=next(iter(groups)))
    except InvalidInput as error:
        raise InvalidInput(f"{where}: {error}") from error
    return Question(question_id=str(raw["id"]), name=_texts(raw.get("name"), where), patterns=patterns, sql=str(raw["sql"]))


def _http(raw: dict[str, Any], hosts: frozenset[str]) -> HttpTool:
    where = f"HTTP tool {raw['id']}"
    url, method = str(raw.get("url", "")), str(raw.get("method", "GET")).upper()
    parts = urlsplit(url)
    host = (parts.hostname or "").casefold()
    if _HOLE.search(parts.netloc) or parts.username or parts.password or parts.fragment or not host:
        raise InvalidInput(f"{where}: the URL needs a fixed host, without a name or password in it.")
    if parts.netloc.casefold() not in hosts:
        raise InvalidInput(f"{where}: {parts.netloc} is not among `hosts`, which lists what may be asked, with the port if there is one.")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in ("127.0.0.1", "localhost")):
        raise InvalidInput(f"{where}: only https may be used, or http on this machine.")
    if method not in ("GET", "POST"):
        raise InvalidInput(f"{where}: the method is GET or POST.")
    parameters = []
    for name, about in (raw.get("parameters") or {}).items():
        if not isinstance(about, dict) or not _NAME.fullmatch(str(name)):
            raise InvalidInput(f"{where}: a parameter has a pattern and a label.")
        try:
            pattern = re.compile(str(about.get("pattern", "")))
        except re.error as error:
            raise InvalidInput(f"{where}, parameter {name}: the pattern is not a valid regular expression ({error}).") from error
        if not pattern.pattern or pattern.fullmatch(""):
            raise InvalidInput(f"{where}, parameter {name}: a pattern is needed that does not match nothing.")
        parameters.append(Parameter(name=str(name), pattern=pattern, label=_texts(about.get("label"), where)))
    if set(_HOLE.findall(url)) != {parameter.name for parameter in parameters}:
        raise InvalidInput(f"{where}: the holes of the URL and the parameters are not the same.")
    confirm = bool(raw.get("confirm", False))
    if method == "POST" and not confirm:
        raise InvalidInput(f"{where}: a tool that may change something needs `confirm: true`.")
    fields = tuple(str(name) for name in raw.get("fields") or ())
    if not fields:
        raise InvalidInput(f"{where}: `fields` says what of the answer is shown.")
    timeout_s = float(raw.get("timeout_s", 3.0))
    if not 0 < timeout_s <= _MOST_TIMEOUT_S:
        raise InvalidInput(f"{where}: timeout_s is above 0 and at most {_MOST_TIMEOUT_S:g}.")
    name = _texts(raw.get("name"), where)
    return HttpTool(
        tool_id=str(raw["id"]), name=name, method="GET" if method == "GET" else "POST", url=url, parameters=tuple(parameters),
        fields=fields, timeout_s=timeout_s, confirm=confirm,
    )  # fmt: skip
