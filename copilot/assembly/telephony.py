"""The telephony gateway of these settings: integrations, recognition pipelines, recording."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from copilot.assembly import engines
from copilot.domain.errors import ConfigError
from copilot.domain.ids import OrgId
from copilot.settings import IntegrationSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from copilot.domain.clock import Clock
    from copilot.domain.knowledge import BankTerm
    from copilot.domain.ports.asr import Transcriber
    from copilot.domain.ports.live import CallSink
    from copilot.store.store import Store
    from streaming.asr.lexicon import Lexicon
    from streaming.asr.utterance import Finish
    from streaming.gateway import Gateway
    from streaming.handshake import IntegrationConfig
    from streaming.ingest import PipelineRequest
    from streaming.pipeline import ChannelPipeline
    from streaming.recording.recorder import Recorder
    from streaming.vad.silero import SileroVad


def integration(settings: IntegrationSettings, org: str) -> IntegrationConfig:
    """Raises ConfigError when the named secret is not in the environment."""
    from streaming.handshake import IntegrationConfig

    secret = ""
    if settings.twilio_auth_token_env:
        secret = os.environ.get(settings.twilio_auth_token_env, "")
        if not secret:
            raise ConfigError(f"Integration {settings.name!r}: the environment variable {settings.twilio_auth_token_env} is empty.")
    return IntegrationConfig(
        name=settings.name,
        protocol=settings.protocol,
        org_id=OrgId(settings.org or org),
        keys=settings.keys,
        twilio_auth_token=secret,
        public_url=settings.public_url,
        channel_roles=dict(settings.channel_roles),
        language=settings.language,
        max_calls=settings.max_calls,
    )


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
) -> Gateway:
    """The telephony server, not yet listening."""
    from streaming.gateway import Gateway, GatewayConfig
    from streaming.ingest import IngestServices

    telephony = settings.telephony
    services: Any = IngestServices(
        sink=sink,
        transcriber=transcriber,
        make_pipeline=Pipelines(settings, vad, lexicon),
        clock=clock,
        recorder=recorder,
        cipher_for=store.call_cipher,
    )
    config = GatewayConfig(
        host=telephony.host,
        port=telephony.port,
        integrations=tuple(integration(item, settings.org) for item in telephony.integrations),
        allow_anonymous=telephony.allow_anonymous,
        start_timeout_s=telephony.start_timeout_s,
        idle_timeout_s=telephony.idle_timeout_s,
    )
    return Gateway(config, services)
