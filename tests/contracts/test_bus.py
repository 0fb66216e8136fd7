"""The bus contract, on every engine: in process, and on a real Redis server."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from copilot.bus.local import LocalBus
from copilot.bus.redis import RedisBus
from copilot.domain.errors import EngineError
from copilot.domain.ports.bus import Bus, BusMessage, Subscription

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is missing: THE REDIS BUS IS NOT TESTED HERE. Run: apt-get install redis-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    server = subprocess.Popen([*command, "--dir", str(tmp_path_factory.mktemp("redis"))], stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert server.poll() is None, "redis-server stopped at once"
            time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture(params=["local", "redis"])
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[Bus]:
    if request.param == "local":
        yield LocalBus(queue_size=50)
        return
    made = RedisBus(request.getfixturevalue("redis_url"), queue_size=50)
    yield made
    await asyncio.to_thread(made.close)


async def take(subscription: Subscription, count: int) -> list[BusMessage]:
    found: list[BusMessage] = []
    async with asyncio.timeout(20):
        async for message in subscription:
            found.append(message)
            if len(found) == count:
                break
    return found


async def test_every_subscriber_of_a_topic_hears_it_in_order(bus: Bus) -> None:
    async with bus.subscribe("a") as one, bus.subscribe("a", "b") as two:
        for number in range(20):
            bus.publish("a", f"{number} 你好")
        bus.publish("b", "last")
        assert [message.body for message in await take(one, 20)] == [f"{number} 你好" for number in range(20)]
        heard = await take(two, 21)
    assert heard[-1] == BusMessage(topic="b", body="last")
    assert all(message.lost == 0 for message in heard)


async def test_other_topics_are_not_heard(bus: Bus) -> None:
    async with bus.subscribe("a") as subscription:
        bus.publish("b", "no")
        bus.publish("a", "yes")
        assert [message.body for message in await take(subscription, 1)] == ["yes"]


async def test_topics_come_and_go_while_subscribed(bus: Bus) -> None:
    async with bus.subscribe("a") as subscription:
        subscription.add("b")
        # Redis takes a new topic a moment later: knock until it answers.
        async with asyncio.timeout(20):
            while True:
                bus.publish("b", "knock")
                try:
                    async with asyncio.timeout(0.2):
                        assert (await take(subscription, 1))[0].topic == "b"
                    break
                except TimeoutError:
                    continue
        subscription.discard("a")
        async with asyncio.timeout(20):
            while True:
                bus.publish("a", "gone?")
                bus.publish("b", "mark")
                heard = await take(subscription, 1)
                while heard[-1].body != "mark":
                    heard = await take(subscription, 1)
                bus.publish("a", "silent")
                bus.publish("b", "end")
                heard = []
                while not heard or heard[-1].body != "end":
                    heard += await take(subscription, 1)
                if all(message.topic == "b" for message in heard):
                    break


async def test_publishing_from_another_thread(bus: Bus) -> None:
    async with bus.subscribe("a") as subscription:
        thread = threading.Thread(target=lambda: [bus.publish("a", str(number)) for number in range(30)])
        thread.start()
        heard = await take(subscription, 30)
        await asyncio.to_thread(thread.join)
    assert [message.body for message in heard] == [str(number) for number in range(30)]


async def test_nobody_listening_is_no_fault(bus: Bus) -> None:
    bus.publish("empty", "x")


async def test_a_slow_subscriber_loses_the_oldest_and_is_told_how_many() -> None:
    bus = LocalBus(queue_size=3)
    async with bus.subscribe("a") as slow:
        for number in range(10):
            bus.publish("a", str(number))
        heard = await take(slow, 3)
        assert [(message.body, message.lost) for message in heard] == [("7", 7), ("8", 0), ("9", 0)]
        bus.publish("a", "10")
        assert (await take(slow, 1))[0].lost == 0


async def test_leaving_forgets_the_subscriber() -> None:
    bus = LocalBus()
    async with bus.subscribe("a", "b"):
        pass
    assert bus._subscribers == {}


async def test_redis_that_is_not_there_refuses_subscribers_and_never_blocks_publishers() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        bus = RedisBus(f"redis://127.0.0.1:{probe.getsockname()[1]}/0", queue_size=5)
        for _ in range(100):
            bus.publish("a", "x")
        with pytest.raises(EngineError, match=r"bus\.url"):
            async with bus.subscribe("a"):
                pass
        await asyncio.to_thread(bus.close)
        assert bus.dropped >= 90


async def test_after_a_broken_connection_the_subscriber_hears_again_and_knows_it_missed_something(redis_url: str) -> None:
    import redis

    bus = RedisBus(redis_url)
    async with bus.subscribe("a") as subscription:
        admin = redis.Redis.from_url(redis_url)
        admin.client_kill_filter(_type="pubsub")
        admin.close()
        async with asyncio.timeout(30):
            while True:
                bus.publish("a", "again")
                try:
                    async with asyncio.timeout(0.3):
                        heard = await take(subscription, 1)
                    break
                except TimeoutError:
                    continue
    await asyncio.to_thread(bus.close)
    assert heard[0].body == "again"
    assert heard[0].lost >= 1
