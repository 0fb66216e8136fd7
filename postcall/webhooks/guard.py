"""Where webhooks may go: a person who may register an address must not reach the inside of the network with it.

An address is public, or its host is listed by the operator (``webhooks.hosts``). What was checked is what is connected to: the name is
resolved once, so that a name server cannot answer differently the second time.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpcore

from copilot.domain.errors import InvalidInput

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """``hosts``: names or addresses (``host`` or ``host:port``) inside the network that may be called, also without TLS.

    ``only``: no other host may be called at all.
    """

    hosts: tuple[str, ...] = ()
    only: bool = False

    def check_url(self, url: str) -> None:
        """Raises InvalidInput for what may not be called. The name is not resolved yet."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            raise InvalidInput("The webhook's address is not a URL.") from None
        if parts.scheme not in ("https", "http") or not host:
            raise InvalidInput("The webhook's address must begin with https://.")
        if parts.username or parts.password or parts.fragment:
            raise InvalidInput("The webhook's address must hold neither a password nor a fragment.")
        listed = self.lists(host, port)
        if self.only and not listed:
            raise InvalidInput("This host is not in webhooks.hosts; ask whoever runs the server.")
        if parts.scheme == "http" and not listed:
            raise InvalidInput("Without TLS a webhook may only go to a host that is listed in webhooks.hosts.")
        literal = _literal(host)
        if literal is not None and not listed:
            check_addresses([literal])

    def lists(self, host: str, port: int) -> bool:
        """Whether the operator named this host."""
        return bool({host.lower(), f"{host.lower()}:{port}"} & {name.lower() for name in self.hosts})


def check_addresses(addresses: Iterable[_Address]) -> None:
    """Raises InvalidInput unless every address is a public one."""
    for address in addresses:
        seen = getattr(address, "ipv4_mapped", None) or address
        if not seen.is_global or seen.is_multicast or seen.is_reserved:
            raise InvalidInput("The webhook's host has an address inside a private network; list it in webhooks.hosts if it may be called.")


def _literal(host: str) -> _Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to nothing that ``allowed`` does not let through; TLS still names and checks the host of the URL."""

    def __init__(self, allowed: Allowed) -> None:
        self._allowed = allowed
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                found: Sequence[Any] = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, TimeoutError) as error:
            raise httpcore.ConnectError("The host's name was not found.") from error
        addresses = [ipaddress.ip_address(entry[4][0].partition("%")[0]) for entry in found]
        if not self._allowed.lists(host, port):
            check_addresses(addresses)
        return await self._backend.connect_tcp(str(addresses[0]), port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)
