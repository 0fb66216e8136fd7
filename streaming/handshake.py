"""Who may open a telephony connection: decided on the HTTP request, before the websocket exists. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from copilot.domain.audio import CHANNELS, ChannelName
from copilot.domain.errors import ConfigError, Overloaded
from copilot.domain.ids import OrgId
from copilot.domain.ports.live import Integration
from streaming.telephony import httpsig
from streaming.telephony.admission import NonceCache, TrustedProxies
from streaming.telephony.mapping import check_mapping
from streaming.telephony.protocol import PROTOCOLS, Opening, TelephonyProtocol, make_protocol
from streaming.telephony.twilio import signature_matches

PATH_PREFIX: Final = "/v1/"
BROWSER_PATH: Final = "/v1/raw"
BROWSER_PROTOCOL: Final = "pangting.raw.v1"
TICKET_PREFIX: Final = "pangting.ticket."
NONCE_KEEP_S: Final = 20.0
"""Longer than any signature is accepted (10 s of age and 3 s of skew on both sides)."""
_DIGEST: Final = "sha256:"


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationConfig:
    """One telephony system that may connect.

    ``keys`` are ``sha256:<hex>`` of the keys (they must be random, ≥ 128 bits); several allow rotation. A key is accepted as bearer token,
    as the password of Basic authentication with the integration's name as user, or (audiohook) as X-API-KEY. ``secrets[i]``, if it is not
    empty, is the base64 secret that requests with ``keys[i]`` must be signed with (audiohook). With ``twilio_auth_token`` a handshake
    signed for exactly ``public_url`` is accepted instead. ``client_certs`` are client certificates (as the proxy writes them into its
    header) that need no key. ``channel_roles`` maps the peer's tracks or channel names to ours, ``metadata_keys`` our names of metadata
    to the peer's; ``legs`` are those that arrive on connections of their own. ``announced``: only calls that were announced are admitted.
    """

    name: str
    protocol: str
    org_id: OrgId
    keys: tuple[str, ...] = field(default=(), repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    twilio_auth_token: str = field(default="", repr=False)
    public_url: str = ""
    client_certs: tuple[str, ...] = ()
    channel_roles: Mapping[str, ChannelName] = field(default_factory=dict)
    metadata_keys: Mapping[str, str] = field(default_factory=dict)
    legs: tuple[ChannelName, ...] = ()
    announced: bool = False
    events: bool = False
    language: str = "zh"
    max_calls: int = 64
    connects_per_minute: int = 0
    agent: str = ""
    """Username of the person who talks here from a page: the agent of each call, whatever its metadata say."""

    def integration(self) -> Integration:
        return Integration(org_id=self.org_id, name=self.name, protocol=self.protocol, language=self.language)

    def parser(self, opening: Opening | None = None) -> TelephonyProtocol:
        """A parser for one connection of this integration."""
        return make_protocol(self.protocol, self.channel_roles, opening or Opening(legs=self.legs, events=self.events))

    def check(self) -> None:
        """Raises ConfigError for a setting that cannot work."""
        self.parser()
        check_mapping(self.metadata_keys, self.name)
        for key in self.keys:
            digest = key.removeprefix(_DIGEST)
            if not key.startswith(_DIGEST) or len(digest) != 64 or not all(c in "0123456789abcdef" for c in digest):
                raise ConfigError(f"A key of integration {self.name!r} must be sha256: and the 64 hex digits of the key's digest.")
        if self.twilio_auth_token and (self.protocol != "twilio" or not self.public_url.startswith("wss://")):
            raise ConfigError(
                f"Integration {self.name!r}: an auth token needs protocol twilio and public_url, the exact wss:// URL set at Twilio."
            )
        if any(self.secrets):
            if self.protocol != "audiohook" or len(self.secrets) > len(self.keys):
                raise ConfigError(f"Integration {self.name!r}: client secrets need protocol audiohook and a key each, in the same order.")
            for secret in filter(None, self.secrets):
                _secret_bytes(self.name, secret)
        if len(set(self.legs)) != len(self.legs) or not set(self.legs) <= set(CHANNELS):
            raise ConfigError(f"Integration {self.name!r}: legs must be different channels out of {', '.join(CHANNELS)}.")
        if self.connects_per_minute < 0:
            raise ConfigError(f"Integration {self.name!r}: connects_per_minute must not be negative.")

    def key_index(self, key: str) -> int | None:
        """Which of the keys this is; compared in constant time."""
        given = hashed_key(key)
        matches = [index for index, own in enumerate(self.keys) if hmac.compare_digest(given, own)]
        return matches[0] if matches else None

    def secret_of(self, index: int) -> bytes | None:
        """The secret that requests with this key must be signed with."""
        secret = self.secrets[index] if index < len(self.secrets) else ""
        return _secret_bytes(self.name, secret) if secret else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An HTTP answer instead of a websocket. ``integration`` is the one that was meant, if that is known."""

    status: int
    sentence: str
    integration: IntegrationConfig | None = None

    @property
    def told_in_protocol(self) -> bool:
        """To some an HTTP status looks like a network fault.

        AudioHook peers want to hear ``disconnect`` with the reason ``unauthorized``; a page cannot read why its handshake failed, and must
        not take a full server for an absent one.
        """
        known = self.integration
        if known is None:
            return False
        return self.status in (429, 503) if known.agent else known.protocol == "audiohook" and self.status in (401, 403)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserTicket:
    """What a page offers instead of a key: a single-use ticket bound to its user and ``origin``."""

    ticket: str = field(repr=False)
    origin: str


