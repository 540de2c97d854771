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

__all__ = ["FIRST_PARTY_CLIENT_ID", "MAX_SIZE", "TYP", "AccessToken", "issue", "read", "verify"]

TYP: Final = "at+jwt"
FIRST_PARTY_CLIENT_ID: Final = "cli_first_party"
MAX_SIZE: Final = 8192
"""Bytes of an encoded token that anybody looks at (BCPbis 2, 3)."""


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
    jwt.check_issuer(found.claims, issuer)
    jwt.check_audience(found.claims, audience)
    jwt.check_times(found.claims, now=now, leeway=leeway)
    return found


def read(claims: dict[str, Any], *, kid: str = "") -> AccessToken:
    """Give the claims of an access token their types (RFC 9068 2.2); says nothing about who signed them.

    Raises:
        InvalidToken: a demanded claim is absent, or one is of the wrong type.
    """
    if "cnf" in claims:
        # A proof we cannot check must not be waved through (RFC 7800 3, X-12).
        raise InvalidToken("the token is bound to a key whose proof is not supported here")
    aud = claims.get("aud")
    scope = claims.get("scope", "")
    roles = claims.get("roles", [])
    if not isinstance(scope, str):
        raise InvalidToken("the claim scope is not a string")
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        roles = []  # a role in any other shape is no role
    sid = claims.get("sid")
    if sid is not None and not isinstance(sid, str):
        raise InvalidToken("the claim sid is not a string")
    return AccessToken(
        iss=_text(claims, "iss"),
        sub=_text(claims, "sub"),
        aud=(aud,)
        if isinstance(aud, str)
        else tuple(a for a in aud if isinstance(a, str))
        if isinstance(aud, list)
        else (),
        exp=jwt.numeric_date(claims, "exp", required=True) or 0,
        iat=jwt.numeric_date(claims, "iat", required=True) or 0,
        nbf=jwt.numeric_date(claims, "nbf"),
        jti=_text(claims, "jti"),
        client_id=_text(claims, "client_id"),
        sid=sid,
        scope=tuple(scope.split()),
        roles=tuple(roles),
        uv=_version(claims, "uv"),
        cv=_version(claims, "cv"),
        kid=kid,
        claims=claims,
    )


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidToken(f"the claim {name} is missing or not a text")
    return value


def _version(claims: dict[str, Any], name: str) -> int:
    value = claims.get(name, 0)
    if type(value) is not int or value < 0:
        raise InvalidToken(f"the claim {name} is not a version")
    return value
