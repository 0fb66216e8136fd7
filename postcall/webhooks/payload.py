"""What a message says, made anew at each attempt from versions that never change, so that it says the same each time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from copilot.codec import encode_call, to_json, to_json_time
from copilot.domain.artifacts import Artifact, TicketClassification
from copilot.domain.calls import Call
from copilot.domain.errors import NotFound
from copilot.domain.ids import CallId, OrgId
from copilot.domain.webhooks import Message
from postcall.packs import Taxonomy
from postcall.reading import named

Json = dict[str, Any]
_CALL = ("call_id", "started_at", "duration_ms", "direction", "language", "skill", "agent_id", "end_reason", "intents")
_WITH_BODIES = frozenset({"artifact.ready", "qa.finished", "ticket.confirmed", "artifacts.ready"})


class Calls(Protocol):
    """What the payload is made from. Synchronous."""

    def projected(self, org_id: OrgId, call_id: CallId) -> Call: ...

    def versions(self, org_id: OrgId, call_id: CallId, subject: Mapping[str, int]) -> Sequence[Artifact]:
        """These versions; for an empty subject the first of each kind. Raises NotFound when the call was erased."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Payloads:
    """``taxonomy`` names the categories of an organisation, None while it has none."""

    calls: Calls
    taxonomy: Callable[[OrgId], Taxonomy | None]

    def of(self, message: Message) -> Json:
        """``{type, timestamp, data}``. Raises NotFound when the call was erased."""
        payload: Json = {"type": message.event, "timestamp": to_json_time(message.created_at), "data": {}}
        if message.event == "webhook.test":
            return payload
        call = self.calls.projected(message.org_id, message.call_id)
        shown = encode_call(call)
        data: Json = {"call": {name: shown[name] for name in _CALL}, "subject": dict(message.subject)}
        if message.event in _WITH_BODIES:
            found = self.calls.versions(message.org_id, message.call_id, message.subject)
            data["artifacts"] = {
                item.kind: {"version": item.version, "body": to_json(item.body)} for item in found if item.kind != "recording"
            }
            ticket = next((item.body for item in found if isinstance(item.body, TicketClassification)), None)
            if ticket is not None:
                data["category"] = self._category(message.org_id, ticket, call.language or "zh")
        return {**payload, "data": data}

    def _category(self, org_id: OrgId, ticket: TicketClassification, language: str) -> Json:
        """The names of the ticket's ids, as people read them; the ids themselves where a later taxonomy lacks them."""
        taxonomy = self.taxonomy(org_id)
        names = {"level1": ticket.level1, "level2": ticket.level2}
        for category in taxonomy.categories if taxonomy is not None else ():
            if category.category_id == ticket.level1:
                names["level1"] = named(category.name, language)
            for leaf in category.children:
                if leaf.category_id == ticket.level2:
                    names["level2"] = named(leaf.name, language)
        return names


def need_artifact(payload: Json, kind: str) -> Json:
    """The body of an artifact in a payload. Raises NotFound."""
    found: Json | None = payload["data"].get("artifacts", {}).get(kind)
    if found is None:
        raise NotFound(f"The event {payload['type']} carries no {kind}.")
    body: Json = found["body"]
    return body
