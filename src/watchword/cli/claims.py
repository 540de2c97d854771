"""What a header and its claims give away to somebody who has read the RFCs (RFC 7519 4, 8725 3, 9068 2)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from watchword.cli.finding import Finding
from watchword.cli.moment import distance, words

__all__ = ["claim_findings", "header_findings"]

_TIMES: Final = ("exp", "nbf", "iat")
_KNOWN: Final = (
    "iss sub aud exp nbf iat jti client_id sid scope roles role admin auth_time acr amr azp nonce".split()
)
_SECRETS: Final = re.compile(r"pass(word|wd|phrase)?$|secret|pin$|credit|card_?number|ssn", re.IGNORECASE)
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:.|[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:\d+)?(/|\Z)")
_LONG: Final = 86_400
_MILLISECONDS: Final = 100_000_000_000
_LATEST: Final = 2**53
_KEY_SOURCES: Final = ("jku", "jwk", "x5u", "x5c")


def header_findings(header: Mapping[str, Any]) -> Iterator[Finding]:
    """What is odd about a header (RFC 7515 4.1)."""
    from watchword.jose.algorithms import ALGORITHMS

    alg, typ = header.get("alg"), header.get("typ")
    if not isinstance(alg, str):
        yield Finding("error", "alg", "the header names no algorithm (alg)", "alg")
    elif alg.lower() == "none":
        yield Finding(
            "error", "alg_none", "alg is none: it is not signed, and anybody can write such a token", "alg"
        )
    elif alg not in ALGORITHMS:
        yield Finding(
            "error", "alg", f"alg {alg} is not an algorithm for signatures that is known here", "alg"
        )
    elif alg.startswith("HS"):
        yield Finding(
            "warning",
            "shared_secret",
            f"{alg} works with a shared secret: whoever can check this token can also make one. "
            "It must never be at a client; a guard takes it only with keys of its own",
            "alg",
        )
    if typ is None:
        yield Finding(
            "note", "typ", "the header names no type; an access token says typ at+jwt (RFC 9068)", "typ"
        )
    elif not isinstance(typ, str) or typ.lower().removeprefix("application/") != "at+jwt":
        yield Finding(
            "note",
            "typ",
            f"typ is {typ}: no access token by RFC 9068 (at+jwt), and a guard refuses it",
            "typ",
        )
    if "kid" not in header:
        yield Finding(
            "note", "kid", "the header does not say which key signed (kid); rotation needs it", "kid"
        )
    for name in _KEY_SOURCES:
        if name in header:
            yield Finding(
                "warning",
                "key_source",
                f"{name} offers a key: never take the key from the token itself",
                name,
            )


def claim_findings(claims: Mapping[str, Any], header: Mapping[str, Any], now: float) -> Iterator[Finding]:
    """What is wrong or odd about claims, seen at *now*."""
    yield from _spelling(claims)
    yield from _expiry(claims, now)
    yield from _other_times(claims, now)
    yield from _parties(claims)
    for name, value in claims.items():
        if name == "admin" and not isinstance(value, bool):
            yield Finding(
                "warning", "admin", "admin is not true or false: a text is true to many a program", name
            )
        if _SECRETS.search(name):
            yield Finding(
                "warning", "secret", f"{name}: a signed token is readable by everybody who holds it", name
            )
    if str(header.get("typ", "")).lower().removeprefix("application/") == "at+jwt":
        for name in ("jti", "client_id", "sub", "iat"):
            if name not in claims:
                yield Finding("error", "missing", f"an access token must have {name} (RFC 9068 2.2)", name)


def _spelling(claims: Mapping[str, Any]) -> Iterator[Finding]:
    """Claims whose names are right but for their capitals: nobody reads them (RFC 7519 10.1.1)."""
    for name in claims:
        right = name.lower()
        if name == right or right not in _KNOWN or right in claims:
            continue
        if right == "exp":
            continue  # told with the expiry
        yield Finding("warning", "capitals", f"{name} is not {right}: names are case-sensitive", name)


def _expiry(claims: Mapping[str, Any], now: float) -> Iterator[Finding]:
    wrong = next((name for name in claims if name.lower() == "exp" and name != "exp"), None)
    if "exp" not in claims and wrong is not None:
        yield Finding(
            "error",
            "capitals",
            f"{wrong} is not exp: names are case-sensitive, nobody reads {wrong}, and this token never expires",
            wrong,
        )
        return
    if "exp" not in claims:
        yield Finding("error", "no_expiry", "there is no exp: this token never expires", "exp")
        return
    expires_at = _time(claims["exp"])
    if expires_at is None:
        yield _ill_typed("exp", claims["exp"])
        return
    if expires_at <= now:
        yield Finding("error", "expired", f"it expired {words(expires_at, now)}", "exp")
    issued_at = _time(claims.get("iat"))
    if issued_at is None:
        return
    if expires_at <= issued_at:
        yield Finding("error", "times", "it ends before it was issued", "exp")
    elif expires_at - issued_at > _LONG:
        yield Finding(
            "warning",
            "long_life",
            f"it lives {distance(expires_at - issued_at)}: a stolen one works as long; minutes are usual",
            "exp",
        )


def _other_times(claims: Mapping[str, Any], now: float) -> Iterator[Finding]:
    for name in ("nbf", "iat"):
        if name not in claims:
            continue
        moment = _time(claims[name])
        if moment is None:
            yield _ill_typed(name, claims[name])
        elif moment > now:
            what = "is not valid yet: it begins" if name == "nbf" else "says it was issued in the future:"
            yield Finding("error", "future", f"it {what} {words(moment, now)}", name)
    if "iat" not in claims:
        yield Finding("note", "missing", "there is no iat: nobody can tell how long it lives in all", "iat")


def _parties(claims: Mapping[str, Any]) -> Iterator[Finding]:
    named = next((name for name in claims if name.lower() == "iss"), None)
    if named is None:
        yield Finding("warning", "missing", "there is no iss: nobody knows who issued it", "iss")
    elif not isinstance(claims[named], str) or not _URI.match(claims[named]):
        yield Finding(
            "warning",
            "issuer",
            f"{named} looks like a user: iss says who issued the token, as a URL; whom it speaks of stands in sub",
            named,
        )
    if "sub" not in claims:
        yield Finding("warning", "missing", "there is no sub: nobody knows whom it speaks of", "sub")
    elif not isinstance(claims["sub"], str):
        yield Finding("error", "subject", "sub is not a text (RFC 7519 4.1.2)", "sub")
    audience = claims.get("aud")
    if audience is None:
        yield Finding(
            "warning",
            "missing",
            "there is no aud: every API that trusts the issuer takes it for its own",
            "aud",
        )
    elif not isinstance(audience, str) and not (
        isinstance(audience, list) and audience and all(isinstance(one, str) for one in audience)
    ):
        yield Finding(
            "error", "audience", "aud is neither a text nor a list of texts (RFC 7519 4.1.3)", "aud"
        )


def _time(value: object) -> float | None:
    """A NumericDate that can be one (RFC 7519 2)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MILLISECONDS:
        return None
    return value


def _ill_typed(name: str, value: object) -> Finding:
    if isinstance(value, int | float) and _MILLISECONDS < value <= _LATEST:
        return Finding("error", "milliseconds", f"{name} counts milliseconds; a token counts seconds", name)
    return Finding("error", "times", f"{name} is not a number of seconds since 1970", name)
