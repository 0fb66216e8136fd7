"""A worker target for tests: the product's own worker over a real store, with the sample bank's packs and no models.

``-A tests.fakes.celery_target``. While the file ``hold`` is in the data directory a job that has begun waits (and writes ``begun``), so
that a test can kill the worker in the middle of a task.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from copilot.domain.ids import JobId, OrgId
from copilot.domain.ports.store import Job
from copilot.settings import Settings, load
from copilot.store.keyring import KeyRing
from copilot.store.media import open_media
from copilot.store.outbox import SqlOutbox
from copilot.store.store import open_store
from copilot.telemetry.clock import SystemClock
from copilot.worker import make_app
from postcall.packs import Packs, parse_packs
from postcall.recording import CopyMaker
from postcall.run import Tools
from postcall.services import PostcallServices

BANK = Path(__file__).resolve().parents[2] / "kb" / "samples" / "bank"


def sample_packs() -> Packs:
    return parse_packs(*((BANK / f"{name}.yaml").read_text(encoding="utf-8") for name in ("taxonomy", "rubric", "intents")))


_LEASE_S = 5.0
"""Of a job that has begun; with the product's minute a test of a killed worker would mostly wait."""


class Holding:
    """The outbox, which holds a job that has begun while ``hold-<kind>`` is in the directory, and says so with ``begun-<kind>``."""

    def __init__(self, outbox: SqlOutbox, directory: Path) -> None:
        self._outbox, self._directory = outbox, directory

    def begin(self, job_id: JobId, lease_s: float) -> Job:
        job = self._outbox.begin(job_id, min(lease_s, _LEASE_S))
        hold = self._directory / f"hold-{job.kind}"
        if hold.exists():
            (self._directory / f"begun-{job.kind}").touch()
            while hold.exists():
                time.sleep(0.02)
        return job

    def __getattr__(self, name: str) -> Any:
        return getattr(self._outbox, name)


def build(settings: Settings) -> PostcallServices:
    store = open_store(settings.store_url, KeyRing.open(settings.data_dir / "master.key"), SystemClock())
    packs = sample_packs()
    warm = False

    def tools(_org_id: OrgId) -> Tools:
        nonlocal warm
        if warm and (settings.data_dir / "hold").exists():
            (settings.data_dir / "begun").touch()
            while (settings.data_dir / "hold").exists():
                time.sleep(0.02)
        warm = True
        return Tools(packs=packs)

    clock = SystemClock()
    outbox: Any = Holding(store.outbox, settings.data_dir)
    copies = CopyMaker(open_media(settings.media_url), store.call_cipher, store.calls, outbox, clock)
    return PostcallServices(outbox=outbox, calls=store.calls, copies=copies, tools=tools, clock=clock)


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(name)
    globals()["app"] = made = make_app(load(), build)
    return made
