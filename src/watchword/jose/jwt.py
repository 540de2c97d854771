"""The claims of a JSON Web Token and the rules they are held to (RFC 7519 4.1, RFC 8725 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from watchword.errors import InvalidToken

__all__ = ["check_audience", "check_issuer", "check_times", "numeric_date"]

_LATEST: Final = 2**53


def numeric_date(claims: Mapping[str, Any], name: str, *, required: bool = False) -> float | None:
    """A NumericDate claim: a JSON number of seconds, finite and within 0..2^53 (RFC 7519 2).

    Raises:
        InvalidToken: it is required and absent, or anything but such a number.
    """
    if name not in claims:
        if required:
            raise InvalidToken(f"the claim {name} is missing")
        return None
    value = claims[name]
    if (type(value) is not int and type(value) is not float) or not 0 <= value <= _LATEST:
        raise InvalidToken(f"the claim {name} is not a time")
    return value


def check_times(claims: Mapping[str, Any], *, now: float, leeway: float = 0) -> None:
    """Check ``exp``, ``nbf`` and ``iat`` against *now*, in seconds (RFC 7519 4.1.4-6).

    Raises:
        InvalidToken: it is expired, not valid yet, issued in the future, or has no ``exp`` or ``iat``.
    """
    expires_at = numeric_date(claims, "exp", required=True)
    if expires_at is None or expires_at + leeway <= now:
        raise InvalidToken("the token has expired")
    not_before = numeric_date(claims, "nbf")
    if not_before is not None and not_before - leeway > now:
        raise InvalidToken("the token is not valid yet")
    issued_at = numeric_date(claims, "iat", required=True)
    if issued_at is None or issued_at - leeway > now:
        raise InvalidToken("the token was issued in the future")


def check_issuer(claims: Mapping[str, Any], issuer: str) -> None:
    """Check that ``iss`` is *issuer*, byte by byte (RFC 7519 4.1.1).

    Raises:
        InvalidToken: it is not.
    """
    if claims.get("iss") != issuer:
        raise InvalidToken("the token is from another issuer")


def check_audience(claims: Mapping[str, Any], audience: str) -> None:
    """Check that ``aud`` is *audience* or an array of texts that holds it (RFC 7519 4.1.3).

    Raises:
        InvalidToken: it is not.
    """
    aud = claims.get("aud")
    if aud == audience and isinstance(aud, str):
        return
    if isinstance(aud, list) and audience in aud and all(isinstance(one, str) for one in aud):
        return
    raise InvalidToken("the token is for another audience")
