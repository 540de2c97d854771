"""A node among those that serve from one database: it says that it is there, and with which settings.

Whatever a node decides by its settings, another one's users and guards live with. So those settings must agree. A
rolling restart is how they change, so a node that differs starts all the same, and says so.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

from watchword.server.knobs import ROWS
from watchword.server.parsing import format_value
from watchword.server.settings import Settings
from watchword.server.store.intentions.meta import Meta

__all__ = ["Presence", "agreed", "differences"]

_log = logging.getLogger("watchword.server")

_OWN: Final = frozenset({
    "HOST", "PORT", "WORKERS", "DATABASE", "DATABASE_TIMEOUT", "DATA_DIR", "SECRET", "TRUSTED_PROXIES",
    "MAX_CONNECTIONS", "MAX_CONNECTIONS_PER_NETWORK", "MAX_STREAMS_PER_NETWORK", "ADMIN_EMAIL", "ADMIN_PASSWORD",
    "METRICS", "METRICS_TOKEN", "LOG_FORMAT", "LOG_REQUESTS", "TLS_CERT", "TLS_KEY",
    "SMTP_HOST", "SMTP_PORT", "SMTP_SECURITY", "SMTP_USER", "SMTP_PASSWORD",
})  # fmt: skip
"""What each node may have as it likes: where it runs, what it can take, where it logs, by which relay it mails.

``SECRET`` is compared elsewhere, and a node with another one does not start.
"""

_EVERY: Final = 15.0
"""Seconds between two announcements: a quarter of the time for which one counts."""

_FAREWELL: Final = 1.0


@dataclass(slots=True)
class Presence:
    """This node as the others see it.

    Args:
        meta: the store's.
        settings: what ``agreed`` found.
        monotonic: seconds, by a clock that nobody sets.
    """

    meta: Meta
    settings: Mapping[str, str] = field(repr=False)
    monotonic: Callable[[], float]
    loud: bool = True
    """Whether this process says what differs: of several with the same settings, one does."""
    node: str = field(default_factory=lambda: secrets.token_hex(8))
    _next: float | None = None

    async def tick(self) -> None:
        """Say that we are here, when it is time; the first time, compare with the others."""
        now = self.monotonic()
        if self._next is not None and now < self._next:
            return
        if self._next is None:
            found = differences(self.settings, (await self.meta.nodes()).values())
            if found and self.loud:
                _log.warning(
                    "this node and another one on the same database differ in %s: give all nodes the same settings",
                    ", ".join(found),
                )
        await self.meta.announce(self.node, dict(self.settings))
        self._next = now + _EVERY

    async def leave(self) -> None:
        """Say that we go; if that cannot be said, the others find out within a minute."""
        if self._next is None:
            return
        with suppress(Exception):
            async with asyncio.timeout(_FAREWELL):
                await self.meta.leave(self.node)


def agreed(settings: Settings, digest_key: bytes | None = None) -> Mapping[str, str]:
    """The settings in which all nodes must agree: name -> text. Secrets are digests, or absent without a key."""
    found = {}
    for row in ROWS:
        value = settings.values[row.name]
        if row.name in _OWN or (row.secret and digest_key is None):
            continue
        text = settings.issuer if row.name == "ISSUER" else format_value(value)
        if row.secret:
            text = blake2b(text.encode(), key=digest_key or b"", digest_size=16).hexdigest()
        found[row.name] = text
    return found


def differences(
    ours: Mapping[str, str], others: Iterable[Mapping[str, str]], *, here: str = "here", there: str = "there"
) -> list[str]:
    """The settings in which somebody differs from *ours*, with both values unless they are secret.

    What one of the two does not know, because it is of another version, is no difference.
    """
    hidden = {row.name for row in ROWS if row.secret}
    found: dict[str, str] = {}
    for other in others:
        for name in ours.keys() & other.keys():
            if ours[name] != other[name]:
                shown = (
                    ""
                    if name in hidden
                    else f" ({ours[name] or 'none'} {here}, {other[name] or 'none'} {there})"
                )
                found.setdefault(name, name + shown)
    return [found[row.name] for row in ROWS if row.name in found]
