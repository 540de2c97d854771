"""Credentials that live long, traded at the issuer for access tokens: each once in a token's life.

What came of it is remembered, so that a request asks nobody; what it rests on is the access token, which dies by the
feed. A credential whose token died is traded again: its user may have other roles by now, or be gone.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from hashlib import sha256
from typing import Final, NamedTuple

from watchword.errors import (
    InvalidTarget,
    InvalidToken,
    TemporarilyUnavailable,
    TooManyRequests,
    WatchwordError,
)
from watchword.jose import jws
from watchword.jose.encoding import parse_json_object

__all__ = ["Exchange", "Kind", "token_in"]

Kind = str
"""The member of the issuer's token request that holds the credential."""

PATIENCE: Final = 2.0
"""Seconds that a request waits for its trade."""
PAUSE: Final = 1.0
"""Seconds in which nothing is asked again: neither an issuer that is away nor about a token that was just made."""
REFUSED_FOR: Final = 30.0
"""Seconds in which a credential that was refused is not traded again."""

_UNKNOWN: Final = "the credentials are unknown, expired or revoked"
_REVOKED: Final = "the token was revoked"
_NEVER: Final = (-1e9, InvalidToken())
_REFUSALS: Final = (400, 401, 403, 404, 422)
_BUSY: Final = "too many new credentials at once"


class _Known(NamedTuple):
    token: str
    at: float
    renew_at: float


