"""The refresh token as a text: epoch, session, counter, secret and a MAC (RFC 9700 4.14).

    wwr_ base64url( form 1 | key number 1 | epoch 8 | session 16 | counter 4 | secret 16 | instance 8 | MAC 16 )

Form 1 has no instance: tokens from before there were any, and those that nodes of that version have to read.

A text with a bad MAC costs no query. The server key alone, the database alone or a session id alone
forges nothing: the row holds only a digest of the secret.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from hmac import compare_digest
from typing import Final

from watchword.errors import InvalidGrant, InvalidToken
from watchword.jose.algorithms import ALGORITHMS
from watchword.jose.encoding import decode_base64url, encode_base64url
from watchword.jose.primitive import Signer, hmac_signer
from watchword.server.store.records import PresentedRefreshToken

__all__ = ["PREFIX", "RefreshToken", "RefreshTokenCodec", "new_session_id", "secret_digest", "session_id"]

PREFIX: Final = "wwr_"
SECRET_SIZE: Final = 16

_BODIES: Final = {1: struct.Struct(">BBQ16sI16s"), 2: struct.Struct(">BBQ16sI16s8s")}
_MAC_SIZE: Final = 16
_FORMS: Final = {
    len(PREFIX) + ((body.size + _MAC_SIZE) * 4 + 2) // 3: (form, body) for form, body in _BODIES.items()
}
"""The form that a text of this length has."""
_BINDER: Final = b"cookie binder\0"
"""What a binder's MAC begins with; a refresh token's begins with its form, so that neither is ever the other."""


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token whose MAC holds."""

    epoch: int
    session_id: str
    counter: int
    secret: bytes = field(repr=False)
    instance: str = ""

    def presented(self) -> PresentedRefreshToken:
        """What the store looks it up by; the secret goes no further than its digest."""
        return PresentedRefreshToken(
            session_id=self.session_id,
            epoch=self.epoch,
            counter=self.counter,
            secret_digest=secret_digest(self.secret),
            instance=self.instance,
        )


@dataclass(frozen=True, slots=True)
class RefreshTokenCodec:
    """Writes and reads refresh tokens under numbered MAC keys; the highest number writes."""

    mac_keys: Mapping[int, bytes] = field(repr=False)
    _macs: Mapping[int, Signer] = field(init=False, repr=False)
    _newest_first: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        macs = {number: hmac_signer(ALGORITHMS["HS256"], key) for number, key in self.mac_keys.items()}
        object.__setattr__(self, "_macs", macs)
        object.__setattr__(self, "_newest_first", tuple(sorted(macs, reverse=True)))

    def mint(self, epoch: int, session_id: str, counter: int, secret: bytes, instance: str = "") -> str:
        """Write the refresh token of *counter* in the database called *instance*; without, in the older form."""
        number = max(self._macs)
        said = (number, epoch, _raw(session_id), counter, secret)
        body = _BODIES[2].pack(2, *said, bytes.fromhex(instance)) if instance else _BODIES[1].pack(1, *said)
        return PREFIX + encode_base64url(body + self._macs[number](body)[:_MAC_SIZE])

    def parse(self, text: str) -> RefreshToken:
        """Read a refresh token, without a query.

        Raises:
            InvalidGrant: it is no refresh token of ours.
        """
        form, shape = _FORMS.get(len(text), (0, None))
        if shape is None or not text.startswith(PREFIX):
            raise InvalidGrant("this is not a refresh token")
        try:
            raw = decode_base64url(text[len(PREFIX) :])
        except InvalidToken:
            raise InvalidGrant("this is not a refresh token") from None
        body, mac = raw[: shape.size], raw[shape.size :]
        said, number, epoch, session, counter, secret, *instance = shape.unpack(body)
        made = self._macs.get(number)
        if said != form or made is None or not compare_digest(made(body)[:_MAC_SIZE], mac):
            raise InvalidGrant("this is not a refresh token")
        named = instance[0].hex() if instance else ""
        return RefreshToken(epoch, session_id(session), counter, secret, named)

    def binders(self, token: RefreshToken) -> tuple[str, ...]:
        """The texts that bind a browser to the session of *token*, the one to hand out first.

        It is the same for every refresh token of a session, and nobody makes it without the server's key.
        """
        body = _BINDER + _raw(token.session_id) + token.secret
        return tuple(encode_base64url(self._macs[number](body)[:_MAC_SIZE]) for number in self._newest_first)


def session_id(raw: bytes) -> str:
    """The id of a session from its 16 random bytes."""
    return "ses_" + encode_base64url(raw)


def new_session_id(now: datetime, token_bytes: Callable[[int], bytes]) -> str:
    """The id of a session that begins *now*: its milliseconds, then 80 random bits.

    Sessions that begin together lie together in the index of ids, so that a batch of log-ins writes one
    page of it and not one for each. The id is no secret; when its session began is in every token of it.
    """
    return session_id(int(now.timestamp() * 1000).to_bytes(6, "big") + token_bytes(10))


def secret_digest(secret: bytes) -> bytes:
    """What the row keeps of a session secret: 128 random bits need no slow hash."""
    return sha256(secret).digest()


def _raw(session_id: str) -> bytes:
    return decode_base64url(session_id.removeprefix("ses_"))
