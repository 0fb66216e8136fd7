"""A worker target for tests: the product's own worker over a real store, with the sample bank's packs and no models.

``-A tests.fakes.celery_target``. While the file ``hold`` is in the data directory a job that has begun waits (and writes ``begun``), so
that a test can kill the worker in the middle of a task.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from copilot.domain.ids import OrgId
from copilot.settings import Settings, load
from copilot.store.keyring import KeyRing
from copilot.store.media import open_media
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
    copies = CopyMaker(open_media(settings.media_url), store.call_cipher, store.calls, store.outbox, clock)
    return PostcallServices(outbox=store.outbox, calls=store.calls, copies=copies, tools=tools, clock=clock)


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(name)
    globals()["app"] = made = make_app(load(), build)
    return made
