"""Record: frozen, made by keyword, and silent about secrets."""

from __future__ import annotations

from datetime import datetime
from typing import Generic, TypeVar

import msgspec

__all__ = ["Page", "Record", "milliseconds"]

T = TypeVar("T")


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What every record is: frozen, made by keyword, silent about secrets."""

    def __repr__(self) -> str:
        secret = {"password_digest", "secret_digest", "sealed"}
        shown = ", ".join(
            f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name not in secret
        )
        return f"{type(self).__name__}({shown})"

    __str__ = __repr__


def milliseconds(at: datetime) -> int:
    """A time as the database keeps it: since the epoch."""
    return int(at.timestamp() * 1000)


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list and the cursor of the next, ``None`` at the end."""

    items: tuple[T, ...]
    next: str | None = None
