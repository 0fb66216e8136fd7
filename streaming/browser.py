"""People who talk from a page with a microphone: admitted by a ticket, each as an integration of their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from copilot.domain.errors import CopilotError, Unauthenticated
from copilot.domain.ids import OrgId, UserId
from streaming.handshake import BrowserTicket, IntegrationConfig, Refusal

CONNECTS_PER_MINUTE: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketHolder:
    """Whose ticket it was."""

    org_id: OrgId
    user_id: UserId
    username: str


Redeem = Callable[[str, str], Awaitable[TicketHolder]]
"""(ticket, origin) → its holder, once. Raises Unauthenticated."""


class BrowserDoor:
    """``calls_each``: how many calls a person may have at once; 0: pages are not admitted."""

    def __init__(self, redeem: Redeem | None, calls_each: int) -> None:
        self._redeem = redeem
        self._calls_each = calls_each

    async def admit(self, offered: BrowserTicket) -> IntegrationConfig | Refusal:
        """Uses the ticket up. The name differs from person to person, so that nobody can meet or resume another's call."""
        if self._redeem is None or self._calls_each == 0:
            return Refusal(status=403, sentence="Calls from a page are not switched on: set telephony.browser_calls.")
        try:
            holder = await self._redeem(offered.ticket, offered.origin)
        except Unauthenticated as refused:
            return Refusal(status=401, sentence=str(refused))
        except CopilotError:
            return Refusal(status=503, sentence="The ticket cannot be checked now: try again in a moment.")
        return IntegrationConfig(
            name=f"browser:{holder.user_id}",
            protocol="raw",
            org_id=holder.org_id,
            agent=holder.username,
            max_calls=self._calls_each,
            connects_per_minute=CONNECTS_PER_MINUTE,
        )
