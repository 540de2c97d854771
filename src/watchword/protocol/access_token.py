"""The access token (RFC 9068): the one file that says how it is built and how it is checked.

Server and guard share it, so that what is signed and what is accepted cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec

from watchword.errors import InvalidToken
from watchword.jose import jws, jwt
from watchword.jose.encoding import parse_json_object
from watchword.jose.jwk import Key, KeySet
from watchword.protocol.scope import scope_words

__all__ = ["FIRST_PARTY_CLIENT_ID", "MAX_SIZE", "TYP", "AccessToken", "issue", "read", "verify"]

TYP: Final = "at+jwt"
FIRST_PARTY_CLIENT_ID: Final = "cli_first_party"
MAX_SIZE: Final = 8192
"""Bytes of an encoded token that anybody looks at (BCPbis 2, 3)."""
_TEXTS: Final = ("iss", "sub", "jti", "client_id")


class AccessToken(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A verified access token: its registered claims typed, the whole payload in ``claims``.

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
    nbf: float | None = None
    sid: str | None = None
    scope: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    uv: int = 0
    cv: int = 0
    kid: str = ""
    claims: dict[str, Any] = {}


def issue(claims: Mapping[str, Any], key: Key) -> str:
    """Sign *claims* as an access token with *key* (RFC 9068 2)."""
    return jws.sign(msgspec.json.encode(claims), key, typ=TYP)


def verify(
    token: str | bytes,
    keys: KeySet,
    *,
    issuer: str,
    audience: str,
    algorithms: Collection[str],
    now: float,
    leeway: float = 0,
    max_size: int = MAX_SIZE,
) -> AccessToken:
    """Check *token* whole: form, signature, type, issuer, audience, times (RFC 9068 4).

    Args:
        token: the compact serialization.
        keys: the issuer's keys; one key one algorithm.
        issuer: the ``iss`` demanded, byte by byte.
        audience: the value ``aud`` must hold.
        algorithms: the allow-list; the token never widens it.
        now: seconds since the epoch.
        leeway: seconds of clock difference forgiven.
        max_size: bytes above which a token is refused unread.

    Raises:
        InvalidToken: for every other byte string.
    """
    _, payload, key = jws.verify(token, keys, typ=TYP, algorithms=algorithms, max_size=max_size)
    found = read(parse_json_object(payload), kid=key.kid)
    jwt.check_issuer(found.iss, issuer)
    jwt.check_audience(found.aud, audience)
    jwt.check_times(exp=found.exp, iat=found.iat, nbf=found.nbf, now=now, leeway=leeway)
    return found


def read(claims: dict[str, Any], *, kid: str = "") -> AccessToken:
    """Give the claims of an access token their types (RFC 9068 2.2); says nothing about who signed them.

    Raises:
        InvalidToken: a demanded claim is absent, or one is of the wrong type.
    """
    if "cnf" in claims:
        # A proof we cannot check must not be waved through (RFC 7800 3, X-12).
        raise InvalidToken("the token is bound to a key whose proof is not supported here")
    get = claims.get
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
        claims=claims,
    )


def _version(claims: dict[str, Any], name: str) -> int:
    value = claims.get(name, 0)
    if type(value) is not int or value < 0:
        raise InvalidToken(f"the claim {name} is not a version")
    return value
