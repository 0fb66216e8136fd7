"""noida-db, a small program that speaks the Elasticsearch API: not Elasticsearch, and no measure of it."""

import importlib.resources
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def emulator(data_dir: Path) -> Iterator[str]:
    """Its address while it runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = str(importlib.resources.files("noida_db") / "noida-db")
    command = [program, "start", "--only", "elasticsearch", "--elasticsearch-port", str(port), "--data-dir", str(data_dir)]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(url, running)
        yield url
    finally:
        running.terminate()
        running.wait(20)


def _wait(url: str, running: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while running.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"the emulator did not start (status {running.poll()})")
