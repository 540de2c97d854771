"""Where a listener of the feed stands, as a text that only the server can write."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import Final

__all__ = ["CursorCodec"]

_LONGEST: Final = 80


@dataclass(frozen=True, slots=True)
class CursorCodec:
    """Writes and reads ``epoch.sequence.MAC``.

    The MAC makes a cursor a proof: one that lies ahead of the log shows that the store went back.
    """

    key: bytes = field(repr=False)

    def mint(self, epoch: int, sequence: int) -> str:
        """The cursor of this place."""
        return f"{epoch}.{sequence}.{self._mac(epoch, sequence)}"

    def parse(self, text: str | None) -> tuple[int, int] | None:
        """Epoch and sequence of a cursor; ``None`` when it is none of ours."""
        parts = (text or "").split(".")
        if len(parts) != 3 or len(text or "") > _LONGEST:
            return None
        if not all(part.isascii() and part.isdecimal() for part in parts[:2]):
            return None
        epoch, sequence = int(parts[0]), int(parts[1])
        if not hmac.compare_digest(self._mac(epoch, sequence).encode(), parts[2].encode("utf-8", "replace")):
            return None
        return epoch, sequence

    def _mac(self, epoch: int, sequence: int) -> str:
        return hmac.digest(self.key, f"{epoch}.{sequence}".encode(), "sha256")[:12].hex()
