"""A real language model behind a real OpenAI-compatible server; fetched once (0.5 GB, pinned)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from loadtest.local_llm import LocalLlm, fetch


@pytest.fixture(scope="session")
def local_files():
    return fetch()


@pytest.fixture
def llm(local_files) -> Iterator[LocalLlm]:
    with LocalLlm(local_files) as server:
        server.start()
        yield server
