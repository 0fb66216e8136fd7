"""The Celery target: ``celery -A copilot.worker worker``. Settings are read when Celery asks for ``app``, services are built in the
process that runs the tasks, when it starts."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from celery import Celery

    from copilot.settings import Settings
    from postcall.services import PostcallServices

_log = logging.getLogger(__name__)
_LAST_JOB_S = 10.0


class Worker:
    """One worker: its app, and the services of this process."""

    def __init__(self, settings: Settings, build: Callable[[Settings], PostcallServices]) -> None:
        from postcall.tasks import make_celery

        self._settings = settings
        self._build = build
        self._services: tuple[int, PostcallServices] | None = None
        self.app: Celery = make_celery(settings.jobs_url, settings.data_dir, self.services)

    def services(self) -> PostcallServices:
        """The services, built once per process: connections must not be shared with a parent."""
        if self._services is None or self._services[0] != os.getpid():
            self._services = (os.getpid(), self._build(self._settings))
        return self._services[1]

    def warm_up(self) -> None:
        """Builds everything a first job would wait for. Ends the process when it cannot: a worker that cannot work must not look alive."""
        from copilot.domain.errors import CopilotError, NotFound
        from copilot.domain.ids import OrgId

        try:
            services = self.services()
            with contextlib.suppress(NotFound):  # no packs yet: each job says so until they are imported
                services.tools(OrgId(self._settings.org)).warm_up(self._settings.asr.language)
        except CopilotError as error:
            _log.error("The after-call worker cannot start: %s", error)
            sys.exit(78)


def _watch_parent() -> None:
    """Ends this process when standard input does: the server that started it is gone."""

    def watch() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 64):
                pass
        os.kill(os.getpid(), signal.SIGTERM)
        # A job that takes longer than this is done again by the next worker.
        time.sleep(_LAST_JOB_S)
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def _is_idle_solo(running: Any) -> bool:
    from celery.concurrency.solo import TaskPool
    from celery.worker import state

    return running.pool_cls is TaskPool and not state.reserved_requests and not state.active_requests


def _tell_ready(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        os.write(descriptor, b"ready\n")


def make_app(settings: Settings, build: Callable[[Settings], PostcallServices]) -> Celery:
    """The app of this worker process, its signals connected. ``build`` is called once in each process that runs tasks."""
    from celery import signals

    from postcall.worker_process import LIFELINE_ENV, READY_ENV

    worker = Worker(settings, build)
    running: list[Any] = []

    def process_init(**_kwargs: Any) -> None:
        worker.warm_up()

    def worker_ready(**_kwargs: Any) -> None:
        if READY_ENV in os.environ:
            _tell_ready(int(os.environ[READY_ENV]))

    def worker_init(sender: Any, **_kwargs: Any) -> None:
        running.append(sender)
        if os.environ.get(LIFELINE_ENV) == "stdin":
            _watch_parent()

    def shutting_down(**_kwargs: Any) -> None:
        if running and _is_idle_solo(running[0]):
            # Celery would wait out its timers for seconds; there is nothing to finish, and a message in flight is sent again.
            os._exit(0)

    signals.worker_shutting_down.connect(shutting_down, weak=False)
    # The solo pool and each process of a prefork pool send worker_process_init where the tasks will run.
    signals.worker_init.connect(worker_init, weak=False)
    signals.worker_process_init.connect(process_init, weak=False)
    signals.worker_ready.connect(worker_ready, weak=False)
    return worker.app


def __getattr__(name: str) -> Any:
    """``app``, made when Celery asks for it."""
    if name != "app":
        raise AttributeError(name)
    from copilot.assembly import build_worker
    from copilot.settings import load

    globals()["app"] = made = make_app(load(), build_worker)
    return made
