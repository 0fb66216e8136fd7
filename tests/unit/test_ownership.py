"""Two call nodes on one store: a call whose peer reconnects to the other node goes on there, and the first can write nothing more."""

from __future__ import annotations

import asyncio
import contextlib
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from copilot.assembly.interrupted import read_events
from copilot.bus.local import LocalBus
from copilot.domain.artifacts import ARTIFACT_KINDS
from copilot.domain.errors import Conflict
from copilot.domain.events import CallEnded, CallStarted, UtteranceFinal
from copilot.domain.intents import UNKNOWN_INTENT, IntentPrediction
from copilot.live.desk import BankRules, LiveDesk
from copilot.live.services import LiveServices
from copilot.privacy.masker import Masker
from copilot.store.media import open_media
from streaming.gateway import Gateway, GatewayConfig
from streaming.handshake import IntegrationConfig, hashed_key
from streaming.ingest import IngestServices
from streaming.pipeline import ChannelPipeline
from streaming.recording.reader import RecordingReader
from streaming.recording.recorder import Recorder, RecorderConfig
from tests.fakes.fake_transcriber import FakeTranscriber
from tests.fakes.stores import ORG, make_store, sqlite_url
from tests.fakes.telephony_bench import until
from tests.fakes.tone_speech import ToneVad, silence, tone

pytestmark = pytest.mark.anyio

KEY = "k-3f9a"
OURS = IntegrationConfig(name="pbx", protocol="raw", org_id=ORG, keys=(hashed_key(KEY),))
OTHERS = IntegrationConfig(name="other-pbx", protocol="raw", org_id=ORG, keys=(hashed_key("k-other"),))
START = {"type": "start", "call_id": "c-1", "channels": ["customer", "agent"], "encoding": "pcm_s16le", "sample_rate": 16_000}
BYTES_PER_MS = 64


@pytest.fixture
def anyio_backend():
    return "asyncio"


class NoKnowledge:
    def search(self, _query):
        return ()

    def classify(self, _text, _language, _context=()):
        return IntentPrediction(intent=UNKNOWN_INTENT, confidence=0.0)


class Node:
    """A call node with a store handle, a spool and sockets of its own; database, keys and media are shared."""

    def __init__(self, tmp_path, name):
        self.store = make_store(sqlite_url(tmp_path), tmp_path)
        self.media = open_media(str(tmp_path / "media"))
        self.recorder = Recorder(RecorderConfig(spool_dir=tmp_path / f"spool-{name}"), self.media)
        knowledge, clock = NoKnowledge(), self.store.calls._clock
        services = LiveServices(
            journal=self.store.journal,
            bus=LocalBus(),
            clock=clock,
            executor=ThreadPoolExecutor(1),
            knowledge=knowledge,
            intents=knowledge,
        )

        async def give(value):
            return value

        async def past(org_id, call_id):
            return read_events(self.store, org_id, call_id), self.store.calls.vault(org_id, call_id)

        self.desk = LiveDesk(
            node=name,
            services=lambda _org: give(services),
            rules=lambda _org: give(BankRules()),
            masker=Masker,
            find_agent=lambda _org, _name: give(None),
            audit=lambda _entry: give(None),
            past=past,
        )
        ingest = IngestServices(
            sink=self.desk,
            transcriber=FakeTranscriber(),
            make_pipeline=lambda wanted: ChannelPipeline(
                call_id=wanted.call_id,
                channel=wanted.channel,
                language=wanted.language,
                vad=ToneVad(),
                clock_ms=lambda: 0.0,
                after=wanted.after,
            ),
            clock=clock,
            recorder=self.recorder,
            cipher_for=self.store.call_cipher,
        )
        self.gateway = Gateway(GatewayConfig(port=0, audiosocket_port=0, integrations=(OURS, OTHERS)), ingest)

    @asynccontextmanager
    async def running(self):
        await self.recorder.start()
        await self.gateway.start()
        try:
            yield self
        finally:
            await self.gateway.stop()
            await self.recorder.stop()
            self.store.close()

    def connect(self, key=KEY):
        url = f"ws://127.0.0.1:{self.gateway.port}/v1/raw"
        return connect(url, additional_headers={"Authorization": f"Bearer {key}"}, proxy=None, compression=None)

    def envelopes(self):
        return self.store.calls.events(ORG, "c-1")

    def texts(self, channel):
        return [e.event.text for e in self.envelopes() if isinstance(e.event, UtteranceFinal) and e.event.channel == channel]


@asynccontextmanager
async def two_nodes(tmp_path):
    async with Node(tmp_path, "a").running() as a, Node(tmp_path, "b").running() as b:
        yield a, b


def stereo(customer, agent):
    length = max(len(customer), len(agent)) // 2
    legs = [np.frombuffer(leg.ljust(2 * length, b"\0"), "<i2") for leg in (customer, agent)]
    return np.stack(legs, axis=1).astype("<i2").tobytes()


CUSTOMER = tone("甲乙丙丁") + silence(1200) + tone("戊己庚辛") + silence(1200) + tone("子丑寅") + silence(800)
AGENT = silence(4000) + tone("月星风") + silence(1200)
AUDIO = stereo(CUSTOMER, AGENT)


async def begin(websocket, **more):
    await websocket.send(json.dumps(START | {"resumable": True} | more))
    return json.loads(await websocket.recv())


