"""kill -9 of the process whose index follows the store: afterwards index and store agree, and nothing is there twice."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from copilot.search.service import Search
from loadtest.server_process import ROOT
from tests.fakes.call_index_writer import BATCH, open_bench
from tests.fakes.call_search import EVERYBODY, line, summary

CALLS = 40


async def stored(bench, names: range, text: str) -> None:
    for number in names:
        await bench.call(f"c{number:03}", line(1, f"{text}，第{number}号业务"), artifacts=[summary(f"{text}{number}")])
    bench.clock.advance(100)


def killed_at(folder: Path, word: str, times: int, *more: str) -> None:
    """Runs the follower until it has said ``word`` so many times, then kills it."""
    command = [sys.executable, "-m", "tests.fakes.call_index_writer", str(folder), *more]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        seen = 0
        for said in writer.stdout:
            seen += said.strip() == word
            assert said.strip() != "done", "it must be killed while it writes"
            if seen == times:
                break
        writer.kill()


@pytest.mark.parametrize(("word", "times"), [("committed", 1), ("committed", 3), ("batch", 2)])
def test_index_and_store_agree_after_a_kill(tmp_path: Path, word: str, times: int) -> None:
    bench = open_bench(tmp_path, days=0)
    asyncio.run(stored(bench, range(CALLS), "信用卡挂失"))
    bench.close()
    killed_at(tmp_path, word, times)

    bench = open_bench(tmp_path, days=2)
    assert 0 < len(bench.index.call_ids()) <= times * BATCH, "what was committed is there, whole batches of it"
    embedded = bench.embedder.embedded
    bench.follower.follow()
    assert bench.embedder.embedded - embedded <= CALLS - times * BATCH + BATCH, "what was written is not made again"
    check(bench, CALLS, "信用卡挂失")
    bench.close()


def test_a_rebuild_that_was_killed_leaves_the_index_before_in_use(tmp_path: Path) -> None:
    bench = open_bench(tmp_path, days=0)
    asyncio.run(stored(bench, range(CALLS), "信用卡挂失"))
    bench.follower.follow()
    bench.store.calls.erase_call("default", "c000", "test")  # type: ignore[arg-type]
    bench.close()
    killed_at(tmp_path, "batch", 2, "rebuild")

    bench = open_bench(tmp_path, days=2)
    assert len(bench.index.call_ids()) == CALLS
    bench.follower.follow()
    check(bench, CALLS - 1, "信用卡挂失")
    bench.follower.rebuild()
    check(bench, CALLS - 1, "信用卡挂失")
    assert len(list((tmp_path / "calls").glob("gen-*"))) == 1, "what was left behind is cleared away"
    bench.close()


def check(bench, calls: int, text: str) -> None:
    assert bench.follower.differences() == ()
    names = bench.index.call_ids()
    assert len(names) == len(set(names)) == calls
    assert bench.search.search(EVERYBODY, Search(text=text), limit=50).total == calls
    near = bench.search.search(EVERYBODY, Search(text=f"{text}7", mode="meaning"), limit=50)
    assert near.calls[0].listed.call.call_id == "c007"