def browser_ticket(path: str, headers: Mapping[str, str]) -> BrowserTicket | Refusal | None:
    """The ticket in a page's handshake; None when there is none. ``headers`` has lower-case names.

    A page cannot send an Authorization header, and a URL ends up in logs: the ticket is one of the subprotocols that are offered
    (``pangting.raw.v1, pangting.ticket.<ticket>``), and never the one that is chosen.
    """
    offered = [name.strip() for name in headers.get("sec-websocket-protocol", "").split(",")]
    tickets = [name.removeprefix(TICKET_PREFIX) for name in offered if name.startswith(TICKET_PREFIX)]
    if not tickets:
        return None
    if path != BROWSER_PATH:
        return Refusal(status=401, sentence=f"Pages connect to {BROWSER_PATH} only, and nothing stands in its query.")
    if len(tickets) != 1 or not tickets[0] or BROWSER_PROTOCOL not in offered:
        return Refusal(status=401, sentence=f"Offer the subprotocols {BROWSER_PROTOCOL} and {TICKET_PREFIX}<ticket>, once each.")
    if {"authorization", "x-api-key", "x-twilio-signature"} & headers.keys():
        return Refusal(status=401, sentence="Send a ticket or a key, not both.")
    if headers.get("origin", "null") == "null":
        return Refusal(status=401, sentence="A ticket is a page's, so the request must say its origin; other peers send a key.")
    return BrowserTicket(ticket=tickets[0], origin=headers["origin"])


def hashed_key(key: str) -> str:
    """``sha256:<hex>`` of a key, as settings hold it."""
    return _DIGEST + hashlib.sha256(key.encode()).hexdigest()


def identify(
    path: str,
    headers: Mapping[str, str],
    integrations: Sequence[IntegrationConfig],
    *,
    allow_anonymous: bool,
    remote: str = "",
    proxies: TrustedProxies | None = None,
    nonces: NonceCache | None = None,
    now: float = 0.0,
) -> IntegrationConfig | Refusal:
    """The integration a request belongs to. ``headers`` has lower-case names; ``now`` is Unix time; ``remote`` the socket's address.

    ``/v1/<protocol>`` finds it by its credential; ``/v1/<protocol>/<name>`` names it. Keys travel in headers only: a key in the query is
    refused, because URLs end up in logs.
    """
    plain, _, query = path.partition("?")
    protocol, _, name = plain.removeprefix(PATH_PREFIX).partition("/")
    known = [config for config in integrations if config.protocol == protocol and name in ("", config.name)]
    paths = sorted(PATH_PREFIX + p for p, spec in PROTOCOLS.items() if spec.transport == "websocket")
    if not plain.startswith(PATH_PREFIX) or PATH_PREFIX + protocol not in paths or (name and not known):
        return Refusal(status=404, sentence=f"There is nothing here: connect to {' or '.join(paths)}.")
    if query and any(part.split("=")[0].lower() in {"key", "token", "access_token", "authorization"} for part in query.split("&")):
        return Refusal(status=401, sentence="A key in the URL is not accepted: send it as Authorization: Bearer.")
    certificate = proxies.certificate(remote, headers) if proxies is not None else None
    if "authorization" in headers:
        return _by_key(headers["authorization"], known, signed=True)
    if "x-api-key" in headers:
        return _by_api_key(path, headers, known, nonces, now)
    if "x-twilio-signature" in headers:
        return _by_twilio_signature(headers["x-twilio-signature"], known)
    if certificate is not None:
        for config in known:
            if any(hmac.compare_digest(certificate.encode(), own.encode()) for own in config.client_certs):
                return config
        return Refusal(status=403, sentence="This client certificate is not one of this integration's.", integration=_only(known))
    if allow_anonymous and "origin" not in headers:
        # No page in a browser may use an open bench: only what is not a browser comes without an origin.
        return known[0] if known else Refusal(status=404, sentence=f"No integration with protocol {protocol} is configured.")
    return Refusal(status=401, sentence="Send the integration's key as Authorization: Bearer.", integration=_only(known))


