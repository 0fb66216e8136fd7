"""Starts a real ``pangting serve`` for the demo, the bench and the tests, with its own data directory, and stops it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[1]
_MANY = "import json, sys; from copilot.cli.main import app; [app(line, standalone_mode=False) for line in json.loads(sys.argv[1])]"
BANK = ROOT / "kb" / "samples" / "bank"
_PORTS = range(20_000, 32_000)
_SECRET_ENV = "PANGTING_TEST_AUDIOHOOK_SECRET"
_NEEDS: dict[str, dict[str, list[str]]] = {
    "asterisk": {"legs": ["customer", "agent"]},
    "audiosocket": {"legs": ["customer", "agent"]},
    "audiohook": {"secret_envs": [_SECRET_ENV]},
}
"""What an integration of a protocol has beside its key: legs that come on connections of their own, a secret to sign with."""


class ServerFailed(RuntimeError):
    """The server did not start; the message carries the end of its log."""


def free_port(preferred: int = 0) -> int:
    """``preferred`` if nothing listens there, else any free port of the loopback address.

    Not one of those that the system gives to outgoing connections: until a server listens there it might be taken.
    """
    for port in (preferred, *random.sample(_PORTS, 50)):
        if not port:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ServerFailed("No port of 127.0.0.1 is free.")


@dataclass(slots=True)
class ServerProcess:
    """One server on the loopback address. ``settings`` become PANGTING_… variables."""

    data_dir: Path
    http_port: int = field(default_factory=free_port)
    telephony_port: int = field(default_factory=free_port)
    audiosocket_port: int = field(default_factory=free_port)
    settings: dict[str, str] = field(default_factory=dict)
    key: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    protocols: tuple[str, ...] = ("raw", "twilio")
    """Each gets an integration with ``key``; audiohook's handshakes must be signed with ``secret`` too."""
    secret: str = field(default_factory=lambda: base64.b64encode(secrets.token_bytes(32)).decode())
    passwords: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    def telephony_url(self, protocol: str) -> str:
        if protocol == "audiosocket":
            return f"tcp://127.0.0.1:{self.audiosocket_port}"
        return f"ws://127.0.0.1:{self.telephony_port}/v1/{protocol}"

    @property
    def log_path(self) -> Path:
        return self.data_dir / "server.log"

    def environment(self) -> dict[str, str]:
        """The environment of every command of this installation."""
        digest = "sha256:" + hashlib.sha256(self.key.encode()).hexdigest()
        # A call that is announced with a key belongs to the first integration that has it, so the one that needs it stands first.
        ordered = sorted(self.protocols, key=lambda protocol: protocol != "audiosocket")
        integrations = [
            {"name": f"test-{protocol}", "protocol": protocol, "keys": [digest]} | _NEEDS.get(protocol, {}) for protocol in ordered
        ]
        return {
            **os.environ,
            "PANGTING_DATA_DIR": str(self.data_dir),
            "PANGTING_MODELS__DIR": str(ROOT / "var" / "models"),
            "PANGTING_SERVER__PORT": str(self.http_port),
            "PANGTING_TELEPHONY__PORT": str(self.telephony_port),
            "PANGTING_TELEPHONY__AUDIOSOCKET_PORT": str(self.audiosocket_port),
            _SECRET_ENV: self.secret,
            "PANGTING_TELEPHONY__INTEGRATIONS": json.dumps(integrations),
            "PANGTING_LOG__FORMAT": "json",
            **self.settings,
        }

    def command(self, *arguments: str, **environment: str) -> str:
        """Runs ``pangting …`` to its end; its standard output. Raises ServerFailed with its standard error."""
        return self._run(["-m", "copilot", *arguments], " ".join(arguments[:2]), environment)

    def transcripts(self, *files: Path, language: str = "zh") -> list[dict[str, Any]]:
        """What ``pangting transcribe`` makes of recordings, one object a file."""
        answer = self.command("transcribe", *map(str, files), "--language", language, "--json")
        return [json.loads(line) for line in answer.splitlines()]

    def _commands(self, lines: list[list[str]], environment: dict[str, str]) -> None:
        """Several commands in one interpreter: starting one takes two seconds, and a load test has dozens of agents."""
        self._run(["-c", _MANY, json.dumps(lines)], " ".join(lines[0][:2]), environment)

    def _run(self, arguments: list[str], name: str, environment: dict[str, str]) -> str:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=ROOT, env={**self.environment(), **environment}, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise ServerFailed(f"pangting {name} failed: {done.stderr.strip()[-2000:]}")
        return done.stdout

    def prepare(self, users: dict[str, tuple[str, str]], bank: Path = BANK) -> None:
        """Imports the sample bank and makes the accounts (username → (role, display name)); doing it again changes nothing."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.command("kb", "import", str(bank), "--json")
        accounts = self.data_dir / "accounts.json"
        if accounts.exists():
            self.passwords = json.loads(accounts.read_text())
        fresh = {username: secrets.token_urlsafe(12) for username in users if username not in self.passwords}
        if fresh:
            variables = {f"PW_{number}": password for number, password in enumerate(fresh.values())}
            self._commands(
                [
                    ["users", "invite", username, "--role", users[username][0], "--name", users[username][1], "--password-env", variable]
                    for username, variable in zip(fresh, variables, strict=True)
                ],
                variables,
            )
            self.passwords.update(fresh)
        accounts.touch(mode=0o600)
        accounts.write_text(json.dumps(self.passwords))

    def start(self) -> None:
        """Starts the server; returns at once."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "copilot", "serve"],
                cwd=ROOT,
                env=self.environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def log_tail(self, size: int = 3000) -> str:
        return self.log_path.read_text(errors="replace")[-size:] if self.log_path.exists() else ""

    def _probe(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            raise ServerFailed(f"The server ended while starting. The end of {self.log_path}:\n{self.log_tail()}")
        try:
            return httpx.get(f"{self.base}/readyz", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def wait_ready(self, timeout_s: float = 240.0) -> float:
        """Blocks until /readyz answers 200; how many seconds it took. Raises ServerFailed."""
        begun = time.monotonic()
        while time.monotonic() - begun < timeout_s:
            if self._probe():
                return time.monotonic() - begun
            time.sleep(0.1)
        raise ServerFailed(f"The server was not ready after {timeout_s:.0f} s. The end of {self.log_path}:\n{self.log_tail()}")

    async def wait_ready_async(self, timeout_s: float = 240.0) -> float:
        return await asyncio.to_thread(self.wait_ready, timeout_s)

    def kill(self) -> None:
        """SIGKILL, as a crash."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)

    def stop(self, timeout_s: float = 20.0) -> int:
        """SIGTERM, then SIGKILL to the whole group; the exit status."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(10)
        return int(self.process.returncode or 0)

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()
