"""Webhooks of a server: the sender, what the API must know of it, and ticket files."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, cast

from copilot.domain.artifacts import Summary, TicketClassification
from copilot.domain.errors import CopilotError, InvalidInput, NotFound
from copilot.domain.ids import OrgId, UserId
from copilot.settings import Settings

if TYPE_CHECKING:
    from datetime import datetime

    from copilot.domain.calls import Call
    from copilot.domain.clock import Clock
    from copilot.domain.people import Scope
    from copilot.store.store import Store
    from postcall.export import TicketLine
    from postcall.packs import Taxonomy
    from postcall.webhooks.sender import WebhookSender

Json = dict[str, Any]
_PAGE = 200


class Taxonomies:
    """The ticket taxonomy of each organisation, parsed once a version."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._parsed = lru_cache(maxsize=16)(self._parse)

    def of(self, org_id: OrgId) -> Taxonomy | None:
        """None while none was imported, or it cannot be read."""
        found = self._store.articles(org_id).pack("taxonomy")
        return self._parsed(org_id, *found) if found is not None else None

    def _parse(self, _org_id: OrgId, _version: int, text: str) -> Taxonomy | None:
        from postcall.packs import parse_taxonomy

        try:
            return parse_taxonomy(text)
        except InvalidInput:
            return None


class Webhooks:
    """``copilot.api.context.WebhookRules``, and the sender while the server runs."""

    def __init__(self, settings: Settings, store: Store, clock: Clock, on_result: Callable[[str], None]) -> None:
        """Raises InvalidInput when a template of the operator's is none."""
        from postcall.webhooks.guard import Allowed
        from postcall.webhooks.payload import Payloads
        from postcall.webhooks.sender import WebhookSender
        from postcall.webhooks.templates import Templates

        self._send = settings.webhooks.send
        self._templates = Templates(settings.webhooks.templates)
        self._allowed = Allowed(hosts=settings.webhooks.hosts, only=settings.webhooks.only_hosts)
        payloads = Payloads(calls=store.calls, taxonomy=Taxonomies(store).of)
        self._sender: WebhookSender = WebhookSender(store.webhooks, payloads, self._templates, self._allowed, clock, on_result=on_result)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._send:
            self._task = asyncio.create_task(self._sender.run(), name="webhooks")

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def ring(self) -> None:
        self._sender.ring()

    def check(self, url: str, events: Sequence[str], template: str, authorization_env: str) -> None:
        from postcall.webhooks.sender import AUTHORIZATION_PREFIX

        self._allowed.check_url(url)
        if authorization_env and not authorization_env.startswith(AUTHORIZATION_PREFIX):
            raise InvalidInput(f"The name of an authorization variable must begin with {AUTHORIZATION_PREFIX}.")
        if template:
            wrong = sorted(set(events) - set(self._templates.get(template).events))
            if wrong:
                raise InvalidInput(f"The template {template} does not fit the event {wrong[0]}; leave the event out or choose another.")

    def templates(self) -> list[Json]:
        return [{"name": item.name, "description": item.description, "events": list(item.events)} for item in self._templates]

    def secret_text(self, secret: bytes) -> str:
        from postcall.webhooks.signing import secret_text

        return secret_text(secret)


class TicketFiles:
    """``copilot.api.context.TicketExport``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._taxonomies = Taxonomies(store)

    def write(self, scope: Scope, form: Literal["csv", "xlsx"], language: str, filters: Json) -> Iterable[bytes]:
        from postcall.export import write_csv, write_xlsx

        writer = write_csv if form == "csv" else write_xlsx
        return writer(self._lines(scope, filters), self._taxonomies.of(scope.org_id), language)

    def _lines(self, scope: Scope, filters: Json) -> Iterator[TicketLine]:
        from postcall.export import TicketLine

        names: dict[str | None, str] = {None: ""}
        for call in self._calls(scope, filters):
            newest = {item.kind: item for item in self._store.calls.artifacts(scope.org_id, call.call_id)}
            found = newest.get("ticket")
            ticket = found.body if found is not None else None
            if found is None or not isinstance(ticket, TicketClassification):
                continue
            if any(filters[name] is not None and getattr(ticket, name) != filters[name] for name in ("level1", "level2")):
                continue
            if call.agent_id not in names:
                names[call.agent_id] = self._name(scope.org_id, call.agent_id)
            summary = newest["summary"].body if "summary" in newest else None
            yield TicketLine(
                call=call,
                agent=names[call.agent_id],
                ticket=ticket,
                summary=summary if isinstance(summary, Summary) else None,
                confirmed=self._store.wrap_up.handed_in(scope.org_id, call.call_id),
            )

    def _calls(self, scope: Scope, filters: Json) -> Iterator[Call]:
        """Ended calls in the time asked for, newest first, page by page."""
        before: tuple[datetime, str] | None = (filters["before"], "") if filters["before"] is not None else None
        agent_id = cast("UserId | None", filters["agent_id"])
        while page := self._store.calls.calls(scope, limit=_PAGE, before=before, phase="ended", agent_id=agent_id):
            for call in page:
                if filters["after"] is not None and call.started_at is not None and call.started_at < filters["after"]:
                    return
                yield call
            last = page[-1]
            assert last.started_at is not None
            before = (last.started_at, last.call_id)

    def _name(self, org_id: OrgId, agent_id: UserId | None) -> str:
        try:
            return self._store.people.user(org_id, UserId(str(agent_id))).display_name
        except (NotFound, CopilotError):
            return str(agent_id or "")
