"""Credentials that live long, traded at the issuer for access tokens: each once in a token's life.

What came of it is remembered, so that a request asks nobody; what it rests on is the access token, which dies by the
feed. A credential whose token died is traded again: its user may have other roles by now, or be gone.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, NamedTuple

from watchword.errors import InvalidToken, TemporarilyUnavailable, WatchwordError

__all__ = ["Exchange", "Kind"]

Kind = str
"""The member of the issuer's token request that holds the credential."""

PATIENCE: Final = 2.0
"""Seconds that a request waits for its trade."""
PAUSE: Final = 1.0
"""Seconds in which nothing is asked again: neither an issuer that is away nor about a token that was just made."""
REFUSED_FOR: Final = 30.0
"""Seconds in which a credential that was refused is not traded again."""

_UNKNOWN: Final = "the credentials are unknown, expired or revoked"
_BUSY: Final = "too many new credentials at once"


class _Known(NamedTuple):
    token: str
    at: float


class Exchange:
    """The trades of one guard.

    Args:
        trade: asks the issuer, on a thread of its own: kind and credential for an access token.
        maximum: how many credentials are remembered, and how many refusals.
        at_once: how many trades may be under way for strangers, and how many for credentials that were good before.
        monotonic: the clock nobody sets.
    """

    def __init__(
        self,
        trade: Callable[[Kind, str], str],
        *,
        maximum: int = 10_000,
        at_once: int = 16,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._trade = trade
        self._half = max(maximum // 2, 1)
        self._at_once = at_once
        self._monotonic = monotonic
        # Two generations: forgetting is dropping a dict.
        self._young: dict[tuple[Kind, str], _Known] = {}
        self._old: dict[tuple[Kind, str], _Known] = {}
        self._refused: dict[tuple[Kind, str], float] = {}
        self._away_until = -1e9
        self._flights: dict[tuple[Kind, str], tuple[Future[str], bool]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def token(self, kind: Kind, credential: str) -> str | None:
        """The token that *credential* was traded for; ``None``: it has to be traded. Waits for nothing.

        Raises:
            InvalidToken: it was refused a moment ago.
        """
        key = (kind, credential)
        found = self._young.get(key)
        if found is None:
            found = self._old.get(key)
            if found is None:
                if self._refused.get(key, -1e9) > self._monotonic():
                    raise InvalidToken(_UNKNOWN)
                return None
            self._keep(key, found)
        return found.token

    def renewed(self, kind: Kind, credential: str, dead: str) -> bool:
        """Whether it is worth while to trade again, since the token *dead* is no good: not one made just now."""
        found = self._young.get((kind, credential))
        return found is None or found.token != dead or self._monotonic() - found.at >= PAUSE

    def wait(self, kind: Kind, credential: str, dead: str | None = None) -> str:
        """Trade *credential*, once for all who wait; *dead*: the token that is no good any more.

        Raises:
            InvalidToken: the issuer refuses it.
            TemporarilyUnavailable: there is no answer, too many are under way, or the caller must not wait here.
        """
        if _in_a_loop():
            raise TemporarilyUnavailable("a first look at these credentials takes authenticate_async")
        try:
            return self._begin((kind, credential), dead).result(PATIENCE)
        except TimeoutError:
            raise TemporarilyUnavailable("the issuer does not answer") from None

    async def wait_async(self, kind: Kind, credential: str, dead: str | None = None) -> str:
        """As ``wait``, without holding up the event loop.

        Raises:
            InvalidToken, TemporarilyUnavailable: as ``wait``.
        """
        import asyncio

        flight = self._begin((kind, credential), dead)
        try:
            async with asyncio.timeout(PATIENCE):
                return await asyncio.shield(asyncio.wrap_future(flight))
        except TimeoutError:
            raise TemporarilyUnavailable("the issuer does not answer") from None

    def forked(self) -> None:
        """Be usable in a child process: the threads that would have answered are not there."""
        self._lock = threading.Lock()
        self._flights = {}

    def _begin(self, key: tuple[Kind, str], dead: str | None) -> Future[str]:
        with self._lock:
            if key in self._flights:
                return self._flights[key][0]
            known = self._young.get(key)
            if known is not None and known.token != dead:
                return _done(known.token)  # somebody has traded it meanwhile
            if self._monotonic() < self._away_until:
                raise TemporarilyUnavailable("the issuer does not answer")
            stranger = known is None and dead is None
            if sum(other is stranger for _, other in self._flights.values()) >= self._at_once:
                raise TemporarilyUnavailable(_BUSY)
            flight: Future[str] = Future()
            # Shared: one caller that loses patience must not cancel it for the others.
            flight.set_running_or_notify_cancel()
            self._flights[key] = flight, stranger
            try:
                threading.Thread(
                    target=self._run, args=(key, flight), name="watchword-guard-exchange", daemon=True
                ).start()
            except RuntimeError:  # no more threads for now: the next caller tries again
                del self._flights[key]
                raise TemporarilyUnavailable("no thread could be started to ask") from None
            return flight

    def _run(self, key: tuple[Kind, str], flight: Future[str]) -> None:
        fault: WatchwordError | None = None
        token = ""
        try:
            token = self._trade(*key)
        except InvalidToken as refused:
            fault = refused
        except WatchwordError as refused:
            fault = TemporarilyUnavailable(refused.description)
        except Exception as broken:  # nobody may wait for an answer that does not come
            fault = TemporarilyUnavailable(type(broken).__name__)
        with self._lock:
            self._flights.pop(key, None)
            now = self._monotonic()
            if fault is None:
                self._keep(key, _Known(token, now))
            elif isinstance(fault, InvalidToken):
                self._young.pop(key, None)
                self._old.pop(key, None)
                if len(self._refused) >= 2 * self._half:
                    self._refused = {}
                self._refused[key] = now + REFUSED_FOR
            else:
                self._away_until = now + PAUSE
        if fault is None:
            flight.set_result(token)
        else:
            flight.set_exception(fault)

    def _keep(self, key: tuple[Kind, str], known: _Known) -> None:
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[key] = known


def _in_a_loop() -> bool:
    # Whoever has not imported it runs none; the import is not cheap.
    if "asyncio" not in sys.modules:
        return False
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _done(token: str) -> Future[str]:
    future: Future[str] = Future()
    future.set_result(token)
    return future
