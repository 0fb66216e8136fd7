"""Genesys Cloud as a caller: an AudioHook client that plays a recording, its handshake signed."""

from __future__ import annotations

import base64
import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from copilot.domain.errors import CopilotError, Forbidden, RemoteProtocolError
from streaming.calling import Credentials, Recording, uuid_of_name
from streaming.telephony import g711
from streaming.telephony.audiohook_messages import NULL_ID, RATE_HZ, duration_of
from streaming.telephony.httpsig import SignedRequest, sign

_SIDES = ["external", "internal"]
_PING_EVERY = 250
"""Frames of 20 ms: a ping every 5 s."""


session_of = uuid_of_name
"""The session id of a call."""


def audiohook_headers(credentials: Credentials) -> dict[str, str]:
    """X-API-KEY and, with a secret (base64), the signature over the handshake."""
    headers = {
        "audiohook-organization-id": session_of("organization"),
        "audiohook-session-id": session_of(credentials.call_id),
        "audiohook-correlation-id": str(uuid.uuid4()),
        "x-api-key": credentials.key,
    }
    if not credentials.secret:
        return headers
    where = urlsplit(credentials.url)
    target = (where.path or "/") + (f"?{where.query}" if where.query else "")
    now = int(time.time())
    nonce = base64.b64encode(os.urandom(18)).decode()
    secret = base64.b64decode(credentials.secret)
    request = SignedRequest(target=target, authority=where.netloc, headers=headers)
    return headers | sign(request, secret, key_id=credentials.key, nonce=nonce, created=now, expires=now + 10)


class AudioHookCaller:
    """One session. ``continues``: (session id, samples from which this one goes on) of a session that was broken off."""

    answers = True
    hangs_up = False

    def __init__(
        self, recording: Recording, call_id: str, metadata: Mapping[str, str], *, continues: tuple[str, int] | None = None
    ) -> None:
        plain = dict(metadata)
        self._recording = recording
        self._session = session_of(call_id)
        self._language = plain.pop("language", "zh")
        self._custom = plain
        self._continues = continues
        self._position = continues[1] if continues else 0
        self._seq = 0
        self._serverseq = 0
        self._open = False
        self._closing = False
        self.ready = False
        self.finished = False
        self.fault: CopilotError | None = None

    def opening(self) -> Iterator[str | bytes]:
        sides = _SIDES[: self._recording.channels]
        parameters: dict[str, Any] = {
            "organizationId": session_of("organization"),
            "conversationId": session_of(f"conversation of {self._session}"),
            "participant": {"id": session_of(f"participant of {self._session}"), "ani": "", "aniName": "", "dnis": ""},
            "media": [
                {"type": "audio", "format": "PCMU", "channels": offer, "rate": RATE_HZ}
                for offer in ([sides] if len(sides) == 1 else [sides, ["external"], ["internal"]])
            ],
            "language": self._language,
            "customConfig": self._custom,
        }
        if self._continues is not None:
            parameters["continuedSessions"] = [{"id": self._continues[0], "serverseq": 0, "clientseq": 0}]
        yield self._message("open", parameters)

    def frames(self) -> Iterator[list[str | bytes]]:
        for number, frame in enumerate(self._recording.frames(), 1):
            messages: list[str | bytes] = [g711.encode(np.ascontiguousarray(frame).reshape(-1), "pcmu")]
            self._position += len(frame)
            if number % _PING_EVERY == 0:
                messages.append(self._message("ping", {}))
            yield messages

    def closing(self) -> Iterator[str | bytes]:
        self._closing = True
        yield self._message("close", {"reason": "end"})

    def hear(self, message: str | bytes) -> list[str | bytes]:
        if not isinstance(message, str):
            self.fault = RemoteProtocolError("The server sent a binary message, which AudioHook forbids.", code=1003)
            return []
        body = json.loads(message)
        self._serverseq = body["seq"]
        match body["type"]:
            case "opened":
                self.ready = self._open = True
            case "closed":
                self.finished = True
            case "pause":
                return [self._message("paused", {})]
            case "resume":
                return [self._message("resumed", {"start": duration_of(self._position), "discarded": "PT0S"})]
            case "disconnect":
                info = body["parameters"].get("info", "The server broke the session off.")
                refused = body["parameters"]["reason"] == "unauthorized"
                self.fault = Forbidden(info) if refused else RemoteProtocolError(info)
                if not self._closing:
                    self._closing = True
                    return [self._message("close", {"reason": "disconnect"})]
        return []

    def _message(self, kind: str, parameters: Mapping[str, Any]) -> str:
        self._seq += 1
        return json.dumps(
            {
                "version": "2",
                "id": self._session or NULL_ID,
                "type": kind,
                "seq": self._seq,
                "serverseq": self._serverseq,
                "position": duration_of(self._position),
                "parameters": parameters,
            }
        )
