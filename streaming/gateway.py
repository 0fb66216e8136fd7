"""The telephony server: one port, a path per protocol. Handshakes are decided here, conversations in ``streaming.connection``."""

from __future__ import annotations

import asyncio
import contextlib
import http
import ssl
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakKeyDictionary

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from copilot.domain.audio import CallStart
from copilot.domain.errors import ConfigError, Conflict, NotFound, Overloaded, RemoteProtocolError
from streaming.connection import Connection, ConnectionLimits
from streaming.handshake import IntegrationConfig, Refusal, identify
from streaming.ingest import CallIngest, IngestServices

log = structlog.get_logger(__name__)

AUDITS_PER_MINUTE: Final = 120
"""Refusals beyond it are counted, not written: a scan must not fill the audit trail."""
TAKEN_OVER: Final = 4410
RESTART: Final = 1012
"""RFC 6455 registry: service restart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    """Times in seconds. ``port`` 0 takes any free one. Raises ConfigError from ``Gateway`` for integrations that cannot work."""

    host: str = "127.0.0.1"
    port: int = 8765
    integrations: tuple[IntegrationConfig, ...] = ()
    allow_anonymous: bool = False
    max_connections: int = 256
    max_message_bytes: int = 262_144
    start_timeout_s: float = 10.0
    idle_timeout_s: float = 900.0
    ping_s: float = 20.0
    resume_window_s: float = 15.0
    """How long a call whose peer asked for it (``resumable``) waits for its socket to come back; 0: not at all."""
    ssl: ssl.SSLContext | None = field(default=None, repr=False)


@dataclass(slots=True, eq=False)
class LiveCall:
    """A call and the connection it hangs on now; ``connection`` is None while it waits to be resumed."""

    ingest: CallIngest
    integration: IntegrationConfig
    connection: Connection | None
    expiry: asyncio.TimerHandle | None = None


class Gateway:
    """``start``, then calls arrive through ``services.sink``; ``stop`` ends what is left."""

    def __init__(self, config: GatewayConfig, services: IngestServices) -> None:
        names = Counter(integration.name for integration in config.integrations)
        for integration in config.integrations:
            integration.check()
            if names[integration.name] > 1:
                raise ConfigError(f"Two telephony integrations are called {integration.name!r}: give each its own name.")
        self._config = config
        self._services = services
        self._server: Server | None = None
        self._draining = False
        self._identified: WeakKeyDictionary[ServerConnection, IntegrationConfig] = WeakKeyDictionary()
        self._connections: set[Connection] = set()
        self._calls: dict[tuple[str, str], LiveCall] = {}
        self._opening: Counter[str] = Counter()
        self._endings: set[asyncio.Task[int]] = set()
        self._quiet = asyncio.Event()
        """Set while no call is open."""
        self._quiet.set()
        self._audited: deque[float] = deque()
        self._limits = ConnectionLimits(
            start_timeout_s=config.start_timeout_s, idle_timeout_s=config.idle_timeout_s, resume_window_s=config.resume_window_s
        )

    async def start(self) -> None:
        """Listens. Raises ConfigError when the address cannot be used."""
        config = self._config
        try:
            self._server = await serve(
                self._serve,
                config.host,
                config.port,
                process_request=self._process_request,
                server_header=None,
                compression=None,  # audio does not compress, and deflate is memory per connection
                open_timeout=config.start_timeout_s,
                ping_interval=config.ping_s,
                ping_timeout=config.ping_s,
                close_timeout=5,
                max_size=config.max_message_bytes,
                max_queue=64,
                ssl=config.ssl,
            )
        except OSError as error:
            raise ConfigError(
                f"The telephony server cannot listen on {config.host}:{config.port} ({error.strerror}): choose another telephony.port."
            ) from error

    @property
    def port(self) -> int:
        """The port it listens on."""
        if self._server is None:
            raise ConfigError("The telephony server is not running.")
        port: int = next(iter(self._server.sockets)).getsockname()[1]
        return port

    @property
    def draining(self) -> bool:
        """True once ``stop`` was called: load balancers should look elsewhere."""
        return self._draining

    @property
    def live_calls(self) -> int:
        """Calls that are open here, those waiting to be resumed included."""
        return len(self._calls)

    async def stop(self, grace_s: float = 0.0) -> None:
        """Refuses new connections (503), gives the running calls ``grace_s`` to end, then ends them (``interrupted``, close 1012)."""
        if self._server is None:
            return
        self._draining = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._quiet.wait()
        for call in tuple(self._calls.values()):
            self._end(call, "interrupted")
        for connection in tuple(self._connections):
            connection.interrupt("The server is restarting: call again.", RESTART)
        if self._endings:
            await asyncio.wait(tuple(self._endings))
        self._server.close(code=RESTART, reason="The server is restarting.")
        await self._server.wait_closed()
        self._server = None

    # ------------------------------------------------------------------ handshake

    async def _process_request(self, websocket: ServerConnection, request: Request) -> Response | None:
        headers = {name.lower(): value for name, value in request.headers.raw_items()}
        found = identify(request.path, headers, self._config.integrations, allow_anonymous=self._config.allow_anonymous)
        if isinstance(found, IntegrationConfig):
            refusal = self._no_room(found)
            if refusal is None:
                self._identified[websocket] = found
                return None
        else:
            refusal = found
        await self.audit(refusal.integration, remote_of(websocket), f"{refusal.status}: {refusal.sentence}")
        response = websocket.respond(http.HTTPStatus(refusal.status), refusal.sentence + "\n")
        if refusal.status == http.HTTPStatus.UNAUTHORIZED:
            response.headers["WWW-Authenticate"] = "Bearer"
        if refusal.status == http.HTTPStatus.SERVICE_UNAVAILABLE:
            response.headers["Retry-After"] = "5"
        return response

    def _no_room(self, integration: IntegrationConfig) -> Refusal | None:
        sentence = ""
        if self._draining:
            sentence = "This server is shutting down: use another node."
        elif len(self._connections) >= self._config.max_connections:
            sentence = f"All {self._config.max_connections} connections are in use: try again later or use another node."
        return Refusal(status=503, sentence=sentence, integration=integration) if sentence else None

    async def audit(self, integration: IntegrationConfig | None, remote: str, reason: str) -> None:
        """One line about a refusal, at most 120 a minute. Never raises: the peer gets its answer either way."""
        now = self._services.clock.monotonic()
        while self._audited and self._audited[0] < now - 60:
            self._audited.popleft()
        log.info("telephony_refused", integration=integration.name if integration else None, reason=reason)
        if len(self._audited) >= AUDITS_PER_MINUTE:
            return
        self._audited.append(now)
        try:
            await self._services.sink.audit_refusal(integration.integration() if integration else None, remote, reason)
        except Exception:  # the trail's store may be away
            log.exception("audit_failed")

    # ------------------------------------------------------------------ calls

    async def _serve(self, websocket: ServerConnection) -> None:
        integration = self._identified.pop(websocket)
        connection = Connection(websocket, integration, self, self._limits, remote_of(websocket))
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)

    async def open_call(self, connection: Connection, start: CallStart) -> LiveCall:
        """A new call. Raises Overloaded, Conflict, and what the sink raises."""
        integration = connection.integration
        key = (integration.name, start.external_id)
        if self._draining:
            raise Overloaded("This server is shutting down: use another node.")
        if key in self._calls:
            raise Conflict("A call with this id is live already; the second connection was refused and the first is not affected.")
        live = sum(call.integration is integration for call in self._calls.values()) + self._opening[integration.name]
        if live >= integration.max_calls:
            raise Overloaded(f"All {integration.max_calls} calls of this integration are in use: try again later.")
        self._opening[integration.name] += 1
        try:
            ingest = await CallIngest.open(self._services, start, integration.integration())
        finally:
            self._opening[integration.name] -= 1
        call = LiveCall(ingest, integration, connection)
        self._calls[key] = call
        self._quiet.clear()
        if self.draining:  # stop() looked before this call was there
            await self.finish(call, "interrupted")
            raise Overloaded("This server is shutting down: use another node.")
        return call

    async def resume_call(self, connection: Connection, start: CallStart) -> LiveCall:
        """A call that waits for its peer, or whose old connection has not been noticed to be dead. Raises NotFound, RemoteProtocolError."""
        call = self._calls.get((connection.integration.name, start.external_id))
        if call is None or call.ingest.finishing:
            raise NotFound("There is no such call to resume: it has ended, so begin a new one with another call_id.")
        if start.legs != call.ingest.start.legs:
            raise RemoteProtocolError('A resumed call must have the same "channels", "encoding" and "sample_rate" as before.', code=1007)
        if call.connection is not None:
            old = call.connection
            old.interrupt("This call was resumed on another connection.", TAKEN_OVER)
            await old.detached.wait()
        if call.expiry is not None:
            call.expiry.cancel()
        call.connection, call.expiry = connection, None
        return call

    def park(self, call: LiveCall, window_s: float) -> None:
        """The peer vanished and may come back: the call ends as ``peer_closed`` if it does not."""
        call.connection = None
        call.ingest.publish = None
        call.expiry = asyncio.get_running_loop().call_later(window_s, self._end, call, "peer_closed")

    async def finish(self, call: LiveCall, reason: str) -> int:
        """Ends the call; returns its duration in ms once everything is told and stored."""
        return await asyncio.shield(self._end(call, reason))

    def _end(self, call: LiveCall, reason: str) -> asyncio.Task[int]:
        if call.expiry is not None:
            call.expiry.cancel()
        task = asyncio.create_task(self._finish(call, reason), name=f"end-{call.ingest.call_id}")
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)
        return task

    async def _finish(self, call: LiveCall, reason: str) -> int:
        try:
            return await call.ingest.finish(reason)
        finally:
            self._calls.pop((call.integration.name, call.ingest.start.external_id), None)
            if not self._calls:
                self._quiet.set()


def remote_of(websocket: ServerConnection) -> str:
    """The peer's address for the audit trail."""
    address = websocket.remote_address
    return str(address[0]) if isinstance(address, tuple) and address else "unknown"
