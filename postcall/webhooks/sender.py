"""Delivers messages: leases what is due, sends it signed, notes what became of it. At least once; a receiver knows a second one by its id.

Attempts follow one another after 5 s, 1 min, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h (three days and more), each a little
later or earlier at random so that a receiver that comes back is not met by all at once. Then the message waits for a person.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import httpcore

from copilot.domain.clock import Clock
from copilot.domain.errors import CopilotError, InvalidInput, NotFound
from copilot.domain.ids import OrgId
from copilot.domain.webhooks import Attempt, Message, MessageState, Subscription, SubscriptionId
from postcall.webhooks import signing
from postcall.webhooks.guard import Allowed, GuardedNetwork
from postcall.webhooks.payload import Payloads
from postcall.webhooks.templates import Templates

_log = logging.getLogger(__name__)
WAITS_S = (5, 60, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds from one failed attempt to the next."""
_LEASE_S = 60.0
_TIMEOUT_S = 15.0
_TOGETHER = 16
_TOGETHER_EACH = 4
_JITTER = 0.1
_LONGEST_ASKED_S = 3600
_ANSWER_BYTES = 65_536
AUTHORIZATION_PREFIX = "PANGTING_WEBHOOK_"
"""Only variables of this name may be sent as an Authorization header."""


