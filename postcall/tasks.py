"""The Celery side of after-call work: an app without result backend, and one thin task. Nothing happens at import time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from celery import Celery

from copilot.domain.errors import ConfigError
from copilot.domain.ids import JobId
from copilot.domain.ports.store import Job
from postcall.services import PostcallServices
from postcall.work import work_on

TASK = "postcall.produce"
QUEUE = "postcall"
_SOFT_LIMIT_S, _HARD_LIMIT_S = 50, 58
"""Shorter than the relay's lease of 60 s. Of pools with processes; the solo pool is bounded by the time-outs of the models it asks."""
_RECORDING_LIMITS_S = {"soft_time_limit": 1800, "time_limit": 1860}
"""Of a job that renews its lease while it works: a call of hours on a slow object store."""
_POLL_S = 0.1
SCHEMES = ("filesystem", "redis", "rediss", "amqp", "amqps")


def make_celery(broker_url: str, data_dir: Path, services: Callable[[], PostcallServices] | None = None) -> Celery:
    """The app for a broker: ``filesystem:///dir`` (created; without a path ``<data_dir>/broker``), ``redis://…`` or ``amqp://…``.

    ``services`` is called in the worker when a task runs; a server that only sends needs none. Raises ConfigError.
    """
    scheme = urlsplit(broker_url).scheme
    if scheme not in SCHEMES:
        raise ConfigError(f"jobs.url is {broker_url!r}; it must begin with filesystem://, redis:// or amqp://.")
    app = Celery("pangting", set_as_current=False)
    app.conf.update(
        task_default_queue=QUEUE,
        task_ignore_result=True,
        task_acks_late=True,
        task_soft_time_limit=_SOFT_LIMIT_S,
        task_time_limit=_HARD_LIMIT_S,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=True,
        worker_proc_alive_timeout=120.0,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        # The relay notices and sends again; a sender must not block for long.
        broker_connection_timeout=5,
        task_publish_retry=False,
    )
    if scheme == "filesystem":
        app.conf.update(_filesystem(Path(unquote(urlsplit(broker_url).path)) if urlsplit(broker_url).path else data_dir / "broker"))
    else:
        app.conf.broker_url = broker_url

    def run(job_id: str) -> str:
        if services is None:
            raise ConfigError("This process sends after-call jobs and cannot run them; start a worker: celery -A copilot.worker worker")
        return work_on(JobId(job_id), services())

    app.task(name=TASK)(run)
    return app


def _filesystem(directory: Path) -> dict[str, Any]:
    messages, control = directory / "queue", directory / "control"
    try:
        for folder in (messages, control):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigError(f"The job directory {directory} cannot be made ({error.strerror}); check jobs.url and the rights.") from error
    return {
        "broker_url": "localhost",
        "broker_transport": "postcall.broker:Transport",
        "broker_transport_options": {
            "data_folder_in": str(messages),
            "data_folder_out": str(messages),
            "control_folder": str(control),
            "polling_interval": _POLL_S,
        },
    }


def send_job(app: Celery, job: Job) -> None:
    """Puts a job on the queue. Blocks up to the broker's connection time-out; raises what kombu raises (a subclass of Exception)."""
    limits = _RECORDING_LIMITS_S if job.kind == "recording" else {}
    app.send_task(TASK, args=(job.job_id,), queue=QUEUE, retry=False, ignore_result=True, **limits)
