"""What every back-end must do with a new address that waits for its confirmation."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from watchword.server.store.records import LinkLimit, Origin, User

__all__ = ["EmailChanges"]


class EmailChanges(Protocol):
    """Addresses that users want to change to. One a user: the newest.

    It is void after a ban, another password, a log-out everywhere, or another change of the address.
    """

    async def offer(
        self,
        user_id: str,
        email: tuple[str, str],
        digest: bytes,
        life: timedelta,
        limit: LinkLimit,
        origin: Origin,
    ) -> User | None:
        """Keep *email* (as shown, as compared) and the digest of its link. ``None``: the user asked too often."""

    async def wanted(self, email_key: str, user_id: str, limit: int) -> bool:
        """Whether a link may be sent there: it is nobody else's address, and at most *limit* users ask for it."""

    async def pending(self, digest: bytes) -> str | None:
        """The address that the link would confirm now; ``None``: it is unknown, spent, void or over."""

    async def complete(self, digest: bytes, origin: Origin) -> User | None:
        """Spend the link and change the address, for exactly one caller; the user before that, or ``None``.

        Raises:
            EmailTaken: it is another user's by now.
        """

    async def sweep(self, limit: int) -> int:
        """Delete up to *limit* that neither open anything nor count; how many went."""
