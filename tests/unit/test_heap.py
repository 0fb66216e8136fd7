import asyncio
import ctypes
import ctypes.util
import gc
import sys

import psutil
import pytest

from copilot.telemetry.heap import give_back_memory, memory_given_back

MB = 1_000_000
glibc = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="needs the GNU C library, whose heap it is about"
)


def resident() -> int:
    return int(psutil.Process().memory_info().rss)


def scattered(pieces: int = 3_000, size: int = 60_000) -> list[bytearray]:
    """Every twentieth of ``pieces`` small blocks stays in use: the freed ones between them cannot leave the heap by its end."""
    blocks = [bytearray(b"x" * size) for _ in range(pieces)]
    return blocks[::20]


@glibc
def test_freed_memory_between_pieces_in_use_goes_back_to_the_system():
    kept = scattered()
    gc.collect()
    held = resident()
    assert give_back_memory()
    assert held - resident() > 60 * MB
    assert len(kept) == 150


@glibc
def test_it_is_done_again_and_again_and_ends_with_the_block():
    async def run() -> tuple[int, int]:
        async with memory_given_back(every_s=0.02):
            kept = scattered()
            gc.collect()
            held, least = resident(), resident()
            for _ in range(200):
                await asyncio.sleep(0.02)
                least = min(least, resident())
                if held - least > 60 * MB:
                    break
            assert kept
        assert not [task for task in asyncio.all_tasks() if task.get_name() == "give-back-memory"]
        return held, least

    held, least = asyncio.run(run())
    assert held - least > 60 * MB
