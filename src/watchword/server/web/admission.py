"""Admission: how many connections or streams each network may hold, so that one host can't take them all."""

from __future__ import annotations

from dataclasses import dataclass, field

from watchword.server.ephemeral.networks import network_of

__all__ = ["Places"]


@dataclass(slots=True)
class Places:
    """Places that networks hold.

    Attributes:
        most: how many there are.
        most_per_network: how many of them one network may hold.
        held: how many are held now.
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
            network = network_of(address)
            count = self._of.get(network, 0)
            if count >= self.most_per_network:
                return False
            self._of[network] = count + 1
        self.held += 1
        return True

    def give_back(self, address: str | None) -> None:
        """Give back a place that was taken for this client."""
        self.held -= 1
        if address is not None:
            network = network_of(address)
            count = self._of[network] - 1
            if count:
                self._of[network] = count
            else:
                del self._of[network]
