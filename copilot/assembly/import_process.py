"""The child process that carries out one import of a server: it ends with its parent, and may not take all memory.

Only the thread that reads is niced. Storing a file holds the database's write lock, for which live calls wait: there it must not wait
itself.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from copilot.assembly import engines
from copilot.assembly.imports import import_tools
from copilot.domain.ids import OrgId
from copilot.domain.imports import ImportRun
from copilot.settings import Settings

NICENESS = 10
_MEMORY = 4 << 30
"""Bytes that the process may have; a file that needs more fails, not the machine."""


def carry_out_import(settings: Settings, org: str, run_id: str, node: str) -> ImportRun:
    """Carries the run out in this process. Standard input is a pipe that ends when the parent is gone."""
    from kb.import_run import carry_out

    threading.Thread(target=end_with_parent, name="lifeline", daemon=True).start()
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = _MEMORY if hard == resource.RLIM_INFINITY else min(_MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    engines.one_core_each()
    store = engines.open_store(settings)
    try:
        with ThreadPoolExecutor(1, "reader", initializer=step_back) as reader:
            tools = replace(import_tools(settings, run_id, lambda _file: None), apart=lambda read: reader.submit(read).result())
            return carry_out(store.imports(OrgId(org)), run_id, node, tools)
    finally:
        store.close()


def step_back() -> None:
    """The calling thread gives way to everything else."""
    # Linux counts niceness by thread; 0 is the calling one.
    os.setpriority(os.PRIO_PROCESS, 0, NICENESS)


def end_with_parent() -> None:
    """Ends this process when its standard input does: whoever started it is gone."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os._exit(1)  # at once: a file is stored whole or not at all, so there is nothing to tidy
