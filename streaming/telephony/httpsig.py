"""HTTP message signatures as AudioHook uses them: HMAC-SHA256 over covered components of the websocket handshake. Pure.

The scheme is draft-ietf-httpbis-message-signatures (later RFC 9421), of which a peer of this protocol needs little: one signature, plain
components, the parameters keyid, nonce, alg, created and expires. Everything else is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MAX_AGE_S: Final = 10
MAX_SKEW_S: Final = 3
MIN_NONCE_CHARS: Final = 22
MAX_FIELD_CHARS: Final = 4096
REQUIRED: Final = (
    "@request-target",
    "@authority",
    "audiohook-organization-id",
    "audiohook-session-id",
    "audiohook-correlation-id",
    "x-api-key",
)
_LABEL = r"[a-z*][a-z0-9_\-.*]*"
_STRING = r'"((?:[^"\\]|\\["\\])*)"'
_INPUT: Final = re.compile(rf"({_LABEL})=(\(((?: *{_STRING})*) *\)((?:; *{_LABEL}=(?:{_STRING}|-?\d{{1,15}}))*))")
_ITEM: Final = re.compile(_STRING)
_PARAMETER: Final = re.compile(rf"; *({_LABEL})=(?:{_STRING}|(-?\d{{1,15}}))")
_SIGNATURE: Final = re.compile(rf"({_LABEL})=:([A-Za-z0-9+/]*={{0,2}}):")


class SignatureRefused(Exception):
    """Why a request's signature is not accepted; the message is one sentence for its sender."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest:
    """``target`` is path and query as they were requested, ``authority`` the host (and port). ``headers``: lower-case names."""

    target: str
    authority: str
    headers: Mapping[str, str]

    def component(self, name: str) -> str | None:
        """The value of a covered component, None if the request has none of that name."""
        match name:
            case "@request-target":
                return self.target
            case "@authority":
                return _authority(self.authority)
            case "@method":
                return "GET"
            case "@path":
                return self.target.partition("?")[0]
            case "@query":
                return "?" + self.target.partition("?")[2]
        value = self.headers.get(name)
        return re.sub(r"[ \t]*\r\n[ \t]+", " ", value.strip()) if value is not None and not name.startswith("@") else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A signature as it was sent. ``base`` is what follows the label in Signature-Input: it is signed as it stands."""

    base: str
    components: tuple[str, ...]
    parameters: Mapping[str, str]
    value: bytes

    @property
    def nonce(self) -> str:
        return self.parameters.get("nonce", "")

    def moment(self, name: str) -> int | None:
        """``created`` or ``expires`` in Unix seconds."""
        value = self.parameters.get(name)
        return int(value) if value is not None and re.fullmatch(r"\d+", value) else None


def is_signed(headers: Mapping[str, str]) -> bool:
    return "signature" in headers or "signature-input" in headers


def parse_signature(headers: Mapping[str, str]) -> Signature:
    """Raises SignatureRefused for anything but one well-formed signature."""
    given, described = headers.get("signature", "").strip(), headers.get("signature-input", "").strip()
    if len(given) > MAX_FIELD_CHARS or len(described) > MAX_FIELD_CHARS:
        raise SignatureRefused("The signature headers are too long.")
    value, about = _SIGNATURE.fullmatch(given), _INPUT.fullmatch(described)
    if value is None or about is None or value[1] != about[1]:
        raise SignatureRefused("Signature and Signature-Input must hold one signature with the same label.")
    names = [item[1] for item in _ITEM.finditer(about[3])]
    parameters: dict[str, str] = {}
    for found in _PARAMETER.finditer(about[5]):
        if found[1] in parameters or found[1] not in {"keyid", "nonce", "alg", "created", "expires"}:
            raise SignatureRefused("Signature-Input must have the parameters keyid, nonce, alg, created and expires, each once.")
        parameters[found[1]] = found[2] if found[2] is not None else found[3]
    try:
        raw = base64.b64decode(value[2], validate=True)
    except (ValueError, binascii.Error):
        raise SignatureRefused("The signature is no base64.") from None
    if len(set(names)) != len(names):
        raise SignatureRefused("A component is covered twice.")
    return Signature(base=about[2], components=tuple(names), parameters=parameters, value=raw)


def verify(request: SignedRequest, secret: bytes, *, key_id: str, now: float) -> Signature:
    """The request's signature, if it is good at ``now`` (Unix seconds); a nonce's first use is the caller's to check.

    Raises SignatureRefused.
    """
    signature = parse_signature(request.headers)
    missing = [name for name in REQUIRED if name not in signature.components]
    if missing:
        raise SignatureRefused(f"The signature must cover {', '.join(missing)}.")
    if signature.parameters.get("keyid") != key_id:
        raise SignatureRefused("The signature's keyid must be the API key.")
    if signature.parameters.get("alg", "hmac-sha256") != "hmac-sha256":
        raise SignatureRefused("The signature's alg must be hmac-sha256.")
    if len(signature.nonce) < MIN_NONCE_CHARS:
        raise SignatureRefused(f"The signature needs a nonce of at least {MIN_NONCE_CHARS} characters.")
    created, expires = signature.moment("created"), signature.moment("expires")
    if created is None or expires is None:
        raise SignatureRefused("The signature needs created and expires as Unix seconds.")
    if created > now + MAX_SKEW_S:
        raise SignatureRefused("The signature was made in the future: check the clocks.")
    if created + MAX_AGE_S + MAX_SKEW_S < now or expires + MAX_SKEW_S < now:
        raise SignatureRefused("The signature has expired.")
    if not hmac.compare_digest(_mac(request, signature.components, signature.base, secret), signature.value):
        raise SignatureRefused("The signature does not fit the request: check the client secret, and that a proxy keeps host and path.")
    return signature


def sign(request: SignedRequest, secret: bytes, *, key_id: str, nonce: str, created: int, expires: int) -> dict[str, str]:
    """The headers ``signature-input`` and ``signature`` of a request, for peers of our own. Raises SignatureRefused."""
    covered = " ".join(f'"{name}"' for name in REQUIRED)
    base = f'({covered});keyid="{key_id}";nonce="{nonce}";alg="hmac-sha256";created={created};expires={expires}'
    mac = _mac(request, REQUIRED, base, secret)
    return {"signature-input": f"sig1={base}", "signature": f"sig1=:{base64.b64encode(mac).decode()}:"}


def _mac(request: SignedRequest, components: tuple[str, ...], base: str, secret: bytes) -> bytes:
    lines = []
    for name in components:
        value = request.component(name)
        if value is None:
            raise SignatureRefused(f"The signature covers {name[:64]}, which the request has not.")
        lines.append(f'"{name}": {value}')
    lines.append(f'"@signature-params": {base}')
    return hmac.new(secret, "\n".join(lines).encode(), hashlib.sha256).digest()


def _authority(host: str) -> str:
    """Lower case, without a port that is a default one."""
    return re.sub(r":(?:80|443)$", "", host.strip().lower())
