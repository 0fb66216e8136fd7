"""How a live call begins: its first event, and the word to the agent's screens."""

from __future__ import annotations

from typing import Literal, cast

from copilot.codec import dumps
from copilot.domain.audio import CallStart
from copilot.domain.clock import Clock
from copilot.domain.events import MAX_LABEL, CallStarted
from copilot.domain.ids import CallId, OrgId, UserId
from copilot.domain.ports.bus import Bus, agent_topic
from copilot.domain.ports.live import Integration


def started_event(
    start: CallStart, integration: Integration, language: str, agent_id: UserId | None, metadata: dict[str, str], clock: Clock
) -> CallStarted:
    """The first event of a call. ``metadata`` is masked already."""
    direction = "outbound" if start.metadata.get("direction") == "outbound" else "inbound"
    return CallStarted(
        external_id=start.external_id,
        protocol=integration.protocol,
        legs=start.legs,
        language=language,
        started_at=clock.now(),
        integration=integration.name,
        agent_id=agent_id,
        direction=cast("Literal['inbound', 'outbound']", direction),
        ani=metadata.get("ani", ""),
        dnis=metadata.get("dnis", "")[:MAX_LABEL],
        customer_id=metadata.get("customer_id", ""),
        skill=metadata.get("skill", "")[:MAX_LABEL],
        metadata=metadata,
    )


def call_opened(bus: Bus, org_id: OrgId, agent_id: UserId, call_id: CallId) -> None:
    """Tells the agent's screens that one of their calls is live."""
    bus.publish(agent_topic(org_id, agent_id), dumps({"call_id": call_id}))
