"""The access token (RFC 9068): the one file that says how it is built and how it is checked.

Server and guard share it, so that what is signed and what is accepted cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from watchword.errors import InvalidKey, InvalidToken
from watchword.jose import jws, jwt
from watchword.jose.encoding import parse_json_object
from watchword.jose.jwk import Key, KeySet
from watchword.protocol.basic import BASIC_USERNAME
from watchword.protocol.scope import scope_words

__all__ = [
    "ADMIN",
    "FIRST_PARTY_CLIENT_ID",
    "MAX_SIZE",
    "TYP",
    "AccessToken",
    "issue",
    "read",
    "signed_audience",
    "verify",
]

TYP: Final = "at+jwt"
FIRST_PARTY_CLIENT_ID: Final = "cli_first_party"
ADMIN: Final = "admin"
"""The role that administers: the console, the admin API and the boolean claim ``admin``."""
MAX_SIZE: Final = 8192
"""Bytes of an encoded token that anybody looks at (BCPbis 2, 3)."""
_SIGNED: Final = "urn:watchword:signed:"
_TEXTS: Final = ("iss", "sub", "jti", "client_id")
_MAX_ACTORS: Final = 8
_BOUND: Final = "the token is bound to a key whose proof is not supported here"


class AccessToken(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A verified access token: its registered claims typed, the whole payload behind ``claims``.

    ``uv`` and ``cv`` are the versions of user and client it was made from; a token without them
    counts as version 0, which the first kill of that user or client ends.
    """

    iss: str
    sub: str
    aud: tuple[str, ...]
    exp: float
    iat: float
    jti: str
    client_id: str
    nbf: float | None
    sid: str | None
    scope: tuple[str, ...]
    roles: tuple[str, ...]
    uv: int
    cv: int
    kid: str
    payload: bytes
    admin: bool = False
    """Whether the claim ``admin`` is the boolean ``true``."""
    user_name: object = None
    """The claim that makes the token the password of a temporary Basic pair; ``None``: it is a bearer token."""
    jkt: str | None = None
    """The thumbprint of the key in ``cnf``, of which whoever shows the token must give proof (RFC 7800 3.2)."""
    actors: tuple[tuple[str, int], ...] = ()
    """The users of the ``act`` chain, outermost first, with the version each was read at (RFC 8693 4.1)."""

    @property
    def claims(self) -> dict[str, Any]:
        """Every claim, each time a copy."""
        claims: dict[str, Any] = _decode(self.payload)
        return claims

    def __repr__(self) -> str:
        return f"AccessToken(sub={self.sub!r}, client_id={self.client_id!r}, jti={self.jti!r})"


def signed_audience(audience: str) -> str:
    """The ``aud`` of a token for *audience* that is bound to a signing key.

    Anybody may have such a token, and many a library does not look at ``cnf``: whoever cannot ask for the proof must
    not find his own name in it (RFC 7519 4.1.3).
    """
    return _SIGNED + audience


def issue(claims: Mapping[str, Any], key: Key) -> str:
    """Sign *claims* as an access token with *key* (RFC 9068 2)."""
    signed = signing_input(claims, key)
    return jws.complete(signed, key.sign(signed.encode()))


def signing_input(claims: Mapping[str, Any], key: Key) -> str:
    """*claims* as what *key* is to sign as an access token (RFC 9068 2.1)."""
    return jws.signing_input(msgspec.json.encode(claims), key, typ=TYP)


def verify(
    token: str | bytes,
    keys: KeySet,
    *,
    issuer: str,
    audience: str,
    algorithms: Collection[str],
    now: float,
    leeway: float = 0,
    ahead: float = 0,
    max_size: int = MAX_SIZE,
    bound: bool = False,
) -> AccessToken:
    """Check *token* whole: form, signature, type, issuer, audience, times (RFC 9068 4).

    Args:
        token: the compact serialization.
        keys: the issuer's keys; one key one algorithm.
        issuer: the ``iss`` demanded, byte by byte.
        audience: the value ``aud`` must hold; of a token that is bound, its ``signed_audience``.
        algorithms: the allow-list; the token never widens it.
        now: seconds since the epoch.
        leeway: seconds of clock difference forgiven.
        ahead: seconds by which the issuer's clock is known to be ahead, for ``iat`` and ``nbf``.
        max_size: bytes above which a token is refused unread.
        bound: whether the caller asks for the proof that a token with ``jkt`` takes; nobody else gets one.

    Raises:
        InvalidToken: for every other byte string.
    """
    _, payload, key = jws.verify(token, keys, typ=TYP, algorithms=algorithms, max_size=max_size)
    found = read(payload, kid=key.kid)
    if found.jkt is not None:
        if not bound:
            raise InvalidToken(_BOUND)
        audience = signed_audience(audience)
    jwt.check_issuer(found.iss, issuer)
    jwt.check_audience(found.aud, audience)
    jwt.check_times(exp=found.exp, iat=found.iat, nbf=found.nbf, now=now, leeway=leeway, ahead=ahead)
    return found


