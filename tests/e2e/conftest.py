"""One real server for the end-to-end tests: real models, real sockets, a real database, a real Celery worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from loadtest.calls import audio
from loadtest.server_process import ServerProcess

USERS = {
    "agent-a": ("agent", "坐席甲"),
    "agent-b": ("agent", "坐席乙"),
    "inspector": ("inspector", "质检员"),
    "editor": ("editor", "知识专员"),
}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    running = ServerProcess(data_dir=tmp_path_factory.mktemp("server"), settings={"PANGTING_TELEPHONY__START_TIMEOUT_S": "3"})
    running.prepare(USERS)
    running.start()
    try:
        running.wait_ready()
        yield running
    finally:
        status = running.stop()
    assert status == 0, f"the server did not stop cleanly ({status}):\n{running.log_tail()}"


@pytest.fixture(scope="session")
def short_call(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """The second half of the short scenario as a file, and its length in ms: seven utterances that the model hears alike with any beam."""
    begin_ms, end_ms = 20_300, 39_000
    samples, rate = soundfile.read(audio("short"), dtype="int16")
    file = tmp_path_factory.mktemp("short") / "call.wav"
    samples = samples[begin_ms * rate // 1000 : end_ms * rate // 1000]
    soundfile.write(file, samples, rate, subtype="ULAW")
    return file, len(samples) * 1000 // rate
