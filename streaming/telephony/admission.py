"""Bounds on who may come in how often: nonces that were used, connections per minute, proxies that are believed. Pure."""

from __future__ import annotations

import ipaddress
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from copilot.domain.errors import ConfigError, Overloaded

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class NonceCache:
    """Remembers nonces for as long as a signature with them could be accepted. When it is full, nothing more is let in: forgetting one
    would open the door to its replay."""

    def __init__(self, *, keep_s: float, size: int = 16_384) -> None:
        self._keep_s = keep_s
        self._size = size
        self._seen: dict[tuple[str, str], float] = {}

    def first_use(self, key_id: str, nonce: str, now: float) -> bool:
        """True once for each nonce of a key. Raises Overloaded."""
        for key, until in tuple(self._seen.items()):  # in order of time: the first that is young ends it
            if until >= now:
                break
            del self._seen[key]
        if (key_id, nonce) in self._seen:
            return False
        if len(self._seen) >= self._size:
            raise Overloaded("Too many signed requests in a short time: try again in a moment.")
        self._seen[key_id, nonce] = now + self._keep_s
        return True


class RateLimit:
    """At most ``per_minute`` events in any 60 s; 0: no limit. Each name counts for itself; ``now`` in s of a monotonic clock."""

    def __init__(self) -> None:
        self._events: dict[str, deque[float]] = {}

    def allow(self, name: str, per_minute: int, now: float) -> bool:
        if per_minute <= 0:
            return True
        events = self._events.setdefault(name, deque())
        while events and events[0] <= now - 60:
            events.popleft()
        if len(events) >= per_minute:
            return False
        events.append(now)
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedProxies:
    """Proxies in front of the server: ``networks`` are addresses or CIDR ranges. ``certificate_header`` is the lower-case name of the
    header in which they put the verified client certificate (its subject or fingerprint); it is believed from them alone."""

    networks: tuple[_Network, ...] = ()
    certificate_header: str = ""

    @classmethod
    def of(cls, addresses: tuple[str, ...], certificate_header: str = "") -> TrustedProxies:
        """Raises ConfigError."""
        try:
            networks = tuple(ipaddress.ip_network(address, strict=False) for address in addresses)
        except ValueError as error:
            raise ConfigError(f"telephony.trusted_proxies must be addresses or CIDR ranges ({error}).") from None
        if certificate_header and not networks:
            raise ConfigError("telephony.client_cert_header needs telephony.trusted_proxies: from anybody else the header proves nothing.")
        return cls(networks=networks, certificate_header=certificate_header.lower())

    def trusts(self, remote: str) -> bool:
        try:
            address = ipaddress.ip_address(remote)
        except ValueError:
            return False
        return any(address in network for network in self.networks)

    def certificate(self, remote: str, headers: Mapping[str, str]) -> str | None:
        """The client certificate a trusted proxy vouches for."""
        if not self.certificate_header or not self.trusts(remote):
            return None
        return headers.get(self.certificate_header) or None

    def client(self, remote: str, headers: Mapping[str, str]) -> str:
        """The peer's address: what the trusted proxy next to us says it is, else the socket's."""
        if not self.trusts(remote):
            return remote
        said = headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
        try:
            return str(ipaddress.ip_address(said))
        except ValueError:
            return remote
