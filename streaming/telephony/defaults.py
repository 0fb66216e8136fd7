"""What a telephony parser answers unless its protocol says otherwise: a peer that is listened to and never spoken to. Sans-I/O."""

from __future__ import annotations

from collections.abc import Sequence

from copilot.domain.audio import CallStart, TelephonyEvent
from copilot.domain.events import SuggestionOffered
from copilot.domain.transcript import TranscriptFinal, TranscriptPartial


class ListenOnly:
    """The optional half of ``TelephonyProtocol``; a parser inherits it and overrides what its protocol has."""

    @property
    def wants_events(self) -> bool:
        return False

    @property
    def wants_suggestions(self) -> bool:
        return False

    @property
    def resumable(self) -> bool:
        return False

    @property
    def resumes_at(self) -> int | None:
        return None

    @property
    def continues(self) -> tuple[str, ...]:
        return ()

    @property
    def identified(self) -> str | None:
        return None

    @property
    def timed_by_arrival(self) -> bool:
        return False

    @property
    def closing_s(self) -> float | None:
        return None

    @property
    def farewell_s(self) -> float:
        return 0.0

    @property
    def keep_alive_s(self) -> float | None:
        return None

    def receive_eof(self) -> list[TelephonyEvent]:
        return []

    def start_anew(self) -> CallStart | None:
        return None

    def queue_event(self, event: TranscriptPartial | TranscriptFinal) -> None:
        """Nothing: this peer takes no messages."""

    def queue_suggestion(self, suggestion: SuggestionOffered) -> None:
        """Nothing: this peer takes no messages."""

    def queue_stopped(self, duration_ms: int) -> None:
        """Nothing: the close frame says it."""

    def queue_error(self, message: str, code: int) -> None:
        """Nothing: the close frame says it."""

    def queue_pause(self, paused: bool) -> None:
        """Nothing: what this peer sends while paused is dropped here."""

    def queue_keep_alive(self) -> None:
        """Nothing: this protocol needs none."""

    def messages_to_send(self) -> Sequence[str | bytes]:
        return []
