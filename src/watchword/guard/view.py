"""What a guard knows of its issuer: one reference, read once a verification."""

from __future__ import annotations

from typing import Any, Final

from watchword.guard.revocations import Kill, Overlay, Table
from watchword.guard.timeline import Timeline
from watchword.jose.jwk import Key, KeySet

__all__ = ["View"]


class View:
    """The keys that live, the head of the log, and the dicts of the table.

    A view never changes; what moves makes a new one. Its dicts do change, one assignment at a time.

    Attributes:
        keyset: the keys that verify tokens now: published and alive.
        keys: the same by ``kid``.
        cold: nothing has been heard of the issuer yet, so that no token can be judged.
        base: tokens made from a version below it are dead.
        longest_life: seconds; longer tokens are refused; 0 = any.
        time: the issuer's time; ``None``: nobody tells it.
        push: seconds that it was ahead of this machine's clock when this view was made.
    """

    __slots__ = (
        "base", "clients", "cold", "keys", "keyset", "longest_life", "overlays", "push", "sessions", "time",
        "tokens", "users",
    )  # fmt: skip

    def __init__(
        self,
        keyset: KeySet,
        table: Table | None = None,
        *,
        cold: bool = False,
        longest_life: int = 0,
        time: Timeline | None = None,
    ) -> None:
        self.keyset = keyset
        self.keys: dict[str, Key] = {key.kid: key for key in keyset}
        self.cold = cold
        self.longest_life = longest_life
        self.time = time
        self.push = 0.0 if time is None else time.push
        self.base = 0 if table is None else table.base
        self.sessions: dict[str, Any] = _NOTHING if table is None else table.sessions
        self.tokens: dict[str, Any] = _NOTHING if table is None else table.tokens
        self.users: dict[str, Kill] = _NOTHING if table is None else table.users
        self.clients: dict[str, Kill] = _NOTHING if table is None else table.clients
        self.overlays: dict[str, Overlay] = _NOTHING if table is None else table.overlays

    @property
    def note(self) -> str:
        """What a refusal adds where this machine's clock and the issuer's differ; mostly nothing."""
        return "" if self.time is None else self.time.note


_NOTHING: Final[dict[str, Any]] = {}
