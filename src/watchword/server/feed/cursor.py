"""A subscriber's position in the feed, as text that only the server can write."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import Final

from watchword.server.store.position import Position

__all__ = ["CursorCodec"]

_LONGEST: Final = 80


@dataclass(frozen=True, slots=True)
class CursorCodec:
    """Writes and reads ``epoch.sequence.mark.MAC``.

    The MAC makes a cursor a proof: one that isn't of this log shows that the store went back. It covers the name of
    the database, so that a cursor of another one under the same ``SECRET`` proves nothing.
    """

    key: bytes = field(repr=False)

    def mint(self, position: Position, instance: str) -> str:
        """The cursor of *position* in the database called *instance*."""
        text = f"{position.epoch}.{position.sequence}.{position.mark:016x}"
        return f"{text}.{self._mac(text, instance)}"

    def parse(self, text: str | None, instance: str) -> Position | None:
        """The position of a cursor; ``None`` if it isn't one of this database."""
        parts = (text or "").split(".")
        if text is None or len(parts) != 4 or len(text) > _LONGEST or not text.isascii():
            return None
        said, _, mac = text.rpartition(".")
        if not hmac.compare_digest(self._mac(said, instance), mac):
            return None
        return Position(int(parts[0]), int(parts[1]), int(parts[2], 16))

    def _mac(self, said: str, instance: str) -> str:
        return hmac.digest(self.key, f"{said} {instance}".encode(), "sha256")[:12].hex()
