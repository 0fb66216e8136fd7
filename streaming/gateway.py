"""The telephony server: one websocket port with a path per protocol, and a TCP port for AudioSocket.

Handshakes are decided here, conversations in ``streaming.connection``, calls in ``streaming.switchboard``.
"""

from __future__ import annotations

import asyncio
import contextlib
import http
import ssl
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast
from urllib.parse import parse_qsl
from weakref import WeakKeyDictionary

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from copilot.domain.audio import CallStart, ChannelName
from copilot.domain.errors import ConfigError, Forbidden
from streaming.announcements import Announcement, AnnouncementBook
from streaming.browser import BrowserDoor, Redeem
from streaming.connection import RESTART, Connection, ConnectionLimits
from streaming.handshake import (
    BROWSER_PROTOCOL,
    NONCE_KEEP_S,
    BrowserTicket,
    IntegrationConfig,
    Refusal,
    browser_ticket,
    identify,
    integration_of_key,
)
from streaming.ingest import IngestServices
from streaming.seat import LiveCall
from streaming.switchboard import Switchboard
from streaming.telephony.admission import NonceCache, RateLimit, TrustedProxies
from streaming.telephony.protocol import PROTOCOLS, Opening
from streaming.wire import TcpWire, WebsocketWire, Wire

log = structlog.get_logger(__name__)