async def speak(websocket, start_ms, end_ms):
    """Silence after the end of the call's audio."""
    for at in range(start_ms, end_ms, 100):
        end = min(at + 100, end_ms)
        await websocket.send(AUDIO[at * BYTES_PER_MS : end * BYTES_PER_MS].ljust((end - at) * BYTES_PER_MS, b"\0"))


async def go_on_speaking(websocket):
    for at in range(2500, 2500 + 100_000, 100):
        await speak(websocket, at, at + 100)
        await asyncio.sleep(0.01)


async def closed(websocket):
    with contextlib.suppress(ConnectionClosed):
        async for _ in websocket:
            pass
    return websocket.close_code


async def test_a_call_goes_on_on_the_other_node_and_the_first_can_write_nothing_more(tmp_path):
    async with two_nodes(tmp_path) as (a, b), a.connect() as first, b.connect() as second:
        await begin(first)
        await speak(first, 0, 2500)  # one utterance, and half of the next one
        await until(lambda: a.texts("customer") == ["甲乙丙丁"])
        # The peer lost this socket and does not know what was heard: it goes on from the beginning of what it kept.
        answer = await begin(second, resume={"offset_bytes": 0})
        assert answer["type"] == "started"
        await speak(second, 0, len(AUDIO) // BYTES_PER_MS)
        await until(lambda: b.texts("customer")[:2] == ["甲乙丙丁", "戊己庚辛"])

        # The old socket was not dead after all: it is closed as soon as something of it should be stored.
        with pytest.raises(ConnectionClosed):
            await go_on_speaking(first)
        assert first.close_code == 4409
        await until(lambda: not a.gateway.live_calls)
        assert a.desk.live_calls == 0

        await second.send('{"type":"stop"}')
        assert await closed(second) == 1000
        envelopes = b.envelopes()
        assert [e.seq for e in envelopes] == list(range(1, len(envelopes) + 1))
        assert [e.epoch for e in envelopes] == sorted(e.epoch for e in envelopes)
        assert {e.epoch for e in envelopes} == {1, 2}
        assert [type(e.event) for e in envelopes if isinstance(e.event, CallStarted | CallEnded)] == [CallStarted, CallEnded]
        assert envelopes[-1].event.reason == "hangup"
        assert b.texts("customer") == ["甲乙丙丁", "戊己庚辛", "子丑寅"], "no word is missing, and none is there twice"
        assert b.texts("agent") == ["月星风"]
        ids = [e.event.utterance_id for e in envelopes if isinstance(e.event, UtteranceFinal)]
        assert sorted(ids) == ["agent-1", "customer-1", "customer-2", "customer-3"]
        assert sorted(job.kind for job in b.store.outbox.open_jobs()) == sorted(ARTIFACT_KINDS)
    reader = RecordingReader(b.media, ORG, "c-1", make_store(sqlite_url(tmp_path), tmp_path).call_cipher(ORG, "c-1"))
    for column, channel in enumerate(("customer", "agent")):
        leg = reader.leg(channel)
        assert leg.complete
        assert leg.gaps == ()
        assert {segment.part for segment in leg.segments} == {1, 2}
        # The old socket may have sent silence for a moment longer than the call was.
        whole = np.frombuffer(AUDIO, "<i2")[column::2]
        assert np.array_equal(reader.pcm16(channel, 0, len(whole)), whole)


async def test_who_may_not_resume_does_not_cost_the_owner_its_call(tmp_path):
    async with two_nodes(tmp_path) as (a, b), a.connect() as first:
        await begin(first)
        await speak(first, 0, 1000)
        for key, more, code in (
            ("k-other", {"resume": {"offset_bytes": 0}}, 4404),
            (KEY, {"resume": {"offset_bytes": 0}, "channels": ["customer"]}, 1007),
            (KEY, {}, 4409),
            (KEY, {"resume": {"offset_bytes": 0}, "call_id": "c-2"}, 4404),
        ):
            async with b.connect(key) as second:
                await begin(second, **more)
                assert await closed(second) == code
        await speak(first, 1000, 2000)
        await first.send('{"type":"stop"}')
        assert await closed(first) == 1000
        assert {e.epoch for e in a.envelopes()} == {1}
        assert a.texts("customer") == ["甲乙丙丁"]
        async with b.connect() as second:
            await begin(second, resume={"offset_bytes": 0})
            assert await closed(second) == 4404


async def test_the_masks_and_the_vault_go_on(tmp_path):
    async with two_nodes(tmp_path) as (a, b), a.connect() as first, b.connect() as second:
        await begin(first, metadata={"ani": "13900002222"})
        await speak(first, 0, 1000)
        stale = next(iter(a.desk._live.values())).opened
        await begin(second, resume={"offset_bytes": 64_000})
        live = next(iter(b.desk._live.values()))
        assert live.masker.mask("我的手机号是13900002222").text.endswith("【手机号#1】")
        assert "【手机号#2】" in live.masker.mask("还有13911112222这个手机号").text
        with pytest.raises(Conflict):
            await a.store.journal.put_secrets(ORG, "c-1", {"【手机号#1】": "1"}, epoch=stale.epoch)
        assert b.store.calls.vault(ORG, "c-1") == {"【手机号#1】": "13900002222"}