def integration_of_key(authorization: str, integrations: Sequence[IntegrationConfig]) -> IntegrationConfig | Refusal:
    """The integration whose key an Authorization header holds, for requests beside the websockets."""
    return _by_key(authorization, integrations)


def _by_key(authorization: str, known: Sequence[IntegrationConfig], *, signed: bool = False) -> IntegrationConfig | Refusal:
    """``signed``: a key that comes with a secret opens nothing by itself."""
    scheme, _, given = authorization.partition(" ")
    user, key = None, given.strip()
    if scheme.lower() == "basic":
        try:
            user, colon, key = base64.b64decode(key, validate=True).decode().partition(":")
        except (ValueError, binascii.Error):
            colon = ""
        if not colon:
            key = ""
    elif scheme.lower() != "bearer":
        key = ""
    if not key:
        return Refusal(status=401, sentence="Authorization must be Bearer and the integration's key, or Basic with its name and key.")
    for config in known:
        index = config.key_index(key)
        if index is not None and user in (None, config.name):
            if signed and config.secret_of(index) is not None:
                return Refusal(status=401, sentence="This key must be sent as X-API-KEY, and the request signed.", integration=config)
            return config
    return Refusal(status=403, sentence="This key is not one of this integration's keys.", integration=_only(known))


def _by_api_key(
    path: str, headers: Mapping[str, str], known: Sequence[IntegrationConfig], nonces: NonceCache | None, now: float
) -> IntegrationConfig | Refusal:
    key = headers["x-api-key"]
    for config in known:
        index = config.key_index(key) if config.protocol == "audiohook" else None
        if index is not None:
            break
    else:
        return Refusal(status=403, sentence="This X-API-KEY is not one of this integration's keys.", integration=_only(known))
    secret = config.secret_of(index)
    if secret is None:
        if httpsig.is_signed(headers):
            return Refusal(status=401, sentence="The request is signed, but this key has no secret here: set it.", integration=config)
        return config
    public = urlsplit(config.public_url)
    request = httpsig.SignedRequest(
        target=(public.path or "/") + (f"?{public.query}" if public.query else "") if public.netloc else path,
        authority=public.netloc or headers.get("host", ""),
        headers=headers,
    )
    try:
        signature = httpsig.verify(request, secret, key_id=key, now=now)
        if nonces is None or not nonces.first_use(key, signature.nonce, now):
            return Refusal(status=401, sentence="The signature's nonce was used already.", integration=config)
    except httpsig.SignatureRefused as refused:
        return Refusal(status=401, sentence=str(refused), integration=config)
    except Overloaded as full:
        return Refusal(status=503, sentence=str(full), integration=config)
    return config


def _by_twilio_signature(signature: str, known: Sequence[IntegrationConfig]) -> IntegrationConfig | Refusal:
    signed = [config for config in known if config.twilio_auth_token]
    for config in signed:
        if signature_matches(config.twilio_auth_token, config.public_url, signature):
            return config
    return Refusal(
        status=403,
        sentence="The X-Twilio-Signature does not fit: check the auth token, and that public_url is the exact URL set at Twilio.",
        integration=_only(signed),
    )


def _only(configs: Sequence[IntegrationConfig]) -> IntegrationConfig | None:
    return configs[0] if len(configs) == 1 else None


def _secret_bytes(name: str, secret: str) -> bytes:
    try:
        raw = base64.b64decode(secret, validate=True)
    except (ValueError, binascii.Error):
        raw = b""
    if not raw:
        raise ConfigError(f"Integration {name!r}: a client secret must be base64, as it was entered at Genesys.")
    return raw