AUDITS_PER_MINUTE: Final = 120
"""Refusals beyond it are counted, not written: a scan must not fill the audit trail."""
ANNOUNCED_PROTOCOLS: Final = ("audiosocket", "asterisk")
"""The others say themselves what their calls are."""
MAX_TURNED_AWAY: Final = 8
"""Peers at once that are told in their protocol, and not over HTTP, why they are refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    """Times in seconds. ``port`` 0 takes any free one. Raises ConfigError from ``Gateway`` for integrations that cannot work."""

    host: str = "127.0.0.1"
    port: int = 8765
    audiosocket_port: int = 9092
    """Listened on only if an integration speaks audiosocket."""
    integrations: tuple[IntegrationConfig, ...] = ()
    allow_anonymous: bool = False
    proxies: TrustedProxies = TrustedProxies()
    max_connections: int = 256
    max_message_bytes: int = 262_144
    start_timeout_s: float = 10.0
    idle_timeout_s: float = 900.0
    ping_s: float = 20.0
    resume_window_s: float = 15.0
    """How long a call whose peer asked for it (``resumable``) waits for its socket to come back; 0: not at all."""
    leg_wait_s: float = 10.0
    """How long a call that everybody left waits for legs that have not come."""
    browser_calls: int = 0
    """Calls each signed-in person may have at once from a page with a microphone."""
    ssl: ssl.SSLContext | None = field(default=None, repr=False)


class Gateway:
    """``start``, then calls arrive through ``services.sink``; ``stop`` ends what is left."""

    def __init__(self, config: GatewayConfig, services: IngestServices, redeem: Redeem | None = None) -> None:
        names = Counter(integration.name for integration in config.integrations)
        for integration in config.integrations:
            integration.check()
            if names[integration.name] > 1:
                raise ConfigError(f"Two telephony integrations are called {integration.name!r}: give each its own name.")
        self._config = config
        self._services = services
        self._server: Server | None = None
        self._tcp: asyncio.Server | None = None
        self._book = AnnouncementBook()
        self.board = Switchboard(services, self._book, leg_wait_s=config.leg_wait_s)
        self._browsers = BrowserDoor(redeem, config.browser_calls)
        self._nonces = NonceCache(keep_s=NONCE_KEEP_S)
        self._rates = RateLimit()
        self._identified: WeakKeyDictionary[ServerConnection, IntegrationConfig | Refusal] = WeakKeyDictionary()
        self._connections: set[Connection] = set()
        self._turned_away = 0
        self._audited: deque[float] = deque()
        self._limits = ConnectionLimits(
            start_timeout_s=config.start_timeout_s, idle_timeout_s=config.idle_timeout_s, resume_window_s=config.resume_window_s
        )

    async def start(self) -> None:
        """Listens. Raises ConfigError when an address cannot be used."""
        config = self._config
        try:
            self._server = await serve(
                self._serve,
                config.host,
                config.port,
                process_request=self._process_request,
                select_subprotocol=self._select_subprotocol,
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
        if self._speaking("audiosocket"):
            try:
                self._tcp = await asyncio.start_server(self._serve_tcp, config.host, config.audiosocket_port)
            except OSError as error:
                await self.stop()
                raise ConfigError(
                    f"The AudioSocket server cannot listen on {config.host}:{config.audiosocket_port} ({error.strerror}): "
                    "choose another telephony.audiosocket_port."
                ) from error

    @property
    def port(self) -> int:
        """The websocket port it listens on."""
        if self._server is None:
            raise ConfigError("The telephony server is not running.")
        port: int = next(iter(self._server.sockets)).getsockname()[1]
        return port

    @property
    def audiosocket_port(self) -> int | None:
        """The TCP port it listens on for AudioSocket, if it does."""
        return self._tcp.sockets[0].getsockname()[1] if self._tcp is not None else None

    @property
    def draining(self) -> bool:
        """True once ``stop`` was called: load balancers should look elsewhere."""
        return self.board.draining

    @property
    def live_calls(self) -> int:
        """Calls that are open here, those waiting to be resumed included."""
        return len(self.board.calls)

    @property
    def _calls(self) -> dict[tuple[str, str], LiveCall]:
        return self.board.calls

    async def stop(self, grace_s: float = 0.0) -> None:
        """Refuses new connections (503), gives the running calls ``grace_s`` to end, then ends them (``interrupted``, close 1012)."""
        if self._server is None:
            return
        self.board.draining = True
        if self._tcp is not None:
            self._tcp.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self.board.quiet.wait()
        for call in tuple(self.board.calls.values()):
            self.board.end(call, "interrupted")
        connections = tuple(self._connections)
        for connection in connections:
            connection.interrupt("The server is restarting: call again.", RESTART)
        await self.board.ended()
        self._server.close(code=RESTART, reason="The server is restarting.")
        await self._server.wait_closed()
        for connection in connections:
            await connection.closed.wait()
        self._server = self._tcp = None

    # ------------------------------------------------------------------ handshake

    async def _process_request(self, websocket: ServerConnection, request: Request) -> Response | None:
        headers = _headers(request)
        remote = _address(websocket.remote_address)
        page = browser_ticket(request.path, headers)
        found = await self._browsers.admit(page) if isinstance(page, BrowserTicket) else page
        found = found or identify(
            request.path,
            headers,
            self._config.integrations,
            allow_anonymous=self._config.allow_anonymous,
            remote=remote,
            proxies=self._config.proxies,
            nonces=self._nonces,
            now=self._services.clock.now().timestamp(),
        )
        if isinstance(found, IntegrationConfig):
            refusal = self._no_room(found)
            if refusal is None:
                self._identified[websocket] = found
                return None
        else:
            refusal = found
        if refusal.told_in_protocol and self._turned_away < MAX_TURNED_AWAY:
            self._identified[websocket] = refusal  # its connection writes the audit line
            return None
        await self.audit(refusal.integration, self._config.proxies.client(remote, headers), f"{refusal.status}: {refusal.sentence}")
        response = websocket.respond(http.HTTPStatus(refusal.status), refusal.sentence + "\n")
        if refusal.status == http.HTTPStatus.UNAUTHORIZED:
            response.headers["WWW-Authenticate"] = "Bearer"
        if refusal.status in (http.HTTPStatus.SERVICE_UNAVAILABLE, http.HTTPStatus.TOO_MANY_REQUESTS):
            response.headers["Retry-After"] = "5"
        return response

    def _select_subprotocol(self, websocket: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        found = self._identified.get(websocket)
        integration = found.integration if isinstance(found, Refusal) else found
        known = PROTOCOLS[integration.protocol].subprotocols if integration is not None else ()
        if integration is not None and integration.agent:
            known = (BROWSER_PROTOCOL,)
        return next((Subprotocol(name) for name in known if name in offered), None)

    def _no_room(self, integration: IntegrationConfig) -> Refusal | None:
        if self.draining:
            return Refusal(status=503, sentence="This server is shutting down: use another node.", integration=integration)
        if len(self._connections) >= self._config.max_connections:
            sentence = f"All {self._config.max_connections} connections are in use: try again later or use another node."
            return Refusal(status=503, sentence=sentence, integration=integration)
        limit = integration.connects_per_minute
        if not self._rates.allow(integration.name, limit, self._services.clock.monotonic()):
            sentence = f"This integration may open {limit} connections a minute: try again later."
            return Refusal(status=429, sentence=sentence, integration=integration)
        return None

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

    # ------------------------------------------------------------------ announcements

    async def announce(
        self,
        authorization: str,
        remote: str,
        *,
        call_id: str | None,
        legs: tuple[tuple[str | None, str], ...],
        metadata: Mapping[str, str],
        language: str | None,
        wait_s: float,
    ) -> Announcement | Refusal:
        """A call to come, announced with an integration's key. Raises InvalidInput, Conflict, Overloaded."""
        announcing = [config for config in self._config.integrations if config.protocol in ANNOUNCED_PROTOCOLS]
        found = integration_of_key(authorization, announcing)
        refusal = found if isinstance(found, Refusal) else self._no_room(found)
        if refusal is not None:
            await self.audit(refusal.integration, remote, f"{refusal.status}: {refusal.sentence}")
            return refusal
        integration = cast("IntegrationConfig", found)
        return self._book.announce(
            integration.name,
            call_id=call_id,
            legs=legs,
            metadata=metadata,
            language=language,
            wait_s=wait_s,
            now=self._services.clock.monotonic(),
            uuids=integration.protocol == "audiosocket",
        )

    async def pause(self, authorization: str, remote: str, call_id: str, *, paused: bool) -> Refusal | None:
        """Card data is about to be spoken (or no longer) in a call of the integration whose key this is. Raises NotFound."""
        found = await self._controlling(authorization, remote, call_id)
        if isinstance(found, Refusal):
            return found
        self.board.pause(found.name, call_id, paused=paused)
        return None

    async def hold(self, authorization: str, remote: str, call_id: str, *, held: bool) -> Refusal | None:
        """The customer was put on hold (or no longer). Media go on as they come. Raises NotFound, Conflict."""
        found = await self._controlling(authorization, remote, call_id)
        if isinstance(found, Refusal):
            return found
        ingest = self.board.live(found.name, call_id).ingest
        await ingest.handle.hold(held=held, at_ms=ingest.duration_ms)
        return None

    async def transfer(self, authorization: str, remote: str, call_id: str, *, agent: str, reason: str) -> Refusal | None:
        """The call went to another agent. Raises NotFound, Conflict."""
        found = await self._controlling(authorization, remote, call_id)
        if isinstance(found, Refusal):
            return found
        ingest = self.board.live(found.name, call_id).ingest
        await ingest.handle.transfer(agent, at_ms=ingest.duration_ms, reason=reason)
        return None

    async def end(self, authorization: str, remote: str, call_id: str) -> Refusal | None:
        """The call is over, whatever its connections say. Raises NotFound."""
        found = await self._controlling(authorization, remote, call_id)
        if isinstance(found, Refusal):
            return found
        call = self.board.live(found.name, call_id)
        await call.ingest.handle.note("call.end")
        await self.board.hang_up(call)
        return None

    async def _controlling(self, authorization: str, remote: str, call_id: str) -> IntegrationConfig | Refusal:
        """The integration whose key it is, if the call is one of its own or nobody's."""
        everybody = self._config.integrations
        concerned = [config for config in everybody if self.board.is_live(config.name, call_id)]
        found = integration_of_key(authorization, concerned or everybody)
        if isinstance(found, Refusal):
            await self.audit(found.integration, remote, f"{found.status}: {found.sentence}")
        return found

    def identify(self, connection: Connection, leg_id: str) -> None:
        """A TCP peer said who it is: its integration is that of the announcement. Raises Forbidden."""
        for integration in self._speaking("audiosocket"):
            connection.found = self.board.announced(leg_id, integration.name)
            if connection.found is not None:
                connection.integration = integration
                return
        raise Forbidden("This id was not announced, or its time is over: announce the call before it connects.")

    def announcement_of(self, connection: Connection, start: CallStart) -> tuple[Announcement, ChannelName] | None:
        """What was announced of the call that begins here."""
        return connection.found or self.board.announced(start.external_id, connection.integration.name)

    # ------------------------------------------------------------------ connections

    async def _serve(self, websocket: ServerConnection) -> None:
        found = self._identified.pop(websocket)
        request = websocket.request
        headers = _headers(request) if request is not None else {}
        wire = WebsocketWire(websocket, self._config.proxies.client(_address(websocket.remote_address), headers))
        refused = found.sentence if isinstance(found, Refusal) else ""
        integration = found.integration if isinstance(found, Refusal) else found
        assert integration is not None
        opening = Opening(
            headers=headers,
            query=dict(parse_qsl(request.path.partition("?")[2], max_num_fields=64)) if request is not None else {},
            subprotocol=websocket.subprotocol,
            legs=integration.legs,
            events=integration.events,
            refused=refused,
        )
        self._turned_away += bool(refused)
        try:
            await self._run(wire, integration, opening)
        finally:
            self._turned_away -= bool(refused)

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = TcpWire(reader, writer)
        integration = self._speaking("audiosocket")[0]  # until the peer says which one it is
        refusal = self._no_room(integration)
        if refusal is not None:
            await self.audit(refusal.integration, wire.remote, f"{refusal.status}: {refusal.sentence}")
            await wire.close(refusal.status, refusal.sentence)
            return
        await self._run(wire, integration, Opening(legs=integration.legs))

    async def _run(self, wire: Wire, integration: IntegrationConfig, opening: Opening) -> None:
        connection = Connection(wire, integration, integration.parser(opening), self, self._limits)
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)

    def _speaking(self, protocol: str) -> list[IntegrationConfig]:
        return [integration for integration in self._config.integrations if integration.protocol == protocol]


def _headers(request: Request) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.raw_items()}


def _address(address: object) -> str:
    return str(address[0]) if isinstance(address, tuple) and address else "unknown"
