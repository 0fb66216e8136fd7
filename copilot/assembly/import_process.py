"""The child process that carries out one import of a server: it ends with its parent, and may not take all memory."""

from __future__ import annotations

import os
import resource
import sys
import threading

from copilot.assembly import engines
from copilot.assembly.imports import import_tools
from copilot.domain.ids import OrgId
from copilot.domain.imports import ImportRun
from copilot.settings import Settings

_MEMORY = 4 << 30
"""Bytes that the process may have; a file that needs more fails, not the machine."""


def carry_out_import(settings: Settings, org: str, run_id: str, node: str) -> ImportRun:
    """Carries the run out in this process. Standard input is a pipe that ends when the parent is gone."""
    from kb.import_run import carry_out

    threading.Thread(target=_end_with_parent, name="lifeline", daemon=True).start()
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = _MEMORY if hard == resource.RLIM_INFINITY else min(_MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    engines.one_core_each()
    store = engines.open_store(settings)
    try:
        return carry_out(store.imports(OrgId(org)), run_id, node, import_tools(settings, run_id, lambda _file: None))
    finally:
        store.close()


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os._exit(1)  # at once: a file is stored whole or not at all, so there is nothing to tidy
