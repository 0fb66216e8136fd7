"""The telephony gateway of these settings: integrations, recognition pipelines, recording."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from copilot.assembly import engines
from copilot.domain.errors import ConfigError, CopilotError, Forbidden, Overloaded, Unauthenticated
from copilot.domain.ids import OrgId
from copilot.settings import IntegrationSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from copilot.api.context import PageCalls
    from copilot.api.telephony import AnnouncedCall, Asking, CallToCome
    from copilot.domain.clock import Clock
    from copilot.domain.knowledge import BankTerm
    from copilot.domain.ports.asr import Transcriber
    from copilot.domain.ports.live import CallSink
    from copilot.store.store import Store
    from streaming.account import AudioAccount
    from streaming.asr.lexicon import Lexicon
    from streaming.asr.utterance import Finish
    from streaming.gateway import Gateway
    from streaming.handshake import IntegrationConfig, Refusal
    from streaming.ingest import PipelineRequest
    from streaming.pipeline import ChannelPipeline
    from streaming.recording.recorder import Recorder
    from streaming.vad.silero import SileroVad


def integration(settings: IntegrationSettings, org: str) -> IntegrationConfig:
    """Raises ConfigError when the named secret is not in the environment."""
    from streaming.handshake import IntegrationConfig

    return IntegrationConfig(
        name=settings.name,
        protocol=settings.protocol,
        org_id=OrgId(settings.org or org),
        keys=settings.keys,
        secrets=tuple(_secret(settings.name, variable) for variable in settings.secret_envs),
        twilio_auth_token=_secret(settings.name, settings.twilio_auth_token_env),
        public_url=settings.public_url,
        client_certs=settings.client_certs,
        channel_roles=dict(settings.channel_roles),
        metadata_keys={str(name): key for name, key in settings.metadata_keys.items()},
        legs=settings.legs,
        announced=settings.announced or settings.protocol == "audiosocket",
        events=settings.events,
        language=settings.language,
        max_calls=settings.max_calls,
        connects_per_minute=settings.connects_per_minute,
    )


def _secret(integration_name: str, variable: str) -> str:
    """What an environment variable holds; empty if none is named. Raises ConfigError."""
    secret = os.environ.get(variable, "") if variable else ""
    if variable and not secret:
        raise ConfigError(f"Integration {integration_name!r}: the environment variable {variable} is empty.")
    return secret


class TelephoneSystems:
    """What telephone systems ask over HTTP, handed to the gateway once there is one. See ``copilot.api.telephony.TelephoneSystem``."""

    def __init__(self) -> None:
        self.gateway: Gateway | None = None

    async def announce(self, who: Asking, call: CallToCome) -> AnnouncedCall:
        from copilot.api.telephony import AnnouncedCall, AnnouncedLeg
        from streaming.handshake import Refusal

        taken = await self._ready().announce(
            who.authorization,
            who.remote,
            call_id=call.call_id,
            legs=tuple((leg.id, leg.channel) for leg in call.legs),
            metadata=call.metadata,
            language=call.language,
            wait_s=call.wait_s,
        )
        if isinstance(taken, Refusal):
            raise _error_of(taken)
        return AnnouncedCall(call_id=taken.call_id, legs=[AnnouncedLeg(id=leg.leg_id, channel=leg.channel) for leg in taken.legs])

    async def pause(self, who: Asking, call_id: str, *, paused: bool) -> None:
        _check(await self._ready().pause(who.authorization, who.remote, call_id, paused=paused))

    async def hold(self, who: Asking, call_id: str, *, held: bool) -> None:
        _check(await self._ready().hold(who.authorization, who.remote, call_id, held=held))

    async def transfer(self, who: Asking, call_id: str, *, agent: str, reason: str) -> None:
        _check(await self._ready().transfer(who.authorization, who.remote, call_id, agent=agent, reason=reason))

    async def end(self, who: Asking, call_id: str) -> None:
        _check(await self._ready().end(who.authorization, who.remote, call_id))

    def _ready(self) -> Gateway:
        if self.gateway is None:
            raise Overloaded("Telephony is not ready yet: try again in a moment.")
        return self.gateway


def _check(refusal: Refusal | None) -> None:
    if refusal is not None:
        raise _error_of(refusal)


def _error_of(refusal: Refusal) -> CopilotError:
    kinds: dict[int, type[CopilotError]] = {401: Unauthenticated, 403: Forbidden}
    return kinds.get(refusal.status, Overloaded)(refusal.sentence)


class Pipelines:
    """Makes the recognition pipeline of each leg. ``lexicon`` gives the bank's terms; a changed one counts from the next call on."""

    def __init__(self, settings: Settings, vad: SileroVad, lexicon: Callable[[], tuple[BankTerm, ...]]) -> None:
        self._vad = vad
        self._lexicon = lexicon
        self._config = engines.pipeline_config(settings)
        self._opened: tuple[tuple[BankTerm, ...], Lexicon, Finish] | None = None

    def __call__(self, wanted: PipelineRequest) -> ChannelPipeline:
        from streaming.pipeline import ChannelPipeline

        terms = self._lexicon()
        if self._opened is None or self._opened[0] != terms:
            lexicon = engines.open_lexicon(terms)
            self._opened = (terms, lexicon, engines.open_finish(lexicon))
        _, lexicon, finish = self._opened
        return ChannelPipeline(
            call_id=wanted.call_id,
            channel=wanted.channel,
            language=wanted.language,
            vad=self._vad.stream(),
            clock_ms=lambda: 1000 * time.monotonic(),
            config=self._config,
            hotwords=wanted.hotwords,
            nearby=lexicon.near_terms,
            finish=finish,
            after=wanted.after,
        )