class Messages(Protocol):
    """The part of the store that deliveries need. Synchronous."""

    def lease(self, now: datetime, lease_s: float, limit: int = 20) -> list[Message]: ...

    def record(self, message: Message, attempt: Attempt, state: MessageState, next_at: datetime | None = None) -> None: ...

    def subscription(self, org_id: OrgId, subscription_id: SubscriptionId) -> tuple[Subscription, tuple[bytes, ...]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """``status`` None: none came. ``wait_s``: what the receiver asked for."""

    status: int | None
    error: str = ""
    wait_s: float | None = None
    final: bool = False


class WebhookSender:
    """``run`` until cancelled; ``ring`` from any thread when a message may be due."""

    def __init__(
        self,
        messages: Messages,
        payloads: Payloads,
        templates: Templates,
        allowed: Allowed,
        clock: Clock,
        *,
        environment: Mapping[str, str] = os.environ,
        jitter: Callable[[], float] = random.random,
        idle_s: float = 2.0,
        lease_s: float = _LEASE_S,
        on_result: Callable[[str], None] = lambda _result: None,
    ) -> None:
        """``on_result`` is called with ``delivered``, ``retry`` or ``failed``."""
        self._messages = messages
        self._payloads = payloads
        self._templates = templates
        self._allowed = allowed
        self._clock = clock
        self._environment = environment
        self._jitter = jitter
        self._idle_s = idle_s
        self._lease_s = lease_s
        self._on_result = on_result
        self._doorbell = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def ring(self) -> None:
        """A message may have been queued. Thread-safe; without a running sender it does nothing."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._doorbell.set)

    async def run(self) -> None:
        """Delivers until cancelled; a store that fails is tried again at the next look."""
        self._loop = asyncio.get_running_loop()
        async with httpcore.AsyncConnectionPool(network_backend=GuardedNetwork(self._allowed), max_connections=_TOGETHER) as pool:
            while True:
                self._doorbell.clear()
                sent = 0
                try:
                    sent = await self.look(pool)
                except CopilotError as error:
                    _log.warning("webhook messages cannot be read: %s", error)
                if sent:
                    continue
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._idle_s):
                        await self._doorbell.wait()

    async def look(self, pool: httpcore.AsyncConnectionPool) -> int:
        """Sends what is due; how many. A slow receiver holds up its own messages, not those of others."""
        due = await asyncio.to_thread(self._messages.lease, self._clock.now(), self._lease_s, _TOGETHER)
        bounds: dict[SubscriptionId, asyncio.Semaphore] = {}
        async with asyncio.TaskGroup() as group:
            for message in due:
                bound = bounds.setdefault(message.subscription_id, asyncio.Semaphore(_TOGETHER_EACH))
                group.create_task(self._deliver(pool, message, bound))
        return len(due)

    async def _deliver(self, pool: httpcore.AsyncConnectionPool, message: Message, bound: asyncio.Semaphore) -> None:
        async with bound:
            begun, at = self._clock.monotonic(), self._clock.now()
            try:
                answer = await self._send(pool, message, at)
            except NotFound as error:
                # Erased, or the subscription was removed: nothing is left to say, and nobody to say it to.
                await self._record(
                    message, Attempt(number=message.attempts + 1, at=at, status=None, error=str(error), duration_ms=0), "withdrawn"
                )
                return
            except Exception as error:  # one message must not end the sender
                reason = str(error) if isinstance(error, CopilotError) else f"It could not be sent ({type(error).__name__})."
                answer = _Answer(status=None, error=reason, final=isinstance(error, InvalidInput))
            took_ms = round((self._clock.monotonic() - begun) * 1000)
        attempt = Attempt(number=message.attempts + 1, at=at, status=answer.status, error=answer.error, duration_ms=took_ms)
        if not answer.error:
            await self._record(message, attempt, "delivered")
            self._on_result("delivered")
        elif answer.final or attempt.number > len(WAITS_S):
            await self._record(message, attempt, "failed")
            self._on_result("failed")
        else:
            wait_s = WAITS_S[attempt.number - 1] * (1 + _JITTER * (2 * self._jitter() - 1))
            wait_s = max(wait_s, min(answer.wait_s or 0.0, _LONGEST_ASKED_S))
            await self._record(message, attempt, "queued", at + timedelta(seconds=wait_s))
            self._on_result("retry")

    async def _record(self, message: Message, attempt: Attempt, state: MessageState, next_at: datetime | None = None) -> None:
        try:
            await asyncio.to_thread(self._messages.record, message, attempt, state, next_at)
        except CopilotError as error:
            # Its lease expires, and it is sent once more: at least once.
            _log.warning("what became of a webhook message could not be stored: %s", error)

    async def _send(self, pool: httpcore.AsyncConnectionPool, message: Message, at: datetime) -> _Answer:
        subscription, secrets = await asyncio.to_thread(self._messages.subscription, message.org_id, message.subscription_id)
        self._allowed.check_url(subscription.url)
        payload = await asyncio.to_thread(self._payloads.of, message)
        body = self._templates.body(subscription.template, payload)
        headers: dict[bytes | str, bytes | str] = {"content-type": "application/json", "user-agent": "Pangting"}
        headers.update(signing.headers(secrets, message.message_id, int(at.timestamp()), body).items())
        if subscription.authorization_env:
            headers["authorization"] = self._authorization(subscription.authorization_env)
        timeout = {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), _TIMEOUT_S)}
        async with asyncio.timeout(2 * _TIMEOUT_S):
            async with pool.stream("POST", subscription.url, headers=headers, content=body, extensions=timeout) as response:
                taken = 0
                # What is answered is read to its end, so that the connection can be used again, but not for ever, and kept nowhere.
                async for chunk in response.aiter_stream():
                    taken += len(chunk)
                    if taken > _ANSWER_BYTES:
                        break
                return _answer(response)

    def _authorization(self, variable: str) -> str:
        value = self._environment.get(variable, "") if variable.startswith(AUTHORIZATION_PREFIX) else ""
        if not value:
            raise CopilotError(f"The environment variable {variable} is not set at the server.")
        return value


def _answer(response: httpcore.Response) -> _Answer:
    status = response.status
    if 200 <= status < 300:
        return _Answer(status=status)
    asked = next((value.decode("ascii", "replace") for name, value in response.headers if name.lower() == b"retry-after"), "")
    wait_s = float(asked) if asked.isdigit() and status in (429, 503) else None
    # A redirect is not followed: it might lead where the guard would not let us go, and would carry the signature there.
    return _Answer(status=status, error=f"The receiver answered with HTTP status {status}.", wait_s=wait_s)
