"""What other streaming recognisers send, read as the text their own client would show. PURE: messages in, ``State`` out.

Each class follows one channel of one connection. What each server counts as settled:

| server | committed | tail |
|---|---|---|
| whisper_streaming (ufal) | every line it sends | none: it sends confirmed words only |
| WhisperLive (Collabora) | segments marked ``completed`` | the last segment without the mark |
| WhisperLiveKit | the text of ``lines`` | ``buffer_transcription`` |
| this server, raw protocol | finals | ``stable`` and ``unstable`` of the open utterance |
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from loadtest.screen_score import State

Json = dict[str, Any]
_TIMED_LINE = re.compile(r"^(-?\d+) (-?\d+) (.*)$")
_SILENCE_SPEAKER = -2


class Screen(Protocol):
    """One channel's text. ``ready``: audio may be sent; ``ended``: nothing follows; ``refused``: why the server will not listen."""

    @property
    def ready(self) -> bool: ...

    @property
    def ended(self) -> bool: ...

    @property
    def refused(self) -> str: ...

    def receive(self, message: str | bytes, at_ms: float) -> State | None:
        """A message as it came off the socket; the new state of the screen if it changed. Raises ValueError for what it cannot read."""
        ...


def _parsed(message: str | bytes) -> Json:
    value = json.loads(message)
    if not isinstance(value, dict):
        raise ValueError("A message is a JSON object.")
    return value


@dataclass(slots=True, kw_only=True)
class WhisperStreamingScreen:
    """Lines ``begin end text`` (ms) over a bare TCP connection, cut anywhere. It neither greets nor says goodbye."""

    ready: bool = True
    ended: bool = False
    refused: str = ""
    _rest: bytes = b""
    _text: str = ""

    def receive(self, message: str | bytes, at_ms: float) -> State | None:
        self._rest += message.encode() if isinstance(message, str) else message
        *lines, self._rest = self._rest.replace(b"\0", b"").split(b"\n")
        before = self._text
        for line in lines:
            if not line.strip():
                continue
            matched = _TIMED_LINE.match(line.decode("utf-8"))
            if matched is None:
                raise ValueError("A line begins with two times.")
            self._text += matched[3]
        return State(at_ms=at_ms, committed=self._text) if self._text != before else None


@dataclass(slots=True, kw_only=True)
class WhisperLiveScreen:
    """JSON over a websocket: the last few segments again and again, so completed ones are kept by their start."""

    ready: bool = False
    ended: bool = False
    refused: str = ""
    _completed: dict[float, str] = field(default_factory=dict)
    _last: tuple[str, str] = ("", "")

    def receive(self, message: str | bytes, at_ms: float) -> State | None:
        said = _parsed(message)
        if said.get("message") == "SERVER_READY":
            self.ready = True
        elif said.get("message") == "DISCONNECT":
            self.ended = True
        elif said.get("status") in ("WAIT", "ERROR"):
            self.refused = f"{said['status']}: {said.get('message', '')}"
        tail = self._last[1]
        for segment in said.get("segments", ()):
            if segment.get("completed"):
                self._completed[float(segment["start"])] = segment["text"]
        if segments := said.get("segments"):
            tail = "" if segments[-1].get("completed") else segments[-1]["text"]
        now = "".join(text for _, text in sorted(self._completed.items())), tail
        if now == self._last:
            return None
        self._last = now
        return State(at_ms=at_ms, committed=now[0], tail=now[1])


@dataclass(slots=True, kw_only=True)
class WhisperLiveKitScreen:
    """JSON over a websocket (``/asr``, mode ``full``): the whole transcript with every message."""

    ready: bool = False
    ended: bool = False
    refused: str = ""
    _last: tuple[str, str] = ("", "")

    def receive(self, message: str | bytes, at_ms: float) -> State | None:
        said = _parsed(message)
        kind = said.get("type")
        if kind == "config":
            self.ready = True
        elif kind == "ready_to_stop":
            self.ended = True
        elif kind == "error" or said.get("error"):
            self.refused = str(said.get("error"))
        if "lines" not in said:
            return None
        text = "".join(line.get("text") or "" for line in said["lines"] if line.get("speaker") != _SILENCE_SPEAKER)
        now = text, str(said.get("buffer_transcription") or "")
        if now == self._last:
            return None
        self._last = now
        return State(at_ms=at_ms, committed=now[0], tail=now[1])


@dataclass(slots=True, kw_only=True)
class RawScreen:
    """One channel of this server's raw protocol (docs/reference/raw-protocol.md) with ``events`` asked for."""

    channel: str
    ready: bool = False
    ended: bool = False
    refused: str = ""
    _finals: dict[str, str] = field(default_factory=dict)
    _open: dict[str, str] = field(default_factory=dict)
    _last: tuple[str, str] = ("", "")

    def receive(self, message: str | bytes, at_ms: float) -> State | None:
        said = _parsed(message)
        match said.get("type"):
            case "started":
                self.ready = True
            case "stopped":
                self.ended = True
            case "error":
                self.refused = str(said.get("message"))
            case "partial" if said["channel"] == self.channel:
                self._open[said["utterance_id"]] = said["stable"] + said["unstable"]
            case "final" if said["channel"] == self.channel:
                self._open.pop(said["utterance_id"], None)
                self._finals[said["utterance_id"]] = said["text"]
        now = "".join(self._finals.values()), "".join(self._open.values())
        if now == self._last:
            return None
        self._last = now
        return State(at_ms=at_ms, committed=now[0], tail=now[1])


def resolve(shown: Sequence[State], secrets: Mapping[str, str]) -> list[State]:
    """The screen as the call's own agent reads it: tokens of personal data (``【卡号#1】``) replaced by their values."""
    resolved = []
    for state in shown:
        committed, tail = state.committed, state.tail
        for token, value in secrets.items():
            committed, tail = committed.replace(token, value), tail.replace(token, value)
        resolved.append(replace(state, committed=committed, tail=tail))
    return resolved
