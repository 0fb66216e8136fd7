"""What a caller is: a telephony peer of our own that plays a recording. Pure; ``streaming.callers`` has one of each kind."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from copilot.domain.audio import Encoding
from copilot.domain.errors import CopilotError

FRAME_MS: Final = 20
CHANNELS: Final = ("customer", "agent")


_NAMESPACE: Final = uuid.UUID("6d3d6a3c-4f3e-4a55-9a0b-0c7b6d2a9f11")


def uuid_of_name(name: str) -> str:
    """A UUID for protocols that want one: ``name`` if it is one, else always the same for a name."""
    try:
        return str(uuid.UUID(name))
    except ValueError:
        return str(uuid.uuid5(_NAMESPACE, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Samples [n, channels] and the rate and codec they go out in."""

    samples: NDArray[np.int16]
    rate_hz: int
    encoding: Encoding

    @property
    def channels(self) -> int:
        return int(self.samples.shape[1])

    def frames(self) -> Iterator[NDArray[np.int16]]:
        """20 ms each, the last one shorter."""
        step = self.rate_hz * FRAME_MS // 1000
        for at in range(0, len(self.samples), step):
            yield self.samples[at : at + step]

    def channel(self, index: int) -> Recording:
        """One channel of it."""
        samples = np.ascontiguousarray(self.samples[:, index : index + 1])
        return Recording(samples=samples, rate_hz=self.rate_hz, encoding=self.encoding)


class Caller(Protocol):
    """``answers``: audio is due only once the server has said so (``ready``). ``hangs_up``: the peer closes the connection, not the server.

    ``fault``: what the server said was wrong, in the protocol's own way.
    """

    answers: bool
    hangs_up: bool

    @property
    def ready(self) -> bool: ...

    @property
    def finished(self) -> bool:
        """The server has said its last word: the connection may be closed."""
        ...

    @property
    def fault(self) -> CopilotError | None: ...

    def opening(self) -> Iterator[str | bytes]: ...

    def frames(self) -> Iterator[list[str | bytes]]: ...

    def closing(self) -> Iterator[str | bytes]: ...

    def hear(self, message: str | bytes) -> list[str | bytes]:
        """What the peer answers to a message of the server's."""
        ...


class PlainCaller:
    """A caller that talks on whatever the server says."""

    ready = False
    finished = False
    fault: CopilotError | None = None

    def hear(self, message: str | bytes) -> list[str | bytes]:
        if isinstance(message, str) and json.loads(message).get("type") == "started":
            self.ready = True
        return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What the handshake may need: the integration's key, the secret that goes with it, and where and about what it connects."""

    url: str
    key: str
    secret: str
    call_id: str


def bearer_headers(credentials: Credentials) -> dict[str, str]:
    return {"Authorization": f"Bearer {credentials.key}"} if credentials.key else {}


def basic_headers(credentials: Credentials) -> dict[str, str]:
    """The user is the integration's name, where the path ends with it (``/v1/asterisk/pbx-1``); else the key goes as a bearer token."""
    parts = urlsplit(credentials.url).path.strip("/").split("/")
    if len(parts) < 3 or not credentials.key:
        return bearer_headers(credentials)
    both = base64.b64encode(f"{parts[-1]}:{credentials.key}".encode()).decode()
    return {"Authorization": f"Basic {both}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerSpec:
    """How to play with a protocol. ``rates_hz``: what it carries, the preferred first; other recordings are resampled to that.

    ``encoding`` None: that of the file. ``channels``: the most it carries on one connection (further ones are left out, or with
    ``per_leg`` have a connection of their own; its metadata says ``leg``). ``query`` is added to the URL, since some peers can tell their
    format nowhere else.
    """

    make: Callable[[Recording, str, Mapping[str, str]], Caller]
    rates_hz: tuple[int, ...] = (8_000,)
    encoding: Encoding | None = "pcmu"
    channels: int = 2
    per_leg: bool = False
    transport: Literal["websocket", "tcp"] = "websocket"
    subprotocol: str | None = None
    headers: Callable[[Credentials], Mapping[str, str]] = bearer_headers
    query: Callable[[Recording, str], Mapping[str, str]] = field(default=lambda _recording, _call_id: {})
