"""A conforming webhook receiver on a real port: checks signature and time, and applies each id once, however often it comes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from copilot.domain.errors import InvalidInput
from postcall.webhooks.signing import verify


class Receiver:
    """``effects``: id → payload, applied once. ``deliveries``: every id that came with a right signature, in order.

    ``answer(path, number)`` says the HTTP status of the n-th request; None holds the answer back until ``release`` is set.
    """

    def __init__(self, secret: bytes, now: Callable[[], float] = time.time) -> None:
        self.secret = secret
        self.effects: dict[str, Any] = {}
        self.deliveries: list[str] = []
        self.refused = 0
        self.requests = 0
        self.headers: list[dict[str, str]] = []
        self.answer: Callable[[int], int | None] = lambda _number: 204
        self.extra: dict[str, str] = {}
        self.arrived, self.release = threading.Event(), threading.Event()
        self._now = now
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/hook"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                received = {name.lower(): value for name, value in self.headers.items()}
                receiver.requests += 1
                number = receiver.requests
                try:
                    name = verify(receiver.secret, received, body, receiver._now())
                except InvalidInput:
                    receiver.refused += 1
                    self._end(401)
                    return
                status = receiver.answer(number)
                if status is None or status < 300:
                    receiver.deliveries.append(name)
                    receiver.headers.append(received)
                    receiver.effects.setdefault(name, json.loads(body))
                receiver.arrived.set()
                if status is None:
                    receiver.release.wait(60)
                    status = 204
                self._end(status)

            def _end(self, status: int) -> None:
                self.send_response(status)
                for name, value in receiver.extra.items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_args: object) -> None:
                return

        return Handler
