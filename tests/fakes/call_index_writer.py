"""Lets an index of calls follow a store as the product does, for tests that kill it: ``python -m tests.fakes.call_index_writer DIR``.

Argument ``rebuild``: the whole index anew. Prints ``committed`` when a batch is in the index and its mark is not yet, ``batch`` after.
"""

import sys
import time
from pathlib import Path

import copilot.search.follow
from copilot.search.neighbours import Neighbours
from copilot.telemetry.clock import ManualClock
from tests.fakes.call_search import SearchBench
from tests.fakes.stores import AT

BATCH = 7


def open_bench(folder: Path, days: int) -> SearchBench:
    """On a clock that stands so many days later; a batch has ``BATCH`` calls."""
    copilot.search.follow.BATCH = BATCH
    clock = ManualClock(AT)
    clock.advance(86_400 * days)
    return SearchBench(folder, clock=clock)


class Slow(Neighbours):
    """So that there is time to kill it between the documents and the mark."""

    def add(self, keys, vectors):
        print("committed", flush=True)
        time.sleep(0.02)
        super().add(keys, vectors)


if __name__ == "__main__":
    import copilot.search.embedded

    copilot.search.embedded.Neighbours = Slow
    bench = open_bench(Path(sys.argv[1]), days=1)
    told = lambda: print("batch", flush=True)  # noqa: E731
    if "rebuild" in sys.argv:
        bench.follower.rebuild(after_batch=told)
    else:
        bench.follower.follow(after_batch=told)
    print("done", flush=True)
