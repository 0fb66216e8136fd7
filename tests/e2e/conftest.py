"""One real server for the end-to-end tests: real models, real sockets, a real database, a real Celery worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
