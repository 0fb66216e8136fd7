"""Who may open a telephony connection: decided on the HTTP request, before the websocket exists. Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from copilot.domain.audio import ChannelName
from copilot.domain.errors import ConfigError
from copilot.domain.ids import OrgId
from copilot.domain.ports.live import Integration
from streaming.telephony.protocol import PROTOCOLS, make_protocol
from streaming.telephony.twilio import signature_matches

PATH_PREFIX: Final = "/v1/"
_DIGEST: Final = "sha256:"


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationConfig:
    """One telephony system that may connect.

    ``keys`` are ``sha256:<hex>`` of the bearer keys (they must be random, ≥ 128 bits); several allow rotation. With ``twilio_auth_token`` a
    handshake signed for exactly ``public_url`` is accepted instead. ``channel_roles`` maps the peer's tracks or channel names to ours.
    """

    name: str
    protocol: str
    org_id: OrgId
    keys: tuple[str, ...] = field(default=(), repr=False)
    twilio_auth_token: str = field(default="", repr=False)
    public_url: str = ""
    channel_roles: Mapping[str, ChannelName] = field(default_factory=dict)
    language: str = "zh"
    max_calls: int = 64

    def integration(self) -> Integration:
        return Integration(org_id=self.org_id, name=self.name, protocol=self.protocol, language=self.language)

    def check(self) -> None:
        """Raises ConfigError for a setting that cannot work."""
        make_protocol(self.protocol, self.channel_roles)
        for key in self.keys:
            digest = key.removeprefix(_DIGEST)
            if not key.startswith(_DIGEST) or len(digest) != 64 or not all(c in "0123456789abcdef" for c in digest):
                raise ConfigError(f"A key of integration {self.name!r} must be sha256: and the 64 hex digits of the key's digest.")
        if self.twilio_auth_token and (self.protocol != "twilio" or not self.public_url.startswith("wss://")):
            raise ConfigError(
                f"Integration {self.name!r}: an auth token needs protocol twilio and public_url, the exact wss:// URL set at Twilio."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An HTTP answer instead of a websocket. ``integration`` is the one that was meant, if that is known."""

    status: int
    sentence: str
    integration: IntegrationConfig | None = None


def hashed_key(key: str) -> str:
    """``sha256:<hex>`` of a key, as settings hold it."""
    return _DIGEST + hashlib.sha256(key.encode()).hexdigest()


def identify(
    path: str, headers: Mapping[str, str], integrations: Sequence[IntegrationConfig], *, allow_anonymous: bool
) -> IntegrationConfig | Refusal:
    """The integration a request belongs to. ``headers`` has lower-case names.

    ``/v1/<protocol>`` finds it by its key; ``/v1/<protocol>/<name>`` names it. Keys travel in ``Authorization: Bearer`` only: a key in the
    query is refused, because URLs end up in logs.
    """
    plain, _, query = path.partition("?")
    protocol, _, name = plain.removeprefix(PATH_PREFIX).partition("/")
    known = [config for config in integrations if config.protocol == protocol and name in ("", config.name)]
    if not plain.startswith(PATH_PREFIX) or protocol not in PROTOCOLS or (name and not known):
        return Refusal(status=404, sentence=f"There is nothing here: connect to {' or '.join(PATH_PREFIX + p for p in sorted(PROTOCOLS))}.")
    if query and any(part.split("=")[0].lower() in {"key", "token", "access_token", "authorization"} for part in query.split("&")):
        return Refusal(status=401, sentence="A key in the URL is not accepted: send it as Authorization: Bearer.")
    authorization = headers.get("authorization", "")
    signature = headers.get("x-twilio-signature", "")
    if authorization:
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            return Refusal(status=401, sentence="Authorization must be Bearer and the integration's key.")
        given = hashed_key(key.strip())
        matches = [config for config in known if sum(hmac.compare_digest(given, own) for own in config.keys)]
        return (
            matches[0]
            if matches
            else Refusal(status=403, sentence="This key is not one of this integration's keys.", integration=_only(known))
        )
    if signature:
        signed = [config for config in known if config.twilio_auth_token]
        for config in signed:
            if signature_matches(config.twilio_auth_token, config.public_url, signature):
                return config
        return Refusal(
            status=403,
            sentence="The X-Twilio-Signature does not fit: check the auth token, and that public_url is the exact URL set at Twilio.",
            integration=_only(signed),
        )
    if allow_anonymous and "origin" not in headers:
        # No page in a browser may use an open bench: only what is not a browser comes without an origin.
        return known[0] if known else Refusal(status=404, sentence=f"No integration with protocol {protocol} is configured.")
    return Refusal(status=401, sentence="Send the integration's key as Authorization: Bearer.", integration=_only(known))


def _only(configs: Sequence[IntegrationConfig]) -> IntegrationConfig | None:
    return configs[0] if len(configs) == 1 else None
