"""Conversations as bytes, for fuzzers that know nothing but bytes: any bytes are a conversation.

A message is its kind (even: text, odd: binary), its length (2 bytes, big endian; 0xffff takes the length from 2 further bytes, in steps of
16) and its content; the last one may be cut short.
"""

from __future__ import annotations

from tests.fuzz.mutations import Conversation, Message

_LONG = 0xFFFF
_STEP = 16
MAX_MESSAGES = 400


def pack(messages: Conversation | tuple[Message, ...]) -> bytes:
    """Messages longer than 1 MB, and of long ones the last 15 bytes at most, are cut."""
    out = bytearray()
    for message in messages:
        data = message.encode("utf-8", "surrogatepass") if isinstance(message, str) else message
        if len(data) < _LONG:
            length = len(data).to_bytes(2, "big")
        else:
            steps = min(len(data) // _STEP, _LONG)
            data = data[: steps * _STEP]
            length = _LONG.to_bytes(2, "big") + steps.to_bytes(2, "big")
        out += bytes([isinstance(message, bytes)]) + length + data
    return bytes(out)


def unpack(data: bytes) -> Conversation:
    messages: Conversation = []
    at = 0
    while at + 3 <= len(data) and len(messages) < MAX_MESSAGES:
        kind, length = data[at] & 1, int.from_bytes(data[at + 1 : at + 3], "big")
        at += 3
        if length == _LONG:
            length = int.from_bytes(data[at : at + 2], "big") * _STEP
            at += 2
        content = data[at : at + length]
        at += length
        messages.append(content if kind else content.decode("utf-8", "surrogatepass" if _is_text(content) else "replace"))
    return messages


def _is_text(content: bytes) -> bool:
    """Half surrogates included: JSON can name them."""
    try:
        content.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True
