"""The protected header of a JWS and the rules it is held to (RFC 7515 4, RFC 7797 6, RFC 8725 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from watchword.errors import InvalidToken
from watchword.jose.encoding import decode_part, parse_json_object

__all__ = ["MAX_KID", "Header", "is_type", "parse_header"]

MAX_KID: Final = 256

_STANDARD: Final = frozenset(
    "alg jku jwk kid x5u x5c x5t x5t#S256 typ cty crit enc zip epk apu apv iv tag p2s p2c".split()
)
_MEDIA_TYPE: Final = "application/"


class Header(msgspec.Struct, frozen=True, gc=False):
    """A protected header that passed every check that needs no key."""

    alg: str
    kid: str | None
    typ: str | None
    members: dict[str, Any]

    @property
    def flat(self) -> bool:
        """Whether every member is a text, so that a copy of ``members`` shares nothing that can change."""
        return all(type(value) is str for value in self.members.values())


def parse_header(encoded: bytes) -> Header:
    """Read a header from its base64url, whose characters were checked (RFC 7515 5.2 steps 2-5).

    Raises:
        InvalidToken: it is no JSON object, or one of its parameters breaks a rule.
    """
    members = parse_json_object(decode_part(encoded))
    alg, kid, typ = members.get("alg"), members.get("kid"), members.get("typ")
    if not isinstance(alg, str) or not alg:
        raise InvalidToken("the header names no algorithm")
    if "kid" in members and (not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID):
        raise InvalidToken(f"the kid is not a text of 1 to {MAX_KID} characters")
    if "typ" in members and not isinstance(typ, str):
        raise InvalidToken("the type is not a text")
    if "b64" in members and members["b64"] is not True:
        raise InvalidToken("an unencoded payload is not supported")
    if "crit" in members:
        _check_crit(members)
    return Header(alg, kid, typ, members)


def is_type(found: str | None, typ: str) -> bool:
    """Whether *found* is the media type *typ*, without case and ``application/`` (RFC 7515 4.1.9).

    Only ASCII is folded: other letters that fold into ASCII ones are no spelling of a media type.
    """
    return found is not None and found.isascii() and found.lower().removeprefix(_MEDIA_TYPE) == typ


def _check_crit(members: Mapping[str, Any]) -> None:
    crit = members["crit"]
    if not isinstance(crit, list) or not crit or not all(isinstance(name, str) for name in crit):
        raise InvalidToken("crit is malformed")
    if len(set(crit)) != len(crit) or _STANDARD & set(crit) or not set(crit) <= members.keys():
        raise InvalidToken("crit is malformed")
    # No extension is understood here, so every critical one ends the reading (RFC 7515 4.1.11).
    raise InvalidToken("the header demands an extension that is not supported")