class Exchange:
    """The trades of one guard.

    Args:
        trade: asks the issuer, on a thread of its own: kind and credential for an access token.
        maximum: how many credentials are remembered, and how many refusals; by their digests, so that no secret
            lies here longer than its trade takes.
        at_once: how many trades may be under way for strangers, and how many for credentials that were good before.
        monotonic: the clock nobody sets.
        opened: takes the encryption off a token, where its issuer put one around it.
    """

    def __init__(
        self,
        trade: Callable[[Kind, str], str],
        *,
        maximum: int = 10_000,
        at_once: int = 16,
        monotonic: Callable[[], float] = time.monotonic,
        opened: Callable[[str], str] = str,
    ) -> None:
        self._trade = trade
        self._half = max(maximum // 2, 1)
        self._at_once = at_once
        self._monotonic = monotonic
        self._opened = opened
        # Two generations: forgetting is dropping a dict.
        self._young: dict[bytes, _Known] = {}
        self._old: dict[bytes, _Known] = {}
        self._refused: dict[bytes, tuple[float, WatchwordError]] = {}
        self._away_until = -1e9
        self._flights: dict[bytes, tuple[Future[str], bool]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def token(self, kind: Kind, credential: str) -> str | None:
        """The token that *credential* was traded for; ``None``: it has to be traded. Waits for nothing.

        One that is near its end is renewed meanwhile, so that no request ever waits for that; where the issuer
        is away, it goes on to its end.

        Raises:
            InvalidToken, TemporarilyUnavailable: it was refused a moment ago, or one too many was asked about.
        """
        name = _name(kind, credential)
        found = self._young.get(name)
        if found is None:
            found = self._old.get(name)
            if found is None:
                self._check_refused(name)
                return None
            self._keep(name, found)
        if self._monotonic() >= found.renew_at:
            with suppress(TemporarilyUnavailable):
                self._begin(kind, credential, found.token)
        return found.token

    def renewed(self, kind: Kind, credential: str, dead: str) -> bool:
        """Whether it is worth while to trade again, since the token *dead* is no good: not one made just now."""
        found = self._young.get(_name(kind, credential))
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
            return self._begin(kind, credential, dead).result(PATIENCE)
        except TimeoutError:
            raise TemporarilyUnavailable("the issuer does not answer") from None

    async def wait_async(self, kind: Kind, credential: str, dead: str | None = None) -> str:
        """As ``wait``, without holding up the event loop.

        Raises:
            InvalidToken, TemporarilyUnavailable: as ``wait``.
        """
        import asyncio

        flight = self._begin(kind, credential, dead)
        try:
            async with asyncio.timeout(PATIENCE):
                return await asyncio.shield(asyncio.wrap_future(flight))
        except TimeoutError:
            raise TemporarilyUnavailable("the issuer does not answer") from None

    def forked(self) -> None:
        """Be usable in a child process: the threads that would have answered are not there."""
        self._lock = threading.Lock()
        self._flights = {}

    def _begin(self, kind: Kind, credential: str, dead: str | None) -> Future[str]:
        name = _name(kind, credential)
        with self._lock:
            if name in self._flights:
                return self._flights[name][0]
            known = self._young.get(name)
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
            self._flights[name] = flight, stranger
            try:
                threading.Thread(
                    target=self._run,
                    args=(name, kind, credential, flight, stranger),
                    name="watchword-guard-exchange",
                    daemon=True,
                ).start()
            except RuntimeError:  # no thread is to be had: the next caller tries again
                del self._flights[name]
                raise TemporarilyUnavailable("no thread could be started to ask") from None
            return flight

    def _run(self, name: bytes, kind: Kind, credential: str, flight: Future[str], stranger: bool) -> None:
        fault: WatchwordError | None = None
        token = ""
        begun = self._monotonic()
        try:
            token = self._trade(kind, credential)
        except InvalidToken as refused:
            # What was good before is told as every other credential that was: the same words for all.
            fault = refused if stranger else InvalidToken(_REVOKED)
        except TooManyRequests as busy:
            # It is made-up keys that the issuer tires of: another's first use must not wait for that.
            fault = busy
        except WatchwordError as refused:
            fault = TemporarilyUnavailable(refused.description)
        except Exception as broken:  # nobody may wait for an answer that does not come
            fault = TemporarilyUnavailable(type(broken).__name__)
        with self._lock:
            self._flights.pop(name, None)
            now = self._monotonic()
            if fault is None:
                span = _span(token, self._opened) * random.uniform(0.7, 0.85)  # noqa: S311
                self._keep(name, _Known(token, now, begun + span))
            elif isinstance(fault, TemporarilyUnavailable):
                self._away_until = now + PAUSE
            else:
                self._refuse(name, fault, now)
        if fault is None:
            flight.set_result(token)
        else:
            flight.set_exception(_told(fault))

    def _refuse(self, name: bytes, fault: WatchwordError, now: float) -> None:
        span = REFUSED_FOR
        if isinstance(fault, TooManyRequests):
            span = min(span, fault.retry_after)
        else:
            self._young.pop(name, None)
            self._old.pop(name, None)
        if len(self._refused) >= 2 * self._half:
            self._refused = {}
        self._refused[name] = now + span, fault

    def _check_refused(self, name: bytes) -> None:
        until, fault = self._refused.get(name, _NEVER)
        if until > self._monotonic():
            raise _told(fault)

    def _keep(self, name: bytes, known: _Known) -> None:
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[name] = known


def token_in(status: int, body: bytes) -> str:
    """The access token in the issuer's answer to a trade.

    Raises:
        InvalidToken: it was refused.
        TooManyRequests: it was refused like too many others.
        TemporarilyUnavailable: it is no answer.
    """
    if status == 429:
        raise TooManyRequests(retry_after=5)
    if status != 200 and status not in _REFUSALS:
        raise TemporarilyUnavailable(f"the issuer answered {status}")
    said = parse_json_object(body, error=TemporarilyUnavailable)
    if status != 200:
        of_another = said.get("error") == InvalidTarget.error
        raise InvalidToken("the token is for another audience" if of_another else _UNKNOWN)
    token = said.get("access_token")
    if not isinstance(token, str):
        raise TemporarilyUnavailable("the issuer answered without a token")
    return token


def _told(fault: WatchwordError) -> WatchwordError:
    """*fault* as the caller of an API hears it, anew: many may raise it at once."""
    if isinstance(fault, TooManyRequests):
        return TemporarilyUnavailable(_BUSY, retry_after=fault.retry_after)
    return type(fault)(fault.description)


def _name(kind: Kind, credential: str) -> bytes:
    return sha256(f"{kind} {credential}".encode("utf-8", "surrogatepass")).digest()


def _span(token: str, opened: Callable[[str], str]) -> float:
    """How long *token* lives at least, by its issuer's clock alone, which tells whole seconds."""
    with suppress(WatchwordError, KeyError, TypeError):
        claims = parse_json_object(jws.parse(opened(token)).payload)
        return max(float(claims["exp"] - claims["iat"]) - 1, 0)
    return float("inf")


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
