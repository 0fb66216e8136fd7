"""What a telephone system says of a running call over HTTP, at the real API in front of a real telephony server."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

import httpx
import pytest
from websockets.asyncio.client import connect

from copilot.api.app import create_app
from copilot.api.context import ApiContext
from copilot.assembly.telephony import TelephoneSystems
from copilot.cli.reference import _Unused
from streaming.handshake import IntegrationConfig, hashed_key
from tests.fakes.telephony_bench import TelephonyBench
from tests.fakes.tone_speech import silence, tone

pytestmark = pytest.mark.anyio

KEY, OTHER = "k-3f9a", "k-77bc"
PBX = IntegrationConfig(name="pbx", protocol="raw", org_id="org", keys=(hashed_key(KEY),))
ELSEWHERE = IntegrationConfig(name="elsewhere", protocol="raw", org_id="org", keys=(hashed_key(OTHER),))
START = {"type": "start", "call_id": "c-1", "channels": ["customer"], "encoding": "pcm_s16le", "sample_rate": 16000, "events": True}


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def bench(tmp_path):
    bench = TelephonyBench(tmp_path, integrations=(PBX, ELSEWHERE))
    async with bench.running():
        yield bench


@asynccontextmanager
async def api(bench):
    """``ask(what, body, key, call_id)`` → (status, problem)."""
    systems = TelephoneSystems()
    systems.gateway = bench.gateway
    fields = {name: _Unused() for name, field in ApiContext.__dataclass_fields__.items() if field.default_factory and field.init}
    known = {
        "telephony": systems,
        "web_dir": bench.recorder._config.spool_dir,
        "origins": (),
        "version": "1",
        "public_url": "",
        "heartbeat_s": 1,
    }
    transport = httpx.ASGITransport(create_app(ApiContext(**fields | known)))
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:

        async def ask(what, body=None, key=KEY, call_id="c-1"):
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            answer = await client.post(f"/api/v1/telephony/calls/{call_id}/{what}", json=body, headers=headers)
            return answer.status_code

        yield ask


async def call(bench):
    websocket = await connect(bench.url("/v1/raw"), additional_headers={"Authorization": f"Bearer {KEY}"}, proxy=None)
    await websocket.send(json.dumps(START))
    assert json.loads(await websocket.recv())["type"] == "started"
    return websocket


async def test_hold_resume_and_transfer_reach_the_call_at_its_media_time(bench):
    async with api(bench) as ask:
        websocket = await call(bench)
        await websocket.send(silence(800))
        await bench.heard("c-1", 800)
        assert await ask("hold") == 204
        await websocket.send(silence(400))
        await bench.heard("c-1", 1200)
        assert await ask("resume") == 204
        assert await ask("transfer", {"agent": "zhou", "reason": "loans"}) == 204
        assert await ask("transfer", {"agent": "nobody"}) == 404
        assert await ask("transfer", {"agent": ""}) == 422
        assert await ask("transfer", {"agent": "z", "reason": "x" * 501}) == 422
        told = [item for item in bench.sink.calls["c-1"].told if isinstance(item, tuple) and item[0] in ("held", "resumed", "transferred")]
        assert told == [("held", 800), ("resumed", 1200), ("transferred", "zhou", 1200, "loans")], "the media clock runs through the hold"
        await websocket.close()


async def test_the_end_comes_after_the_last_words_and_the_peer_is_told(bench):
    async with api(bench) as ask:
        websocket = await call(bench)
        await websocket.send(silence(200) + tone("甲乙丙丁"))
        await bench.heard("c-1", 600)
        assert await ask("end") == 204
        handle = bench.sink.calls["c-1"]
        assert ("noted", "call.end") in handle.told
        assert handle.ended is not None
        assert handle.ended[0] == "hangup"
        assert handle.texts("customer") == ["甲乙丙丁"], "what was said just before is kept"
        kinds = [json.loads(message)["type"] async for message in websocket]
        assert kinds[-1] == "stopped"
        assert websocket.close_code == 1000
        assert [await ask(what) for what in ("end", "hold", "resume")] == [404, 404, 404]


@pytest.mark.parametrize(("what", "body"), [("hold", None), ("resume", None), ("transfer", {"agent": "zhou"}), ("end", None)])
async def test_only_the_key_of_the_calls_own_integration_may(bench, what, body):
    async with api(bench) as ask:
        websocket = await call(bench)
        assert await ask(what, body, key="") == 401
        assert await ask(what, body, key="wrong") == 403
        assert await ask(what, body, key=OTHER) == 403
        assert await ask(what, body, call_id="c-2") == 404
        handle = bench.sink.calls["c-1"]
        assert (handle.told, handle.ended) == ([], None)
        assert [reason[:3] for _, reason in bench.sink.audits] == ["401", "403", "403"]
        await websocket.close()