def page_calls(settings: Settings, port: int, host: str) -> PageCalls:
    """What a page may that reached the API as ``host``; ``port`` is the one the telephony server listens on."""
    from copilot.api.context import PageCalls
    from streaming.handshake import BROWSER_PATH

    telephony = settings.telephony
    public = urlsplit(settings.server.public_url)
    if telephony.public_url:
        base = telephony.public_url.rstrip("/")
    elif public.scheme == "https":
        base = f"wss://{public.netloc}"
    else:
        base = f"ws://[{host}]:{port}" if ":" in host else f"ws://{host}:{port}"
    return PageCalls(
        calls_each=telephony.browser_calls,
        setting="telephony.browser_calls",
        url=base + BROWSER_PATH if telephony.browser_calls else "",
    )


def build_gateway(
    settings: Settings,
    sink: CallSink,
    transcriber: Transcriber,
    recorder: Recorder,
    vad: SileroVad,
    store: Store,
    clock: Clock,
    lexicon: Callable[[], tuple[BankTerm, ...]],
    on_account: Callable[[AudioAccount], None],
) -> Gateway:
    """The telephony server, not yet listening."""
    from streaming.browser import TicketHolder
    from streaming.gateway import Gateway, GatewayConfig
    from streaming.ingest import IngestServices
    from streaming.telephony.admission import TrustedProxies

    telephony = settings.telephony
    services: Any = IngestServices(
        sink=sink,
        transcriber=transcriber,
        make_pipeline=Pipelines(settings, vad, lexicon),
        clock=clock,
        recorder=recorder,
        cipher_for=store.call_cipher,
        on_account=on_account,
    )

    async def redeem(ticket: str, origin: str) -> TicketHolder:
        user = await asyncio.to_thread(store.signin.redeem_ticket, ticket, "microphone", origin)
        return TicketHolder(org_id=user.org_id, user_id=user.user_id, username=user.username)

    config = GatewayConfig(
        host=telephony.host,
        port=telephony.port,
        integrations=tuple(integration(item, settings.org) for item in telephony.integrations),
        audiosocket_port=telephony.audiosocket_port,
        allow_anonymous=telephony.allow_anonymous,
        proxies=TrustedProxies.of(telephony.trusted_proxies, telephony.client_cert_header),
        leg_wait_s=telephony.leg_wait_s,
        browser_calls=telephony.browser_calls,
        start_timeout_s=telephony.start_timeout_s,
        idle_timeout_s=telephony.idle_timeout_s,
    )
    return Gateway(config, services, redeem)
