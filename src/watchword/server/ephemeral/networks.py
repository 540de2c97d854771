"""Which addresses count as one: what a single host, or a single operator, has as many of as it likes."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

__all__ = ["network_of", "wide_network_of"]


def network_of(address: str | None) -> str:
    """The key of an address: itself for IPv4, its /64 for IPv6, where one host owns as many as it likes."""
    return _network(address, 32, 64)


def wide_network_of(address: str | None) -> str:
    """The key of a neighbourhood: /24 for IPv4, /48 for IPv6: what one operator is given."""
    return _network(address, 24, 48)


# Each try asks for the key of one address several times, and the reading is slow.
@lru_cache(1024)
def _network(address: str | None, four: int, six: int) -> str:
    if not address:
        return "unknown"
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    size = four if ip.version == 4 else six
    return str(ip) if size == ip.max_prefixlen else str(ipaddress.ip_network((ip, size), strict=False))
