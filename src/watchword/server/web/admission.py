"""Admission: how many connections or streams each network may hold, so that one host can't take them all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from watchword.server.ephemeral.networks import network_of, wide_network_of

__all__ = ["Places"]

_SITES: Final = 4
"""Sites that it takes to hold every place."""


@dataclass(slots=True)
class Places:
    """Places that networks hold.

    Attributes:
        most: how many there are.
        most_per_network: how many of them one network may hold.
        held: how many are held now.

    An IPv6 site is given many networks (RFC 6177: a /48 to a /56), so together they may hold a quarter of all.
    """

    most: int
    most_per_network: int
    held: int = 0
    _of: dict[str, int] = field(default_factory=dict, repr=False)

    def take(self, address: str | None) -> bool:
        """Take a place for a client, if one is free. Without an address only the total counts."""
        if self.held >= self.most:
            return False
        if address is not None:
            networks = _networks(address)
            for network, most in zip(networks, (self.most_per_network, self._most_per_site), strict=False):
                if self._of.get(network, 0) >= most:
                    return False
            for network in networks:
                self._of[network] = self._of.get(network, 0) + 1
        self.held += 1
        return True

    def give_back(self, address: str | None) -> None:
        """Give back a place that was taken for this client."""
        self.held -= 1
        if address is not None:
            for network in _networks(address):
                count = self._of[network] - 1
                if count:
                    self._of[network] = count
                else:
                    del self._of[network]

    @property
    def _most_per_site(self) -> int:
        return max(self.most // _SITES, min(self.most_per_network, self.most))


def _networks(address: str) -> tuple[str, ...]:
    """The network of *address*, and the site that an IPv6 one belongs to."""
    network = network_of(address)
    return (network, wide_network_of(address)) if ":" in network else (network,)
