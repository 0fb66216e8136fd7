"""What the log holds of a call that somebody else began: for whoever goes on with it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from copilot.domain.audio import ChannelName
from copilot.domain.errors import NotFound
from copilot.domain.events import CallEnded, CallStarted, CallTransferred, EventEnvelope, UtteranceFinal
from copilot.domain.ids import UserId, utterance_number


@dataclass(frozen=True, slots=True)
class History:
    """The events of one call from its start."""

    started: CallStarted
    said: tuple[UtteranceFinal, ...]
    ended: bool
    agent_id: UserId | None
    """Whose call it is now: transfers count."""

    def heard_ms(self, channel: ChannelName) -> int:
        """Up to where the channel is recognised: the end of its last final."""
        return max((final.end_ms for final in self.said if final.channel == channel), default=0)

    def last_number(self, channel: ChannelName) -> int:
        """The number of the channel's last final; 0 if there is none."""
        return max((utterance_number(final.utterance_id) for final in self.said if final.channel == channel), default=0)

    def last_words(self) -> list[tuple[str, str]]:
        """The newest finals as (channel, masked text), oldest first."""
        return [(final.channel, final.text) for final in self.said[-8:]]


def history_of(events: Sequence[EventEnvelope]) -> History:
    """Raises NotFound for a call that never started."""
    started = next((item.event for item in events if isinstance(item.event, CallStarted)), None)
    if started is None:
        raise NotFound("This call never started.")
    moved = [item.event.agent_id for item in events if isinstance(item.event, CallTransferred)]
    said = tuple(item.event for item in events if isinstance(item.event, UtteranceFinal))
    ended = any(isinstance(item.event, CallEnded) for item in events)
    return History(started, said, ended, moved[-1] if moved else started.agent_id)