def read(payload: bytes, *, kid: str = "") -> AccessToken:
    """Give the claims of an access token their types (RFC 9068 2.2); says nothing about who signed them.

    Raises:
        InvalidToken: they are no strict JSON, a demanded claim is absent, or one is of the wrong type.
    """
    try:
        plain = _decode_plain(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _read_any(payload, kid)
    if _encode(plain) != payload:
        return _read_any(payload, kid)
    return AccessToken(
        plain.iss,
        plain.sub,
        (plain.aud,) if isinstance(plain.aud, str) else plain.aud,
        plain.exp,
        plain.iat,
        plain.jti,
        plain.client_id,
        None if plain.nbf is UNSET else plain.nbf,
        None if plain.sid is UNSET else plain.sid,
        scope_words(plain.scope) if plain.scope else (),
        plain.roles or (),
        plain.uv or 0,
        plain.cv or 0,
        kid,
        payload,
    )


def _read_any(payload: bytes, kid: str) -> AccessToken:
    claims = parse_json_object(payload)
    get = claims.get
    jkt = _thumbprint(claims["cnf"]) if "cnf" in claims else None
    if jkt is not None and BASIC_USERNAME in claims:
        raise InvalidToken(_BOUND)
    scope, sid = get("scope", ""), get("sid")
    if type(scope) is not str:
        raise InvalidToken("the claim scope is not a string")
    if sid is not None and type(sid) is not str:
        raise InvalidToken("the claim sid is not a string")
    for name in _TEXTS:
        if type(get(name)) is not str or not claims[name]:
            raise InvalidToken(f"the claim {name} is missing or not a text")
    return AccessToken(
        iss=claims["iss"],
        sub=claims["sub"],
        aud=jwt.audiences(claims),
        exp=jwt.require_numeric_date(claims, "exp"),
        iat=jwt.require_numeric_date(claims, "iat"),
        nbf=jwt.numeric_date(claims, "nbf"),
        jti=claims["jti"],
        client_id=claims["client_id"],
        sid=sid,
        scope=scope_words(scope),
        roles=jwt.texts(get("roles")),
        uv=_version(claims, "uv"),
        cv=_version(claims, "cv"),
        kid=kid,
        payload=payload,
        admin=get("admin") is True,
        user_name=get(BASIC_USERNAME),
        jkt=jkt,
        actors=_actors(claims["act"]) if "act" in claims else (),
    )


_Text = Annotated[str, Meta(min_length=1)]
_Time = Annotated[int, Meta(ge=0, le=jwt.LATEST)]
_Version = Annotated[int, Meta(ge=0)]


class _Plain(msgspec.Struct, kw_only=True, gc=False):
    """The token that nearly all are: the claims that ours have, in our order, and no other.

    A payload that equals what this encodes to holds no name twice, nothing nested and no number of
    another kind, so that one comparison takes the place of all the checks a stranger's JSON needs.
    """

    iss: _Text
    sub: _Text
    aud: str | tuple[str, ...]
    exp: _Time
    iat: _Time
    nbf: _Time | UnsetType = UNSET
    jti: _Text
    client_id: _Text
    sid: str | UnsetType = UNSET
    scope: str | UnsetType = UNSET
    roles: tuple[str, ...] | UnsetType = UNSET
    auth_time: int | UnsetType = UNSET
    amr: list[str] | UnsetType = UNSET
    uv: _Version | UnsetType = UNSET
    cv: _Version | UnsetType = UNSET
    narrowed: bool | UnsetType = UNSET


_decode: Final = msgspec.json.Decoder().decode
_decode_plain: Final = msgspec.json.Decoder(_Plain).decode
_encode: Final = msgspec.json.Encoder().encode


def _version(claims: dict[str, Any], name: str) -> int:
    value = claims.get(name, 0)
    if type(value) is not int or value < 0:
        raise InvalidToken(f"the claim {name} is not a version")
    return value


def _thumbprint(confirmation: Any) -> str:
    # A proof we cannot check must not be waved through (RFC 7800 3, X-12): a public key is all that we can.
    jwk = confirmation.get("jwk") if isinstance(confirmation, dict) and len(confirmation) == 1 else None
    try:
        key = Key.parse(jwk or {})
    except InvalidKey:
        raise InvalidToken(_BOUND) from None
    if key.private:
        raise InvalidToken(_BOUND)
    return key.thumbprint()


def _actors(act: Any) -> tuple[tuple[str, int], ...]:
    found: list[tuple[str, int]] = []
    while act is not None:
        if not isinstance(act, dict) or not isinstance(act.get("sub"), str) or len(found) == _MAX_ACTORS:
            raise InvalidToken("the claim act is malformed")
        version = act.get("uv", 0)
        found.append((act["sub"], version if type(version) is int else 0))
        act = act.get("act")
    return tuple(found)
