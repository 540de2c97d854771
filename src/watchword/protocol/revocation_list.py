"""The feed's one message: who and what is revoked, signed (feed of the authorization server to every guard).

A snapshot, a delta, an event and a heartbeat are the same message in four sizes: *every kept entry
in (after, sequence]*. That it always says its lower end is what lets a guard merge messages in any
order and still know how far it has seen without a gap.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal, TypeVar

import msgspec

from watchword.errors import InvalidToken
from watchword.jose import jws
from watchword.jose.algorithms import ASYMMETRIC
from watchword.jose.jwk import Key, KeySet

__all__ = [
    "KINDS",
    "MAX_NONCE",
    "MAX_SIZE",
    "TYP",
    "Entry",
    "Received",
    "RevocationList",
    "parse",
    "receive",
    "sign",
]

TYP: Final = "watchword-revocations+jwt"
MAX_SIZE: Final = 256 * 1024 * 1024
MAX_NONCE: Final = 64

Kind = Literal["session", "token", "user", "client", "claims", "key", "issuer"]
KINDS: Final = ("session", "token", "user", "client", "claims", "key", "issuer")


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"excepted": "except"}):
    """One revocation.

    Attributes:
        sequence: its place in the log; rises in the order of commits, without holes.
        kind: what dies: a ``session`` (id = sid), a ``token`` (jti), the tokens of a ``user`` or
            ``client`` made from a version below ``below``; ``claims``: older tokens of user ``id``
            show ``claims`` instead of their own; ``key``: the signing keys changed; ``issuer``:
            every token made from a version below ``below``.
        excepted: a session the kill spares (the password was changed in it).
        at: seconds since the epoch when it was written.
        exp: seconds since the epoch after which no token is left for it; 0 = never.
        clients: for ``claims``: the clients whose full tokens may also gain by the overlay.
        keys: for ``key``: the public keys now published.
        replaces: for ``user``: ended sessions of that user whose own entries this one makes superfluous.
    """

    sequence: int
    kind: Kind
    id: str = ""
    below: int = 0
    excepted: str = ""
    at: int = 0
    exp: int = 0
    claims: dict[str, Any] = {}
    clients: tuple[str, ...] = ()
    keys: tuple[dict[str, Any], ...] = ()
    replaces: tuple[str, ...] = ()


class Head(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message of the feed but for its entries: every kept one in (``after``, ``sequence``].

    Attributes:
        iss: the issuer.
        epoch: rises when a backup is restored; a lower one is out of date, whatever its sequence.
        iat: seconds since the epoch, taken before the head of the log was read.
        kids: the signing keys that live; a token under any other is dead.
        base: tokens made from versions below it are dead.
        longest_life: seconds; a token with a longer life is refused.
        feed_keys: in a snapshot: the public keys that sign this feed now and next.
        mark: what tells ``sequence`` from the same sequence of another past of the log, such as that of a backup
            which was put back; empty from an older server.
        after_mark: the mark of ``after``: whoever knows another one there has to get everything.
        nonce: what the one who asked for this message sent along: it was made after his question, whatever
            clocks and caches lie between.
        interval: seconds between two heartbeats; after two without a message the node is not well. 0 = not said.
    """

    iss: str
    epoch: int
    after: int
    sequence: int
    iat: float
    kids: tuple[str, ...]
    base: int = 0
    longest_life: int = 0
    feed_keys: tuple[dict[str, Any], ...] = ()
    nonce: str = ""
    interval: float = 0
    mark: str = ""
    after_mark: str = ""


class RevocationList(Head, frozen=True, kw_only=True, omit_defaults=True):
    """One message of the feed."""

    entries: tuple[Entry, ...] = ()


class Received(Head, frozen=True, kw_only=True):
    """One message whose entries are read one by one: a million of them are never in memory twice."""

    entries: list[msgspec.Raw] = []

    def read(self) -> Iterator[Entry]:
        """Every entry, once.

        Raises:
            InvalidToken: one is malformed.
        """
        self.entries.reverse()
        while self.entries:
            try:
                yield _decode(self.entries.pop())
            except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as broken:
                raise InvalidToken("the revocation list is malformed") from broken


Message = TypeVar("Message", bound=Head)

_decode: Final = msgspec.json.Decoder(Entry).decode


def sign(message: RevocationList, key: Key) -> str:
    """Sign *message* with the feed key; the outcome is a compact JWS."""
    return jws.sign(msgspec.json.encode(message), key, typ=TYP)


def parse(text: str | bytes, keys: KeySet, *, issuer: str) -> RevocationList:
    """Verify a message of *issuer*'s feed and read it.

    Raises:
        InvalidToken: it is forged, torn, of another issuer or of another type.
    """
    return _parse(text, keys, issuer, RevocationList)


def receive(text: str | bytes, keys: KeySet, *, issuer: str) -> Received:
    """The same, with entries that are yet to be read.

    Raises:
        InvalidToken: as ``parse``.
    """
    return _parse(text, keys, issuer, Received)


def _parse(text: str | bytes, keys: KeySet, issuer: str, form: type[Message]) -> Message:
    _, payload, _ = jws.verify(text, keys, typ=TYP, algorithms=ASYMMETRIC, max_size=MAX_SIZE)
    try:
        message = msgspec.json.decode(payload, type=form)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as broken:
        raise InvalidToken("the revocation list is malformed") from broken
    if message.iss != issuer:
        raise InvalidToken("the revocation list is another issuer's")
    if message.after > message.sequence or message.after < 0:
        raise InvalidToken("the revocation list runs backwards")
    return message
