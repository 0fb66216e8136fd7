"""Where the server's Python time goes: py-spy's stacks, summed by thread and by the part of the product at work.

py-spy looks from outside (ptrace: root, or kernel.yama.ptrace_scope 0) 100 times a second and pauses nothing, so that a waiting thread is
sometimes taken for a working one: sums per thread are right in the account of threads (``server_threads_cores``), shares within a thread
here. Time inside CTranslate2's own threads has no Python stack.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from loadtest.server_process import ServerFailed

Json = dict[str, Any]
_RATE_HZ = 100
_OWN = re.compile(r"\((?:.*/)?((?:copilot|streaming|kb|postcall)/[\w/]+)\.py")
_LIBRARY = re.compile(r"\((?:.*site-packages/)?([\w.-]+)/")
_THREAD = re.compile(r"^thread \((\w+)\)(?:: \"?([^\";]*?)\"?)?$")


def find_profiler() -> str:
    """The path of py-spy. Raises ServerFailed when it is not installed."""
    beside = Path(sys.executable).with_name("py-spy")
    found = str(beside) if beside.exists() else shutil.which("py-spy")
    if found is None:
        raise ServerFailed("--profile needs py-spy: pip install py-spy.")
    return found


@asynccontextmanager
async def profiled(pid: int, out: Path) -> AsyncIterator[None]:
    """Samples process ``pid`` while the context is open; collapsed stacks go to ``out``."""
    out.parent.mkdir(parents=True, exist_ok=True)
    spy = await asyncio.create_subprocess_exec(
        *(find_profiler(), "record", "--pid", str(pid), "--format", "raw", "--threads", "--nonblocking"),
        *("--rate", str(_RATE_HZ), "--duration", "86400", "--output", str(out)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        spy.send_signal(signal.SIGINT)  # py-spy writes what it has
        await spy.wait()


def parts(folded: str, seconds: float) -> list[Json]:
    """Cores by thread group and innermost module of the product (with the library it was calling), most first.

    ``folded``: lines of ``thread (0x…): "name";frame;…;frame count``.
    """
    counts: defaultdict[tuple[str, str, str], int] = defaultdict(int)
    for line in folded.splitlines():
        stack, _, number = line.rpartition(" ")
        frames = stack.split(";")
        if not number.isdigit() or not frames:
            continue
        thread = _THREAD.match(frames[0])
        name = (thread[2] or "main").rstrip("0123456789_- ") if thread else "main"
        own, inner = "(none)", ""
        for frame in reversed(frames):
            if match := _OWN.search(frame):
                own = match[1]
                break
            if not inner and (library := _LIBRARY.search(frame)):
                inner = library[1]
        counts[name, own, inner] += int(number)
    total = max(1e-9, seconds * _RATE_HZ)
    lines = [{"thread": name, "module": own, "in": inner, "cores": round(count / total, 4)} for (name, own, inner), count in counts.items()]
    return sorted(lines, key=lambda line: -line["cores"])
