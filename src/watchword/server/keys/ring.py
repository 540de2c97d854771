"""The key ring: next, active, retired, gone. A key is published before it signs and after it stopped.

Keys are rotated by the store in one transaction; the ring holds the opened private parts and the
prepared public sets, and reads again whenever the log says that keys moved.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import msgspec

from watchword.errors import InvalidKey, NotFound, ServerError, TemporarilyUnavailable
from watchword.jose.jwk import Key, KeySet
from watchword.server.keys.maker import HS256, KeyMaker, Purpose, Ring
from watchword.server.policies import KeyPolicy
from watchword.server.store.intentions.keys import Keys
from watchword.server.store.records import Origin, SigningKey

__all__ = ["KeyRing", "Rotation"]

_ORDER: Final = {"active": 0, "next": 1, "retired": 2, "compromised": 3}
_FEED: Final[Ring] = ("feed", "")
_ISSUER: Final[Ring] = ("token", "")


class Rotation(msgspec.Struct, frozen=True, kw_only=True):
    """What a rotation decided: which key signs from when, and which one retires then."""

    kid: str
    algorithm: str
    active_at: datetime
    retiring: str | None


@dataclass(slots=True)
class KeyRing:
    """The issuer's signing keys, opened.

    One ``next`` key is always published, so that a rotation signs with a key that every verifier has
    already seen (feed document, section 7). An API may have a ring of its own, whose keys sign all
    its tokens; only there a shared secret may sign.

    Args:
        keys: the store's keys.
        maker: makes and opens them.
        policy: when they come and go.
        audience: the API whose ring is meant where none is named.
        now: the clock.
        monotonic: seconds, by a clock that nobody sets.
    """

    keys: Keys
    maker: KeyMaker
    policy: KeyPolicy
    audience: str
    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    _retired_at: dict[str, float] = field(default_factory=dict, repr=False)
    _records: tuple[SigningKey, ...] = ()
    _private: dict[str, Key] = field(default_factory=dict, repr=False)
    _published: KeySet = field(default_factory=lambda: KeySet(()))
    _feed: tuple[Key, ...] = field(default=(), repr=False)
    _jwks: bytes = b""
    _loading: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    async def start(self) -> None:
        """Make the keys that are missing and read them all.

        Raises:
            ConfigurationError: ``SECRET`` does not open them.
        """
        await self.reload()
        states: tuple[Literal["active", "next"], ...] = ("active", "next")
        for ring in (_ISSUER, _FEED):
            for state in states:
                if self._find(ring, state) is None:
                    await self.keys.add(await self.maker.make(ring, state), Origin())
        await self.reload()
        for waiting in [record for record in self._records if record.state == "next"]:
            if self.maker.is_outdated(waiting):
                await self._replace(waiting, waiting.algorithm, Origin())

    async def reload(self) -> None:
        """Read the keys again: after a change here, by another process or at the command line."""
        async with self._loading:
            records = tuple(sorted(await self.keys.list(), key=lambda r: (_ORDER[r.state], r.created_at)))
            private = {
                record.kid: self._private.get(record.kid) or self.maker.open(record)
                for record in records
                if record.state != "compromised"
            }
            self._records, self._private, self._jwks = records, private, b""
            seen, now = self._retired_at, self.monotonic()
            self._retired_at = {r.kid: seen.get(r.kid, now) for r in records if r.state == "retired"}
            self._published = KeySet(
                private[record.kid]
                for record in records
                if record.purpose == "token" and record.kid in private and record.algorithm != HS256
            )
            # A feed key that was followed by another counts nowhere; nothing of it needs checking later.
            self._feed = tuple(
                private[record.kid]
                for record in records
                if record.purpose == "feed" and record.state in ("active", "next")
            )

    @property
    def keyset(self) -> KeySet:
        """The public keys under which an access token may live: next, active and retired.

        Shared secrets are not among them: they open no door of the server's own.
        """
        return self._published

    def jwks(self) -> dict[str, Any]:
        """The public key set (RFC 7517 5); symmetric keys are never in it."""
        return self._published.public_jwks()

    def jwks_bytes(self) -> bytes:
        """The public key set as JSON, made once for each change."""
        if not self._jwks:
            self._jwks = msgspec.json.encode(self.jwks())
        return self._jwks

    def feed_jwks(self) -> dict[str, Any]:
        """The public keys of the revocation feed, the waiting one included: a set of their own."""
        return {"keys": [key.public_jwk() for key in self._feed]}

    @property
    def feed_key(self) -> Key:
        """The key that signs the feed now."""
        return self._feed[0]

    async def find(self, kid: str) -> Key | None:
        """The private key *kid*, unless there is none or it is compromised."""
        if kid not in self._private:
            await self.reload()
        return self._private.get(kid)

    async def signing_key(self, kid: str) -> Key:
        """The private key *kid*, which the issuing statement named as the active one.

        Raises:
            TemporarilyUnavailable: it was compromised, or all were replaced by a restore, since the statement.
            ServerError: the statement found none.
        """
        if not kid:
            raise ServerError("the store has no key that signs")
        key = await self.find(kid)
        if key is None:
            raise TemporarilyUnavailable("the keys were replaced just now")
        return key

    async def list(self, purpose: Purpose = "token") -> Sequence[SigningKey]:
        """The keys of one purpose, as they stand in the store."""
        return [key for key in await self.keys.list() if key.purpose == purpose]

    async def rotate(
        self,
        *,
        purpose: Purpose = "token",
        audience: str | None = None,
        algorithm: str | None = None,
        immediately: bool = False,
        origin: Origin,
    ) -> Rotation:
        """Let the waiting key take over, once verifiers have had time to see it, or *immediately*.

        With *algorithm* other than the waiting key's, a waiting key of that algorithm is made first
        and must wait its time in public.

        Args:
            purpose: ``token``, or ``feed`` for the key that signs the feed.
            audience: the API whose keys are meant, or the issuer for its own. By default the ones that
                sign what a plain log-in gets.
            algorithm: what signs next. ``HS256`` gives the API keys of its own.
            immediately: an incident: verifiers without a feed may not know the key yet. Where the waiting
                key was made a moment ago, those with a feed get that moment to hear of it first.
            origin: who asks.

        Raises:
            InvalidKey: the algorithm is not one for signing here.
            TemporarilyUnavailable: another rotation won the race; ask again.
        """
        await self.reload()
        ring = self._ring(purpose, audience, algorithm)
        waiting = self._find(ring, "next")
        if waiting is None:
            await self.keys.add(await self.maker.make(ring, "next", algorithm), origin)
            await self.reload()
            waiting = self._require(ring, "next")
        if (algorithm or waiting.algorithm) != waiting.algorithm or self.maker.is_outdated(waiting):
            waiting = await self._replace(waiting, algorithm or waiting.algorithm, origin)
        retiring = self._find(ring, "active") or self._require(_ISSUER, "active")
        if immediately:
            age = max(self.now() - waiting.created_at, timedelta(0))
            await asyncio.sleep((self.policy.reach - min(age, self.policy.reach)).total_seconds())
        seen_at = waiting.created_at + self.policy.publication
        active_at = self.now() if immediately else max(seen_at, self.now())
        if active_at <= self.now():
            await self._activate(waiting, origin)
        else:
            await self.keys.schedule(waiting.kid, active_at, origin)
            await self._follow()
        return Rotation(
            kid=waiting.kid, algorithm=waiting.algorithm, active_at=active_at, retiring=retiring.kid
        )

    async def compromise(self, kid: str, origin: Origin) -> SigningKey:
        """Kill a key and every token under it; the waiting key becomes active in the same transaction.

        Raises:
            NotFound: there is no such key, or it is dead already.
        """
        await self.reload()
        found = next((record for record in self._records if record.kid == kid), None)
        if found is None:
            raise NotFound("there is no such key")
        ring = (found.purpose, found.audience)
        waiting = self._find(ring, "next") or found
        killed = await self.keys.compromise(
            kid, await self.maker.make(ring, "next", waiting.algorithm), origin
        )
        if killed is None:
            raise NotFound("there is no such key")
        await self._follow()
        return killed

    async def fresh(self) -> Sequence[SigningKey]:
        """An active and a waiting key for every ring: for a store from the past, whose keys nobody can trust."""
        await self.reload()
        made = []
        for record in self._records:
            if record.state in ("active", "next"):
                ring = (record.purpose, record.audience)
                # An API whose secret is not set here gets the issuer's keys until somebody rotates.
                with suppress(InvalidKey):
                    made.append(await self.maker.make(ring, record.state, record.algorithm))
        return made

    async def tick(self) -> None:
        """Carry out the rotations that are due, and forget keys whose last token has expired.

        The keys are read first: another node, or the command line, may have said when.
        """
        if tuple(await self.keys.list()) != self._records:
            await self.reload()
        for waiting in [record for record in self._records if record.state == "next"]:
            if self._is_due(waiting):
                await self._activate(waiting, Origin())
        over = [record.kid for record in self._records if self._is_over(record)]
        if over and await self.keys.sweep(over):
            await self.reload()

    def _is_over(self, key: SigningKey) -> bool:
        """Whether its last token has expired, by the wall clock and by the one that nobody sets.

        A wall clock that jumps ahead, be it for one reading, would take from everybody a key that signed a moment ago.
        """
        if (
            key.state != "retired"
            or key.retired_at is None
            or key.gone_at is None
            or key.gone_at > self.now()
        ):
            return False
        rested = self.monotonic() - self._retired_at.get(key.kid, self.monotonic())
        return rested >= (key.gone_at - key.retired_at).total_seconds()

    def _is_due(self, waiting: SigningKey) -> bool:
        now = self.now()
        if waiting.active_at is not None:
            return waiting.active_at <= now
        active = self._find((waiting.purpose, waiting.audience), "active")
        if self.policy.rotation is None or active is None or active.active_at is None:
            return False
        return (
            max(active.active_at + self.policy.rotation, waiting.created_at + self.policy.publication) <= now
        )

    async def _activate(self, waiting: SigningKey, origin: Origin) -> None:
        ring = (waiting.purpose, waiting.audience)
        successor = await self.maker.make(ring, "next", waiting.algorithm)
        won = await self.keys.activate(waiting.kid, successor, origin)
        await self._follow()
        if not won and self._require(ring, "active").kid != waiting.kid:
            raise TemporarilyUnavailable("another rotation is under way")

    async def _follow(self) -> None:
        """Read what was changed just now, if it can be read: a refusal would say that it had not been done.

        Until whoever reads the log reads the keys again, the one that signs is known from when it waited.
        """
        with suppress(TemporarilyUnavailable):
            await self.reload()

    async def _replace(self, waiting: SigningKey, algorithm: str, origin: Origin) -> SigningKey:
        ring = (waiting.purpose, waiting.audience)
        successor = await self.maker.make(ring, "next", algorithm)
        if not await self.keys.replace_waiting(waiting.kid, successor, origin):
            raise TemporarilyUnavailable("another rotation is under way")
        await self.reload()
        return self._require(ring, "next")

    def _ring(self, purpose: Purpose, audience: str | None, algorithm: str | None) -> Ring:
        if purpose == "feed":
            if algorithm is not None:
                raise InvalidKey("the algorithm of the feed's key is not chosen")
            return _FEED
        if audience is None:
            own = algorithm == HS256 or self._find(("token", self.audience), "next") is not None
            return ("token", self.audience) if own else _ISSUER
        return _ISSUER if audience == self.maker.issuer else ("token", audience)

    def _find(self, ring: Ring, state: str) -> SigningKey | None:
        for record in self._records:
            if (record.purpose, record.audience) == ring and record.state == state:
                return record
        return None

    def _require(self, ring: Ring, state: str) -> SigningKey:
        found = self._find(ring, state)
        if found is None:
            raise ServerError(f"the ring has no {state} key")
        return found
