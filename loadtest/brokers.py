"""Job brokers as servers of our own: for the load commands, and for tests that kill them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from loadtest.server_process import free_port

_START_S = 120.0


class Missing(RuntimeError):
    """The program is not installed here."""


class Broker(Protocol):
    """``url``: for jobs.url. ``kill``: SIGKILL, with everything it held in memory."""

    @property
    def url(self) -> str: ...

    def start(self) -> None: ...

    def listening(self) -> bool: ...

    def kill(self) -> None: ...


class Files:
    """A directory: nothing to start, nothing to kill."""

    def __init__(self, directory: Path) -> None:
        self.url = f"filesystem://{directory / 'broker'}"

    def start(self) -> None:
        return

    def listening(self) -> bool:
        return True

    def kill(self) -> None:
        return


class Redis:
    """A Redis server that keeps everything in memory."""

    def __init__(self, directory: Path) -> None:
        """Raises Missing."""
        if shutil.which("redis-server") is None:
            raise Missing("redis-server is not installed; run: apt-get install redis-server")
        self._directory, self._port = directory, free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        command = ["redis-server", "--port", str(self._port), "--save", "", "--appendonly", "no", "--dir", str(self._directory)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def listening(self) -> bool:
        return _listening(self._port)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)


class RabbitMq:
    """A RabbitMQ node with a home of its own."""

    def __init__(self, directory: Path) -> None:
        """Raises Missing."""
        found = next(Path("/usr/lib/rabbitmq").glob("lib/rabbitmq_server-*/sbin/rabbitmq-server"), None)
        if found is None:
            raise Missing("RabbitMQ is not installed; run: apt-get install rabbitmq-server")
        self._server, self._home, self._port = found, directory / "rabbit", free_port()
        self._home.mkdir(exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"amqp://guest:guest@127.0.0.1:{self._port}//"

    def start(self) -> None:
        environment = {
            **os.environ,
            "HOME": str(self._home),
            "RABBITMQ_NODENAME": f"pangting{self._port}@localhost",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(self._home / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self._home / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._home / "plugins"),
        }
        self._process = subprocess.Popen([str(self._server)], env=environment, stdout=subprocess.DEVNULL, start_new_session=True)

    def listening(self) -> bool:
        return _listening(self._port)

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(30)


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def broker_of(kind: str, directory: Path) -> Iterator[Broker]:
    """A started broker: ``filesystem``, ``redis`` or ``rabbitmq``. Raises Missing."""
    makers: dict[str, type[Files] | type[Redis] | type[RabbitMq]] = {"filesystem": Files, "redis": Redis, "rabbitmq": RabbitMq}
    broker = makers[kind](directory)
    broker.start()
    try:
        begun = time.monotonic()
        while not broker.listening():
            if time.monotonic() - begun > _START_S:
                raise RuntimeError(f"{kind} did not start within {_START_S:.0f} s")
            time.sleep(0.1)
        yield broker
    finally:
        broker.kill()
