"""A host page to try the embedded sidebar with: web/sample/crm.html on an origin of its own, and the token its back end asks for.

``python -m loadtest.host_page --pangting http://127.0.0.1:8000 --key KEY --agent NAME``; docs/how-to/embed.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

from loadtest.server_process import ROOT

PAGE = ROOT / "web" / "sample" / "crm.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """``pangting``: the server's address; ``key``: one of ``server.host_keys``; ``agent``: who is signed in at the CRM."""

    pangting: str
    key: str
    agent: str

    def token(self, origin: str) -> str:
        """What the page hands to the sidebar. Raises httpx.HTTPStatusError."""
        answer = httpx.post(
            f"{self.pangting}/api/v1/embed/tokens",
            json={"username": self.agent, "origin": origin},
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=20,
        )
        return str(answer.raise_for_status().json()["token"])


def make_server(host: Host, port: int = 0) -> ThreadingHTTPServer:
    """The host's web server on the loopback address, not started."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/":
                self.send_error(404)
                return
            self._answer("text/html; charset=utf-8", PAGE.read_text(encoding="utf-8").replace("{pangting}", host.pangting).encode())

        def do_POST(self) -> None:
            # A real back end looks at its own session here, and gives a token for nobody else.
            if self.path != "/pangting-token":
                self.send_error(404)
                return
            try:
                body = {"token": host.token(f"http://{self.headers['Host']}")}
            except httpx.HTTPError as error:
                self.send_error(502, type(error).__name__)
                return
            self._answer("application/json", json.dumps(body).encode())

        def _answer(self, kind: str, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class names it
            """Says nothing: the address line is all there is to see."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


@contextlib.contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[str]:
    """The server's origin while it runs."""
    thread = threading.Thread(target=server.serve_forever, daemon=True, name="host-page")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtest.host_page", description="A sample host page with the sidebar beside it.")
    parser.add_argument("--pangting", default="http://127.0.0.1:8000", help="address of the Pangting server")
    parser.add_argument("--key", required=True, help="a key whose digest is in server.host_keys")
    parser.add_argument("--agent", required=True, help="username of the agent who is signed in at the CRM")
    parser.add_argument("--port", type=int, default=8100)
    options = parser.parse_args()
    server = make_server(Host(pangting=options.pangting.rstrip("/"), key=options.key, agent=options.agent), options.port)
    print(f"http://127.0.0.1:{server.server_address[1]}  (Ctrl+C ends it; the origin must be in server.origins)", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()


if __name__ == "__main__":
    main()
