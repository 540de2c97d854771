"""The key ring: next, active, retired, gone. A key is published before it signs and after it stopped.

Keys are rotated by the store in one transaction; the ring holds the opened private parts and the
prepared public sets, and reads again whenever the log says that keys moved.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import msgspec

from watchword.errors import InvalidKey, NotFound, ServerError, TemporarilyUnavailable
from watchword.jose.algorithms import ASYMMETRIC
from watchword.jose.jwk import Key, KeySet
from watchword.server.keys.sealing import Sealing
from watchword.server.policies import KeyPolicy
from watchword.server.store.records import Origin, SigningKey
from watchword.server.store.store import Keys

__all__ = ["KeyRing", "Rotation"]

FEED_ALGORITHM = "ES256"


class Rotation(msgspec.Struct, frozen=True, kw_only=True):
    """What a rotation decided: which key signs from when, and which one retires then."""

    kid: str
    algorithm: str
    active_at: datetime
    retiring: str | None


@dataclass(slots=True)
class KeyRing:
    """The issuer's signing keys, opened.

    One ``next`` token key is always published, so that a rotation signs with a key that every
    verifier has already seen (feed document, section 7).
    """

    keys: Keys
    sealing: Sealing
    policy: KeyPolicy
    now: Callable[[], datetime]
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
        for purpose, states in (("token", ("active", "next")), ("feed", ("active",))):
            for state in states:
                if not any(key.purpose == purpose and key.state == state for key in self._records):
                    await self.keys.add(await self._make(purpose, state), Origin())  # type: ignore[arg-type]
        await self.reload()

    async def reload(self) -> None:
        """Read the keys again: after a change here, by another process or at the command line."""
        async with self._loading:
            records = tuple(await self.keys.list())
            private = {}
            for record in records:
                if record.state != "compromised":
                    private[record.kid] = self._private.get(record.kid) or self._open(record)
            self._records, self._private, self._jwks = records, private, b""
            tokens = [r for r in records if r.purpose == "token" and r.state != "compromised"]
            self._published = KeySet(
                private[r.kid] for r in sorted(tokens, key=lambda r: (_ORDER[r.state], r.created_at))
            )
            self._feed = tuple(
                private[r.kid]
                for r in sorted((r for r in records if r.purpose == "feed"), key=lambda r: _ORDER[r.state])
                if r.kid in private
            )

    @property
    def keyset(self) -> KeySet:
        """The keys under which an access token may live: next, active and retired."""
        return self._published

    def jwks(self) -> dict[str, Any]:
        """The public key set (RFC 7517 5); symmetric keys are never in it."""
        return {"keys": [key.public_jwk() for key in self._published if not key.symmetric]}

    def jwks_bytes(self) -> bytes:
        """The public key set as JSON, made once for each change."""
        if not self._jwks:
            self._jwks = msgspec.json.encode(self.jwks())
        return self._jwks

    def feed_jwks(self) -> dict[str, Any]:
        """The public keys of the revocation feed: a set of their own."""
        return {"keys": [key.public_jwk() for key in self._feed]}

    @property
    def feed_key(self) -> Key:
        """The key that signs the feed now."""
        return self._feed[0]

    async def signing_key(self, kid: str) -> Key:
        """The private key *kid*, which the issuing statement named as the active one.

        Raises:
            ServerError: there is none; the store named a key that it does not have.
        """
        key = self._private.get(kid)
        if key is None:
            await self.reload()
            key = self._private.get(kid)
        if key is None:
            raise ServerError("the active signing key is not in the ring")
        return key

    async def list(self) -> Sequence[SigningKey]:
        """The token keys, as they stand in the store."""
        return [key for key in await self.keys.list() if key.purpose == "token"]

    async def rotate(
        self, *, algorithm: str | None = None, immediately: bool = False, origin: Origin
    ) -> Rotation:
        """Let the waiting key take over, once verifiers have had time to see it, or *immediately*.

        With *algorithm* other than the waiting key's, a waiting key of that algorithm is made first
        and must wait its time in public.

        Raises:
            InvalidKey: the algorithm is not one for signing tokens.
            TemporarilyUnavailable: another rotation won the race; ask again.
        """
        await self.reload()
        waiting = self._one("next")
        if algorithm is not None and waiting.algorithm != algorithm:
            successor = await self._make("token", "next", algorithm)
            if not await self.keys.replace_waiting(waiting.kid, successor, origin):
                raise TemporarilyUnavailable("another rotation is under way")
            await self.reload()
            waiting = self._one("next")
        retiring = self._one("active").kid
        seen_at = waiting.created_at + self.policy.publication
        active_at = self.now() if immediately else max(seen_at, self.now())
        if active_at <= self.now():
            await self._activate(waiting, origin)
        else:
            await self.keys.schedule(waiting.kid, active_at, origin)
            await self.reload()
        return Rotation(kid=waiting.kid, algorithm=waiting.algorithm, active_at=active_at, retiring=retiring)

    async def compromise(self, kid: str, origin: Origin) -> SigningKey:
        """Kill a key and every token under it; the waiting key becomes active in the same transaction.

        Raises:
            NotFound: there is no such token key.
        """
        await self.reload()
        found = next((r for r in self._records if r.kid == kid and r.purpose == "token"), None)
        if found is None:
            raise NotFound("there is no such key")
        killed = await self.keys.compromise(kid, await self._make("token", "next"), origin)
        if killed is None:
            raise NotFound("there is no such key")
        await self.reload()
        return killed

    async def tick(self) -> None:
        """Carry out a scheduled rotation that is due, and forget keys whose last token has expired."""
        waiting = next((r for r in self._records if r.purpose == "token" and r.state == "next"), None)
        if waiting is not None and waiting.active_at is not None and waiting.active_at <= self.now():
            await self._activate(waiting, Origin())
        if await self.keys.sweep():
            await self.reload()

    async def _activate(self, waiting: SigningKey, origin: Origin) -> None:
        successor = await self._make("token", "next", waiting.algorithm)
        won = await self.keys.activate(waiting.kid, successor, origin)
        await self.reload()
        if not won and self._one("active").kid != waiting.kid:
            raise TemporarilyUnavailable("another rotation is under way")

    def _one(self, state: str) -> SigningKey:
        for record in self._records:
            if record.purpose == "token" and record.state == state:
                return record
        raise ServerError(f"the ring has no {state} key")

    def _open(self, record: SigningKey) -> Key:
        jwk = msgspec.json.decode(self.sealing.open(record.sealed, record.kid))
        return Key.parse(jwk, algorithm=record.algorithm)

    async def _make(
        self,
        purpose: Literal["token", "feed"],
        state: Literal["next", "active"],
        algorithm: str | None = None,
    ) -> SigningKey:
        name = FEED_ALGORITHM if purpose == "feed" else algorithm or self.policy.algorithm
        if name not in ASYMMETRIC:
            raise InvalidKey(f"{name} is not an algorithm this server signs with")
        key = await asyncio.to_thread(Key.generate, name)  # RSA takes its time
        now = self.now()
        return SigningKey(
            kid=key.kid,
            purpose=purpose,
            algorithm=name,
            state=state,
            public_jwk=key.public_jwk(),
            sealed=self.sealing.seal(msgspec.json.encode(key.private_jwk()), key.kid),
            created_at=now,
            active_at=now if state == "active" else None,
            retired_at=None,
            gone_at=None,
        )


_ORDER = {"active": 0, "next": 1, "retired": 2, "compromised": 3}
