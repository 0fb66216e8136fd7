"""Kombu's filesystem broker with atomic messages: a reader can never see one half-written, and the system's temporary folder is not used.

One directory holds ``queue/*.msg``; writing is write-and-rename, taking is rename-and-read. What is lost with a killed process is sent
again when its lease in the outbox expires: the broker is a doorbell.
"""

from __future__ import annotations

import itertools
import json
import os
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import filesystem

_numbers = itertools.count()


class Channel(filesystem.Channel):
    """Files ``<number>_<id>.<queue>.msg``; names sort by age within one writer."""

    def _put(self, queue: Any, payload: Any, **_kwargs: Any) -> None:  # type: ignore[override]  # kombu's two bases differ
        folder = Path(self.data_folder_out)
        name = f"{next(_numbers):012d}_{uuid.uuid4()}.{queue}.msg"
        draft = folder / f"{name}.draft"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps(payload).encode())
        draft.replace(folder / name)

    def _get(self, queue: Any, timeout: float | None = None) -> Any:  # noqa: ARG002  kombu polls, it does not wait here
        folder = Path(self.data_folder_in)
        for entry in sorted(folder.glob(f"*.{queue}.msg")):
            taken = entry.with_name(f"{entry.name}.{os.getpid()}.taken")
            try:
                entry.rename(taken)
            except FileNotFoundError:
                continue  # another worker was faster
            try:
                return json.loads(taken.read_bytes())
            finally:
                taken.unlink(missing_ok=True)
        raise Empty


class Transport(filesystem.Transport):
    """``broker_transport = "postcall.broker:Transport"``."""

    Channel = Channel
