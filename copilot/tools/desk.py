"""The question desk: what an agent asks becomes one checked query or one declared look-up, or a refusal that says why. Audited.

Nothing that is said in a call starts a tool; only a signed-in person does, by typing. A look-up of an identified customer, or one that may
change something, runs only after that person has confirmed exactly it.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from copilot.domain.clock import Clock
from copilot.domain.errors import EngineError, Forbidden, InvalidInput, NotFound
from copilot.domain.ids import OrgId, UserId
from copilot.domain.people import AuditEntry
from copilot.domain.ports.llm import TextModel
from copilot.privacy.find import find_pii
from copilot.tools.database import ViewsDatabase
from copilot.tools.files import ToolSet
from copilot.tools.http import address, look_up
from copilot.tools.sql import checked

_CONFIRM_S = 120.0
_MOST_WAITING = 1000
_SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"sql": {"type": "string", "maxLength": 2000}},
    "required": ["sql"],
    "additionalProperties": False,
}


Refusal = Literal["", "not_set_up", "personal", "no_match", "not_allowed"]


class _Refused(InvalidInput):
    """Why a question is not answered, as a word for the screen and a sentence."""

    def __init__(self, reason: Refusal, sentence: str) -> None:
        super().__init__(sentence)
        self.reason: Refusal = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolAnswer:
    """``rows`` of a query or the one row of a look-up; ``refused``: why nothing ran (``reason``: in a word); ``confirmation``: what the
    agent must confirm with.

    ``statement``: the query that ran, for whoever wants to see it. ``generated``: a model wrote it.
    """

    status: Literal["answered", "refused", "confirm"]
    source: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    statement: str = ""
    generated: bool = False
    refused: str = ""
    reason: Refusal = ""
    confirmation: str = ""


@dataclass(slots=True)
class ToolDesk:
    """The tools of one organisation. Methods block and are thread-safe; they raise EngineError when a system behind them fails.

    ``audit`` takes a line for everything that ran or was refused.
    """

    tools: ToolSet
    database: ViewsDatabase | None
    clock: Clock
    audit: Callable[[AuditEntry], None]
    model: TextModel | None = None
    most_rows: int = 50
    client: httpx.Client = field(default_factory=lambda: httpx.Client(follow_redirects=False, trust_env=False))
    _waiting: dict[str, tuple[str, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, question: str, language: str, org_id: OrgId, user_id: UserId) -> ToolAnswer:
        """Answers a question over the allowed views."""
        try:
            answer = self._answer(question, language)
        except InvalidInput as error:
            reason = error.reason if isinstance(error, _Refused) else "not_allowed"
            answer = ToolAnswer(status="refused", refused=str(error), reason=reason)
        self._audited("tool.query" if answer.status == "answered" else "tool.refused", answer.source or "question", org_id, user_id)
        return answer

    def _answer(self, question: str, language: str) -> ToolAnswer:
        if self.database is None or not self.tools.views:
            raise _Refused("not_set_up", "No views are set up to answer questions from.")
        if find_pii(question) or "【" in question:
            raise _Refused("personal", "The question names a person or a number of one; the views hold nothing about customers.")
        for known in self.tools.questions:
            for pattern in known.patterns.get(language, ()):
                if match := pattern.search(question):
                    values = {name: value or "" for name, value in match.groupdict().items()}
                    return self._run(known.sql, values, known.question_id, generated=False)
        if self.model is None:
            raise _Refused("no_match", "None of the questions that are set up fits.")
        views = [{"name": view.name, "about": view.about, "columns": dict(view.columns)} for view in self.tools.views]
        variables: dict[str, object] = {"language": language, "question": question, "views": views, "dialect": self.database.dialect}
        written = str(self.model.complete_json("sql", variables, _SCHEMA)["sql"]).strip()
        if not written:
            raise _Refused("no_match", "The views hold nothing that answers the question.")
        return self._run(written, {}, "model", generated=True)

    def _run(self, sql: str, values: Mapping[str, str], source: str, *, generated: bool) -> ToolAnswer:
        assert self.database is not None
        statement = checked(sql, self.tools.views, dialect=self.database.dialect, most_rows=self.most_rows, parameters=frozenset(values))
        columns, rows = self.database.rows(statement, values, self.most_rows)
        shown = tuple(tuple("" if value is None else str(value)[:500] for value in row) for row in rows)
        return ToolAnswer(status="answered", source=source, columns=columns, rows=shown, statement=statement, generated=generated)

    def look_up(self, tool_id: str, values: Mapping[str, str], confirmation: str, org_id: OrgId, user_id: UserId) -> ToolAnswer:
        """Runs a declared look-up, or asks for a confirmation first. Raises NotFound, InvalidInput, Forbidden, EngineError."""
        tool = next((tool for tool in self.tools.http if tool.tool_id == tool_id), None)
        if tool is None:
            raise NotFound("There is no look-up of this name.")
        address(tool, values)
        if tool.confirm:
            key = _key(org_id, user_id, tool_id, values)
            if not confirmation:
                return ToolAnswer(status="confirm", source=tool_id, confirmation=self._await(key))
            self._confirmed(key, confirmation)
        try:
            found = look_up(tool, values, self.client)
        except EngineError:
            self._audited("tool.failed", tool_id, org_id, user_id)
            raise
        self._audited("tool.call", tool_id, org_id, user_id)
        return ToolAnswer(status="answered", source=tool_id, columns=tuple(found), rows=(tuple(found.values()),))

    def _await(self, key: str) -> str:
        now = self.clock.monotonic()
        with self._lock:
            self._waiting = {token: entry for token, entry in self._waiting.items() if entry[1] > now}
            if len(self._waiting) >= _MOST_WAITING:
                raise EngineError("Too many look-ups wait for their confirmation; try again in a minute.", retryable=True)
            token = secrets.token_urlsafe(16)
            self._waiting[token] = (key, now + _CONFIRM_S)
        return token

    def _confirmed(self, key: str, confirmation: str) -> None:
        with self._lock:
            entry = self._waiting.pop(confirmation, None)
        if entry is None or entry[0] != key or entry[1] <= self.clock.monotonic():
            raise Forbidden("This confirmation is for something else, was used already or is too old: ask again and confirm anew.")

    def _audited(self, action: str, target: str, org_id: OrgId, user_id: UserId) -> None:
        self.audit(AuditEntry(org_id=org_id, at=self.clock.now(), actor=user_id, action=action, target=target))

    def listed(self, language: str) -> list[dict[str, Any]]:
        """What can be asked, for the screen."""
        questions = [{"id": item.question_id, "kind": "question", "name": _text(item.name, language)} for item in self.tools.questions]
        return questions + [
            {
                "id": tool.tool_id,
                "kind": "look_up",
                "name": _text(tool.name, language),
                "confirm": tool.confirm,
                "parameters": [
                    {"name": parameter.name, "label": _text(parameter.label, language), "pattern": parameter.pattern.pattern}
                    for parameter in tool.parameters
                ],
            }
            for tool in self.tools.http
        ]


def _text(texts: Mapping[str, str], language: str) -> str:
    return texts.get(language) or next(iter(texts.values()), "")


def _key(org_id: str, user_id: str, tool_id: str, values: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps([org_id, user_id, tool_id, sorted(values.items())]).encode()).hexdigest()
