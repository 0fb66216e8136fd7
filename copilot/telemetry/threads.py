"""Names of threads where the operating system keeps them, so that ``top -H``, ``perf`` and a profile tell the parts of the server apart.

Before Python 3.14, ``threading`` names are known to Python only. On Linux a thread's name is ``/proc/self/task/<tid>/comm``: 15 bytes, and
threads that a library makes inherit that of their maker (proc_pid_comm(5), pthread_setname_np(3)). Elsewhere nothing happens.
"""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

_TASKS = Path("/proc/self/task")
_LONGEST = 15


def name_thread(name: str) -> None:
    """The calling thread's name, and that of the threads it will make."""
    _write(threading.get_native_id(), name)


def name_threads(main: str) -> None:
    """Every thread that Python knows gets its Python name; the main thread is ``main``."""
    for thread in threading.enumerate():
        if thread.native_id is not None:
            _write(thread.native_id, main if thread is threading.main_thread() else thread.name)


def _write(native_id: int, name: str) -> None:
    with contextlib.suppress(OSError):  # no Linux, or the thread has just ended
        (_TASKS / str(native_id) / "comm").write_bytes(name.encode()[:_LONGEST])
