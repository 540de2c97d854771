"""Where a request comes from and by which way: what a proxy says counts when we were told to believe it.

RFC 9700 4.13: anybody can write the fields of a proxy.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from watchword.server.web.request import Scope

__all__ = ["client_address", "is_confidential", "is_peer_of"]

_HOPS: Final = 32
"""Entries of ``X-Forwarded-For`` that are looked at, from the right."""
_REMEMBERED: Final = 1024
"""Addresses whose place is remembered, those seen last."""

_TOLD: Final = 100
"""Characters of a value that the log tells."""
_MAPPED: Final = 96
"""Bits of an IPv6 address before the IPv4 address that it stands for (RFC 4291 2.5.5.2)."""
_HOP: Final = re.compile(
    r"""[ \t]*"?(?:\[([0-9A-Fa-f:.]{2,45}(?:%[^\]"]*)?)\](?::\d{1,5})?"""
    r"""|([0-9.]{7,15})(?::\d{1,5})?|([0-9A-Fa-f:.]{2,45}(?:%[^"]*)?))"?[ \t]*\Z"""
)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def client_address(
    trusted_proxies: Sequence[str], warn: Callable[[str, str | None], None]
) -> Callable[[Scope], str | None]:
    """The function that reads a client's address.

    With trusted proxies it walks ``X-Forwarded-For`` from the right, past the proxies, to the first
    address that is none: what stands left of it anybody could have written.

    Args:
        trusted_proxies: their networks.
        warn: called once, with the first value that is no address, or the first ``Forwarded`` (RFC 7239) without
            ``X-Forwarded-For``, and the proxy that sent it.
    """
    if not trusted_proxies:
        return _peer
    is_trusted = _member_of(trusted_proxies)
    warned = False

    def through_proxies(scope: Scope) -> str | None:
        nonlocal warned
        address = _peer(scope)
        if not is_trusted(address):
            return address
        # Past so many proxies nobody of ours stands.
        hops = [v for name, v in scope["headers"] if name == b"x-forwarded-for"]
        if not hops and not warned:
            for value in (v for name, v in scope["headers"] if name == b"forwarded"):
                warned = True
                warn(f"Forwarded: {value.decode('latin-1')[:_TOLD]}", address)
                break
        for hop in reversed(b",".join(hops).decode("latin-1").rsplit(",", _HOPS)[-_HOPS:]):
            if not hop or hop.isspace():
                continue  # an empty element of a list is none (RFC 9110 5.6.1.2)
            found = _address_in(hop)
            if found is None:
                if not warned:
                    warned = True
                    warn(hop.strip()[:_TOLD], address)
                return address
            address = found
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
    if not client:
        return None
    address: str = client[0]
    # Only IPv6 has colons: of most addresses nothing else needs to be looked at.
    return (_plain(address) or address) if ":" in address else address


@lru_cache(_REMEMBERED)
def _address_in(hop: str) -> str | None:
    """The address in one element of ``X-Forwarded-For``, as proxies write it: quoted, in brackets, with a port."""
    match = _HOP.match(hop)
    return _plain(match[1] or match[2] or match[3]) if match else None


@lru_cache(_REMEMBERED)
def _plain(address: str) -> str | None:
    """*address* as it is compared: without a zone, and IPv4 as IPv4; ``None``: it is no address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return str(getattr(found, "ipv4_mapped", None) or found)


def _member_of(texts: Sequence[str]) -> Callable[[str | None], bool]:
    networks = [_network(text) for text in texts]

    # A client comes with every one of its requests, and its address is worth reading once.
    @lru_cache(_REMEMBERED)
    def contains(address: str | None) -> bool:
        plain = _plain(address or "")
        if plain is None:
            return False
        found = ipaddress.ip_address(plain)
        return any(found.version == network.version and found in network for network in networks)

    return contains


def _network(text: str) -> Network:
    network = ipaddress.ip_network(text)
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= _MAPPED:
        address = network.network_address.ipv4_mapped
        if address is not None:
            return ipaddress.IPv4Network((address, network.prefixlen - _MAPPED))
    return network
