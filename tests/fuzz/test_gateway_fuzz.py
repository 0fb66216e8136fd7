"""Mutated calls of every protocol over real sockets: no task of theirs stays, and the call beside them is heard whole.

The parsers alone take a million in minutes (test_telephony_fuzz.py); here a connection, a recording and a call hang on each input.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import uuid
from urllib.parse import urlencode

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from copilot.domain.errors import Conflict
from streaming.callers import CALLERS
from streaming.calling import Credentials
from streaming.handshake import IntegrationConfig, hashed_key
from tests.fakes.conversations import CALL_ID, recording_of
from tests.fuzz.mutations import conversation
from tests.unit.test_gateway_hostile import KEY, anyio_backend, make_bench, until, witness  # noqa: F401 - fixtures

pytestmark = pytest.mark.anyio

NAMES = sorted(CALLERS)
INTEGRATIONS = tuple(
    IntegrationConfig(name=name, protocol=name, org_id="org", keys=(hashed_key(KEY if name == "raw" else f"{KEY}-{name}"),), max_calls=500)
    for name in NAMES
)
AT_ONCE = 26


def own(messages, call_id):
    """The same messages for a call of their own."""
    old, new = uuid.UUID(CALL_ID).bytes, uuid.UUID(call_id).bytes
    return [part.replace(CALL_ID, call_id) if isinstance(part, str) else part.replace(old, new) for part in messages]


async def over_tcp(bench, name, call_id, messages, chance):
    with contextlib.suppress(Conflict):
        await bench.gateway.announce(
            f"Bearer {KEY}-{name}", "", call_id=call_id, legs=((call_id, "customer"),), metadata={}, language=None, wait_s=3600
        )
    _, writer = await asyncio.open_connection("127.0.0.1", bench.gateway.audiosocket_port)
    with contextlib.suppress(OSError):
        for message in messages:
            writer.write(message.encode(errors="replace") if isinstance(message, str) else message)
            await writer.drain()
    if chance.random() < 0.5:
        writer.transport.abort()
    else:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def over_websocket(bench, name, call_id, messages, chance):
    spec = CALLERS[name]
    query = urlencode(spec.query(recording_of(name, ms=20), call_id))
    url = bench.url(f"/v1/{name}{'?' if query else ''}{query}")
    headers = spec.headers(Credentials(url=url, key=f"{KEY}-{name}" if name != "raw" else KEY, secret="", call_id=call_id))
    subprotocols = {"subprotocols": [spec.subprotocol]} if spec.subprotocol else {}
    while True:
        try:
            websocket = await connect(url, additional_headers=headers, proxy=None, compression=None, max_queue=None, **subprotocols)
            break
        except InvalidStatus as refused:
            if refused.response.status_code != 503:
                raise
            await asyncio.sleep(0.1)  # as many connections as are allowed have not been closed to the end: the bound holds
    async with websocket:
        # AttributeError: websockets' client aborts a transport that asyncio has let go of already.
        with contextlib.suppress(ConnectionClosed, UnicodeEncodeError, AttributeError):
            for message in messages:
                await websocket.send(message)
        if chance.random() < 0.5:
            websocket.transport.abort()


async def storm(make_bench, count):  # noqa: F811
    async with make_bench(integrations=INTEGRATIONS, max_connections=500, resume_window_s=0.2) as bench, witness(bench):

        async def visit(seed):
            name, chance = NAMES[seed % len(NAMES)], random.Random(seed)
            call_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
            send = over_tcp if CALLERS[name].transport == "tcp" else over_websocket
            await send(bench, name, call_id, own(conversation(name, seed), call_id), chance)

        for at in range(0, count, AT_ONCE):
            async with asyncio.TaskGroup() as group:
                for seed in range(at, min(at + AT_ONCE, count)):
                    group.create_task(visit(seed))
        await until(lambda: len(bench.gateway._connections) == 1)
        for call_id, handle in tuple(bench.sink.calls.items()):
            if call_id != "witness":
                await handle.over.wait()
        await until(lambda: bench.gateway.live_calls == 1)
        assert len(bench.sink.calls) > count / 4, "a good part of them must be calls, or it would find nothing"


async def test_mutated_calls_over_sockets_leave_nothing_behind(make_bench):  # noqa: F811
    await storm(make_bench, 520)


@pytest.mark.slow
@pytest.mark.timeout(3600)
async def test_many_mutated_calls_over_sockets_leave_nothing_behind(make_bench):  # noqa: F811
    await storm(make_bench, 20_000)
