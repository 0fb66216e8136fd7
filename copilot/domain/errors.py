"""The tree of errors. Every message is one sentence for a person: what happened and what to do.

HTTP statuses are mapped in one file (copilot.api.problems); telephony close codes in each protocol's own file.
"""

from __future__ import annotations


class CopilotError(Exception):
    """Base of every error this product raises on purpose."""


class ProtocolError(CopilotError):
    """A telephony or feed peer and we disagree about the protocol."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol. ``code`` is a websocket close code (RFC 6455 §7.4)."""

    def __init__(self, message: str, *, code: int = 1002) -> None:
        super().__init__(message)
        self.code = code


class LocalProtocolError(ProtocolError):
    """We tried to do something the protocol forbids: a fault of ours."""


class EngineError(CopilotError):
    """A model, index or service failed. ``retryable`` says whether the same call may succeed later."""

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class Refused(CopilotError):
    """What a model wrote may not be shown. The model did its part, so it is not down; ``reason`` is one of ``REFUSALS``."""

    REFUSALS = ("no_answer", "number", "forbidden", "unsupported", "personal", "claim", "too_long")

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class Overloaded(CopilotError):
    """No capacity for new work now; running work is not harmed."""


class NotFound(CopilotError):
    """The named thing does not exist, or the caller may not know that it does."""


class Conflict(CopilotError):
    """The state has moved on: a sequence number, epoch or version is no longer the current one."""


class Forbidden(CopilotError):
    """The caller is known and may not do this."""


class Unauthenticated(CopilotError):
    """The caller is not known: sign in again."""


class InvalidInput(CopilotError):
    """The input cannot be used as it is; the message says which part and why."""


class ConfigError(CopilotError):
    """A setting is missing or wrong; the message names it and says what it may be."""
