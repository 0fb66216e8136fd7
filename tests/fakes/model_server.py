"""A scripted server that speaks the OpenAI chat protocol over real sockets: it answers as told, breaks off, hangs, or sends nonsense."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


class ModelServer:
    """``script``: one behaviour per request, the last one for all that follow.

    A behaviour is ``("stream", [pieces])``, ``("killed", [pieces])`` (the connection is cut after them), ``("ended", [pieces])`` (the
    stream ends in order, without its last chunk), ``("hang", [pieces])``, ``("garbage", bytes)``, ``("json", text)`` or
    ``("status", code)``.
    """

    def __init__(self, script: Sequence[tuple[str, Any]]) -> None:
        self.requests: list[dict[str, Any]] = []
        self.released = threading.Event()
        self.hung_up = threading.Event()
        self._script = list(script)
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_arguments: object) -> None:
                pass

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.requests.append(body)
                behaviour = server._script.pop(0) if len(server._script) > 1 else server._script[0]
                try:
                    server._behave(self, *behaviour)
                except (BrokenPipeError, ConnectionResetError):
                    server.hung_up.set()
                    self.close_connection = True

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def __enter__(self) -> ModelServer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.released.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)

    def _behave(self, handler: BaseHTTPRequestHandler, kind: str, what: Any) -> None:
        if kind == "status":
            self._whole(handler, int(what), b'{"error": {"message": "no"}}')
        elif kind == "json":
            message = {"role": "assistant", "content": what}
            answer = {"id": "1", "object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
            self._whole(handler, 200, json.dumps(answer).encode())
        elif kind == "garbage":
            self._whole(handler, 200, what, "text/event-stream")
        else:
            self._stream(handler, kind, what)

    def _whole(self, handler: BaseHTTPRequestHandler, status: int, body: bytes, content_type: str = "application/json") -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _stream(self, handler: BaseHTTPRequestHandler, kind: str, pieces: Sequence[str]) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()

        def send(delta: dict[str, str], finish: str | None) -> None:
            chunk = {"id": "1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
            raw(f"data: {json.dumps(chunk)}\n\n".encode())

        def raw(data: bytes) -> None:
            handler.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            handler.wfile.flush()

        for piece in pieces:
            send({"content": piece}, None)
        if kind == "hang":
            while not self.released.wait(0.02):
                raw(b": still here\n\n")
        elif kind == "killed":
            handler.close_connection = True
        elif kind == "ended":
            handler.wfile.write(b"0\r\n\r\n")
        else:
            send({}, "stop")
            raw(b"data: [DONE]\n\n")
            handler.wfile.write(b"0\r\n\r\n")
