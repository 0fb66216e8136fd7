"""A telephony server on free ports with fakes behind it: what goes in over real sockets, and what the call was told."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

from copilot.store.media import open_media
from copilot.telemetry.clock import ManualClock
from streaming.gateway import Gateway, GatewayConfig
from streaming.ingest import IngestConfig, IngestServices
from streaming.pipeline import ChannelPipeline
from streaming.recording.reader import RecordingReader
from streaming.recording.recorder import Recorder, RecorderConfig
from streaming.recording.segment import ClearCipher
from tests.fakes.fake_sink import FakeSink
from tests.fakes.fake_transcriber import FakeTranscriber
from tests.fakes.tone_speech import ToneVad


class TelephonyBench:
    """Time stands still unless a test moves ``clock``."""

    def __init__(self, tmp_path, clock=None, **config):
        self.sink, self.transcriber, self.clock = FakeSink(), FakeTranscriber(), clock or ManualClock()
        self.media = open_media(str(tmp_path / "media"))
        self.recorder = Recorder(RecorderConfig(spool_dir=tmp_path / "spool"), self.media)
        self.languages = []
        services = IngestServices(
            sink=self.sink,
            transcriber=self.transcriber,
            make_pipeline=self.make_pipeline,
            clock=self.clock,
            recorder=self.recorder,
            cipher_for=lambda _org, _call: ClearCipher(),
            config=IngestConfig(drain_s=5),
        )
        self.gateway = Gateway(GatewayConfig(port=0, audiosocket_port=0, **config), services)

    def make_pipeline(self, wanted):
        self.languages.append(wanted.language)
        return ChannelPipeline(
            call_id=wanted.call_id,
            channel=wanted.channel,
            language=wanted.language,
            vad=ToneVad(),
            clock_ms=lambda: self.clock.monotonic() * 1000,
            after=wanted.after,
        )

    @asynccontextmanager
    async def running(self):
        await self.recorder.start()
        await self.gateway.start()
        try:
            yield self
        finally:
            await self.gateway.stop()
            await self.recorder.stop()

    def url(self, path):
        return f"ws://127.0.0.1:{self.gateway.port}{path}"

    async def heard(self, call_id, ms):
        """Returns when the server has taken ``ms`` of the call."""
        await until(lambda: any(c.ingest.call_id == call_id and c.ingest.duration_ms >= ms for c in self.gateway.board.calls.values()))

    async def ended(self, call_id):
        await until(lambda: call_id in self.sink.calls)
        async with asyncio.timeout(20):
            await self.sink.calls[call_id].over.wait()
        return self.sink.calls[call_id]

    def recording(self, call_id):
        return RecordingReader(self.media, "org", call_id, ClearCipher())


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the fakes have no events for everything
            await asyncio.sleep(0.005)
