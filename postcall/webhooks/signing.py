"""Signatures of the Standard Webhooks specification (https://www.standardwebhooks.com), symmetric scheme ``v1``. Pure.

Signed is ``{id}.{timestamp}.{body}`` with HMAC-SHA256; the header may carry several signatures, so that a secret can be changed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence

from copilot.domain.errors import InvalidInput

PREFIX = "whsec_"
TOLERANCE_S = 300
"""A message signed further from the receiver's clock than this is refused as a replay."""


def secret_text(secret: bytes) -> str:
    """The secret as receivers are given it."""
    return PREFIX + base64.b64encode(secret).decode()


def secret_bytes(text: str) -> bytes:
    """The reverse of ``secret_text``. Raises InvalidInput."""
    try:
        return base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise InvalidInput("The webhook secret must be whsec_ and base64.") from None


def sign(secret: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """``v1,<base64>``. ``timestamp``: seconds since 1970."""
    digest = hmac.new(secret, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def headers(secrets: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """``webhook-id`` (the idempotency key), ``webhook-timestamp``, ``webhook-signature`` (one of each secret)."""
    signatures = " ".join(sign(secret, message_id, timestamp, body) for secret in secrets)
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": signatures}


def verify(secret: bytes, received: Mapping[str, str], body: bytes, now_s: float) -> str:
    """The message's id, for receivers written in Python. Raises InvalidInput when the signature or the time does not fit."""
    name, timestamp = received.get("webhook-id", ""), received.get("webhook-timestamp", "")
    if not name or not timestamp.isdigit() or abs(now_s - int(timestamp)) > TOLERANCE_S:
        raise InvalidInput("The webhook has no id, or its time is too far from now.")
    expected = sign(secret, name, int(timestamp), body)
    given = received.get("webhook-signature", "").split()
    if not any(hmac.compare_digest(expected, signature) for signature in given):
        raise InvalidInput("The webhook's signature does not fit.")
    return name
