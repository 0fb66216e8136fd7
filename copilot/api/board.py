"""The live board on a feed: every running call in the viewer's scope, first whole, then what changed, at most twice a second.

Kept in memory per screen from what the bus says; what the bus may have lost is read from the store again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from anyio import to_thread

from copilot.api.context import ApiContext
from copilot.codec import dumps, split, to_json, to_json_time
from copilot.domain.board import BoardRow, apply_event
from copilot.domain.errors import NotFound
from copilot.domain.events import EventEnvelope
from copilot.domain.ids import CallId, UserId
from copilot.domain.people import User, scope_of

Json = dict[str, Any]
EVERY_S = 0.5
"""Between two messages: faster than a person looks from row to row, slow enough for hundreds of calls."""


def board_message(envelope: EventEnvelope) -> str:
    """An event for the boards: its payload without contents."""
    return dumps({"call_id": envelope.call_id, "seq": envelope.seq, "at": to_json_time(envelope.at), "event": split(envelope.event)[0]})


class Board:
    """One screen's board. ``note`` takes what the bus says; ``run`` sends."""

    def __init__(self, context: ApiContext, user: User, send: Callable[[Json], Awaitable[None]]) -> None:
        self._context = context
        self._user = user
        self._send = send
        self._rows: dict[CallId, BoardRow] = {}
        self._names: dict[UserId, str] = {}
        self._changed: set[CallId] = set()
        self._gone: set[CallId] = set()
        self._unknown: set[CallId] = set()
        self._reset = True
        self._waiting: list[Json] | None = None
        self._dirty = asyncio.Event()
        self._dirty.set()

    def note(self, body: Json) -> None:
        """An event of some call of the organisation, whether it is in scope or not."""
        if self._waiting is not None:
            self._waiting.append(body)  # the store is being read: this may or may not be in what comes
            return
        call_id, event = CallId(body["call_id"]), body["event"]
        row = self._rows.get(call_id)
        if event["type"] == "call_ended":
            if self._rows.pop(call_id, None) is not None:
                self._gone.add(call_id)
        elif event["type"] in ("call_started", "call_transferred") or row is None:
            # Whose it is decides who sees it: that is asked of the store, not of the event.
            if event["type"] in ("call_started", "call_transferred"):
                self._unknown.add(call_id)
        else:
            self._rows[call_id] = apply_event(row, event, datetime.fromisoformat(body["at"]), body["seq"])
            self._changed.add(call_id)
        self._dirty.set()

    def reload(self) -> None:
        """Something may have been missed, or the viewer's scope may have changed."""
        self._reset = True
        self._dirty.set()

    def viewer(self, user: User) -> None:
        """The same person with the roles and teams of this moment."""
        if user != self._user:
            self._user = user
            self.reload()

    async def run(self) -> None:
        """Sends until cancelled."""
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            message = await self._message()
            if message is not None:
                await self._send(message)
            await asyncio.sleep(EVERY_S)

    async def _message(self) -> Json | None:
        scope = scope_of(self._user)
        if self._reset:
            self._reset, self._waiting = False, []
            self._rows = await to_thread.run_sync(lambda: self._context.board.rows(scope))
            waited, self._waiting = self._waiting, None
            for kept in (self._changed, self._gone, self._unknown):
                kept.clear()
            for body in waited:
                self.note(body)
            await self._name(self._rows.values())
            return {"type": "board", "reset": True, "rows": [self._encode(row) for row in self._rows.values()], "gone": []}
        unknown, self._unknown = self._unknown, set()
        for call_id in unknown:
            found = (await to_thread.run_sync(lambda call_id=call_id: self._context.board.rows(scope, call_id))).get(call_id)  # type: ignore[misc]
            if found is not None:
                self._rows[call_id] = found
                self._changed.add(call_id)
            elif self._rows.pop(call_id, None) is not None:
                self._gone.add(call_id)
        changed, self._changed = self._changed, set()
        gone, self._gone = self._gone, set()
        rows = [self._rows[call_id] for call_id in changed if call_id in self._rows]
        if not rows and not gone:
            return None
        await self._name(rows)
        return {"type": "board", "reset": False, "rows": [self._encode(row) for row in rows], "gone": sorted(gone - self._rows.keys())}

    async def _name(self, rows: Any) -> None:
        missing = {row.agent_id for row in rows if row.agent_id is not None} - self._names.keys()
        for agent_id in missing:
            self._names[agent_id] = await to_thread.run_sync(lambda agent_id=agent_id: self._name_of(agent_id))  # type: ignore[misc]

    def _name_of(self, agent_id: UserId) -> str:
        try:
            return self._context.people.user(self._user.org_id, agent_id).display_name
        except NotFound:
            return ""

    def _encode(self, row: BoardRow) -> Json:
        encoded: Json = to_json(row)
        name = self._names.get(row.agent_id, "") if row.agent_id is not None else ""
        return {**encoded, "risk": round(row.risk, 3), "agent_name": name, "own": row.agent_id == self._user.user_id}
