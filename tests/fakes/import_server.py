"""The API with its import service on a port: real store, real child processes, the built pages; no recogniser and no models."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from copilot.api.context import PageCalls
from copilot.assembly.import_service import ImportService
from copilot.settings import Settings, load
from loadtest.server_process import ROOT, free_port
from tests.fakes.api_bench import ApiBench
from tests.fakes.stores import sqlite_url

WEB = ROOT / "copilot" / "api" / "_web"


class ImportServer:
    """``people``: username → roles; ``token(username)`` is an open session's."""

    def __init__(self, directory: Path, people: dict[str, tuple[str, ...]]) -> None:
        self.settings: Settings = load(data_dir=directory, store={"url": sqlite_url(directory)})
        # The children read the same settings from the environment.
        os.environ["PANGTING_STORE__URL"] = sqlite_url(directory)
        os.environ["PYTHONPATH"] = str(ROOT)
        service: list[ImportService] = []

        class Late:
            """The service needs the bench's store."""

            def __getattr__(self, name: str) -> Any:
                return getattr(service[0], name)

        no_calls = PageCalls(calls_each=0, setting="telephony.browser_calls", url="")
        articles = lambda org_id: self.bench.store.articles(org_id)  # noqa: E731
        self.bench = ApiBench(directory, imports=Late(), web_dir=WEB, page_calls=lambda _host: no_calls, articles=articles)
        self.service = ImportService(self.settings, self.bench.store, "node")
        service.append(self.service)
        for username, roles in people.items():
            self.bench.join(username, *roles)  # type: ignore[arg-type]
        self.port = free_port()
        self._server = uvicorn.Server(
            uvicorn.Config(self.bench.app, host="127.0.0.1", port=self.port, log_level="warning", lifespan="off", ws="none")
        )
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def token(self, username: str) -> str:
        return self.bench.sessions[username].token

    async def _serve(self) -> None:
        async with self.service.running():
            await self._server.serve()

    def start(self) -> None:
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("the server did not start")
            threading.Event().wait(0.05)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        self.bench.store.close()


@contextmanager
def import_server(directory: Path, people: dict[str, tuple[str, ...]]) -> Iterator[ImportServer]:
    """A server that lives as long as the block."""
    before = {name: os.environ.get(name) for name in ("PANGTING_STORE__URL", "PYTHONPATH")}
    server = ImportServer(directory, people)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
