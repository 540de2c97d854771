"""Where a request comes from and by which way: what a proxy says counts when we were told to believe it.

RFC 9700 4.13: anybody can write the fields of a proxy.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from watchword.server.web.request import Scope

__all__ = ["client_address", "is_confidential", "is_peer_of"]

_HOPS: Final = 32
"""Entries of ``X-Forwarded-For`` that are looked at, from the right."""
_REMEMBERED: Final = 1024
"""Addresses whose place is remembered, those seen last."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def client_address(trusted_proxies: Sequence[str]) -> Callable[[Scope], str | None]:
    """The function that reads a client's address.

    With trusted proxies it walks ``X-Forwarded-For`` from the right, past the proxies, to the first
    address that is none: what stands left of it anybody could have written.
    """
    if not trusted_proxies:
        return _peer
    is_trusted = _member_of(trusted_proxies)

    def through_proxies(scope: Scope) -> str | None:
        address = _peer(scope)
        if not is_trusted(address):
            return address
        # Past so many proxies nobody of ours stands.
        hops = [v for name, v in scope["headers"] if name == b"x-forwarded-for"]
        for hop in reversed(b",".join(hops).decode("latin-1").rsplit(",", _HOPS)[-_HOPS:]):
            try:
                address = str(ipaddress.ip_address(hop.strip()))
            except ValueError:
                return address
            if not is_trusted(address):
                return address
        return address

    return through_proxies


def is_confidential(trusted_proxies: Sequence[str], *, https: bool) -> Callable[[Scope], bool]:
    """The function that tells whether nobody between the client and us could listen.

    TLS ends here, or the peer is this machine, or it is a trusted proxy that does not say that its
    client came without. With an issuer on this machine that is no *https*, its word is not asked for.
    """
    is_trusted = _member_of(trusted_proxies)
    is_here = _member_of(("127.0.0.0/8", "::1/128"))

    def confidential(scope: Scope) -> bool:
        if scope.get("scheme") == "https":
            return True
        address = _peer(scope)
        if trusted_proxies and is_trusted(address):
            if not https:
                return True
            said = [v for name, v in scope["headers"] if name == b"x-forwarded-proto"]
            return b"http" not in (hop.strip().lower() for hop in b",".join(said).split(b","))
        return address is None or is_here(address)

    return confidential


def is_peer_of(networks: Sequence[str]) -> Callable[[Scope], bool]:
    """The function that tells whether whoever is connected to us is in one of *networks*."""
    contains = _member_of(networks)
    return lambda scope: contains(_peer(scope))


def _peer(scope: Scope) -> str | None:
    client = scope.get("client")
    return client[0] if client else None


def _member_of(texts: Sequence[str]) -> Callable[[str | None], bool]:
    networks: list[Network] = [ipaddress.ip_network(text) for text in texts]

    # A client comes with every one of its requests, and its address is worth reading once.
    @lru_cache(_REMEMBERED)
    def contains(address: str | None) -> bool:
        try:
            found = ipaddress.ip_address(address or "")
        except ValueError:
            return False
        if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
            found = found.ipv4_mapped
        return any(found.version == network.version and found in network for network in networks)

    return contains
