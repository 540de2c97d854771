"""The address of a client: the peer's, unless the peer is a proxy we were told to believe (RFC 9700 4.13)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence

from watchword.server.web.request import Scope

__all__ = ["client_address"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def client_address(trusted_proxies: Sequence[str]) -> Callable[[Scope], str | None]:
    """The function that reads a client's address.

    With trusted proxies it walks ``X-Forwarded-For`` from the right, past the proxies, to the first
    address that is none: what stands left of it anybody could have written.
    """
    networks: list[Network] = [ipaddress.ip_network(text) for text in trusted_proxies]

    def peer(scope: Scope) -> str | None:
        client = scope.get("client")
        return client[0] if client else None

    if not networks:
        return peer

    def is_trusted(address: str | None) -> bool:
        try:
            found = ipaddress.ip_address(address or "")
        except ValueError:
            return False
        return any(found.version == network.version and found in network for network in networks)

    def through_proxies(scope: Scope) -> str | None:
        address = peer(scope)
        if not is_trusted(address):
            return address
        hops = [v for name, v in scope["headers"] if name == b"x-forwarded-for"]
        for hop in reversed(b",".join(hops).decode("latin-1").split(",")):
            try:
                address = str(ipaddress.ip_address(hop.strip()))
            except ValueError:
                return address
            if not is_trusted(address):
                return address
        return address

    return through_proxies
