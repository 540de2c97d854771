"""The claims of a JSON Web Token and the rules they are held to (RFC 7519 4.1, RFC 8725 3)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from watchword.errors import InvalidToken

__all__ = [
    "LATEST",
    "audiences",
    "check_audience",
    "check_issuer",
    "check_times",
    "numeric_date",
    "require_numeric_date",
    "texts",
]

LATEST: Final = 2**53
"""The last moment that a NumericDate may name: the last whole number that every JSON reader holds exactly."""


def numeric_date(claims: Mapping[str, Any], name: str) -> float | None:
    """A NumericDate claim, ``None`` where it is absent: a JSON number within 0..2^53 (RFC 7519 2).

    Raises:
        InvalidToken: it is there and is anything but such a number.
    """
    return require_numeric_date(claims, name) if name in claims else None


def require_numeric_date(claims: Mapping[str, Any], name: str) -> float:
    """A NumericDate claim that must be there (RFC 7519 2).

    Raises:
        InvalidToken: it is absent, or anything but a number within 0..2^53.
    """
    value = claims.get(name)
    # A bool is an int to isinstance; to JSON it is none.
    if (type(value) is int or type(value) is float) and 0 <= value <= LATEST:
        return value
    raise InvalidToken(f"the claim {name} is {'not a time' if name in claims else 'missing'}")


def audiences(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """The claim ``aud``: a text, or an array of texts; of any other shape it names nobody (RFC 7519 4.1.3)."""
    aud = claims.get("aud")
    return (aud,) if type(aud) is str else texts(aud)


def texts(value: object) -> tuple[str, ...]:
    """The members of an array of texts; of any other shape none, because half of it would be a guess."""
    if type(value) is not list:
        return ()
    for one in value:
        if type(one) is not str:
            return ()
    return tuple(value)


class WrongTime(InvalidToken):
    """The token is expired, not valid yet, or issued in the future."""


def check_times(
    *, exp: float, iat: float, nbf: float | None = None, now: float, leeway: float = 0, ahead: float = 0
) -> None:
    """Check ``exp``, ``nbf`` and ``iat`` against *now*, all in seconds (RFC 7519 4.1.4-6).

    Args:
        exp: the token's end.
        iat: when it was issued.
        nbf: when it begins.
        now: seconds since the epoch.
        leeway: seconds of clock difference forgiven.
        ahead: seconds by which the issuer's clock is known to be ahead, for what it dates.

    Raises:
        WrongTime: the token is expired, not valid yet, or issued in the future.
    """
    if exp + leeway <= now:
        raise WrongTime("the token has expired")
    if nbf is not None and nbf - leeway > now + ahead:
        raise WrongTime("the token is not valid yet")
    if iat - leeway > now + ahead:
        raise WrongTime("the token was issued in the future")


def check_issuer(iss: object, issuer: str) -> None:
    """Check that *iss* is *issuer*, byte by byte (RFC 7519 4.1.1).

    Raises:
        InvalidToken: it is not.
    """
    if iss != issuer:
        raise InvalidToken("the token is from another issuer")


def check_audience(aud: Collection[str], audience: str) -> None:
    """Check that *audience* is one of those that *aud* names (RFC 7519 4.1.3).

    Raises:
        InvalidToken: it is not.
    """
    if audience not in aud:
        raise InvalidToken("the token is for another audience")
