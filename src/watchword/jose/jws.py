"""JSON Web Signature, compact serialization only (RFC 7515 3.1, 5, 7.1)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec

from watchword.errors import InvalidToken
from watchword.jose.encoding import decode_base64url, encode_base64url, parse_json_object
from watchword.jose.jwk import Key, KeySet

__all__ = ["MAX_SIZE", "ParsedJws", "parse", "sign", "verify"]

MAX_SIZE: Final = 8192
MAX_KID: Final = 256
_FORM: Final = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\Z")
_FIVE_PARTS: Final = re.compile(rb"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*){4}\Z")
_STANDARD: Final = frozenset(
    "alg jku jwk kid x5u x5c x5t x5t#S256 typ cty crit enc zip epk apu apv iv tag p2s p2c".split()
)
_HEADERS: Final[dict[bytes, Header]] = {}
_HEADERS_BOUND: Final = 256
_BAD: Final = "the signature does not verify"


class Header(msgspec.Struct, frozen=True, gc=False):
    """A protected header that passed every check."""

    alg: str
    kid: str | None
    typ: str | None
    members: dict[str, Any]


class ParsedJws(msgspec.Struct, frozen=True, gc=False):
    """A token taken apart; nothing about it is verified."""

    alg: str
    kid: str | None
    typ: str | None
    header: dict[str, Any]
    payload: bytes
    signing_input: bytes
    signature: bytes


def sign(payload: bytes, key: Key, *, typ: str, header: Mapping[str, Any] | None = None) -> str:
    """Sign *payload* as a compact JWS whose header names algorithm, key and type (RFC 7515 5.1).

    Raises:
        InvalidKey: *key* is a public one.
    """
    if header is None:
        encoded = key.headers.get(typ)
        if encoded is None:
            encoded = key.headers[typ] = _encode_header(key, typ, {})
    else:
        encoded = _encode_header(key, typ, header)
    signed = f"{encoded}.{encode_base64url(payload)}"
    return f"{signed}.{encode_base64url(key.sign(signed.encode()))}"


def parse(token: str | bytes, *, max_size: int = MAX_SIZE) -> ParsedJws:
    """Take a compact JWS apart, refusing every other form (RFC 7515 5.2 steps 1-7).

    Raises:
        InvalidToken: it is too long, of another serialization, or its header breaks a rule.
    """
    raw = _octets(token, max_size)
    if not _FORM.match(raw):
        if _FIVE_PARTS.match(raw):
            raise InvalidToken("the token is encrypted and no key to decrypt it is configured")
        raise InvalidToken("the token is not a compact JWS")
    first, last = raw.index(b"."), raw.rindex(b".")
    header = _header(raw[:first])
    return ParsedJws(
        header.alg,
        header.kid,
        header.typ,
        header.members,
        decode_base64url(raw[first + 1 : last]),
        raw[:last],
        decode_base64url(raw[last + 1 :]),
    )


def verify(
    token: str | bytes,
    keys: KeySet,
    *,
    typ: str | None,
    algorithms: Collection[str],
    max_size: int = MAX_SIZE,
) -> tuple[dict[str, Any], bytes, Key]:
    """Verify a compact JWS and return header, payload and the key that signed it (RFC 7515 5.2).

    Args:
        token: the serialization.
        keys: the keys to choose from, by ``kid``; nothing in the token supplies one.
        typ: the type demanded, compared as a media type; ``None`` takes any.
        algorithms: the allow-list.
        max_size: bytes above which nothing is read.

    Raises:
        InvalidToken: for every other byte string.
    """
    parsed = parse(token, max_size=max_size)
    if parsed.alg not in algorithms:
        raise InvalidToken("the algorithm is not allowed")
    if typ is not None and parsed.typ != typ and _media_type(parsed.typ) != typ:
        raise InvalidToken(f"the token is not of type {typ}")
    key = _key(parsed, keys)
    if not key.verify(parsed.signature, parsed.signing_input):
        raise InvalidToken(_BAD)
    return parsed.header, parsed.payload, key


def _key(parsed: ParsedJws, keys: KeySet) -> Key:
    if parsed.kid is not None:
        key = keys.get(parsed.kid)
        if key is None:
            raise InvalidToken("the signing key is not known")
    else:
        fitting = [key for key in keys if parsed.alg in key.algorithms]
        if len(fitting) != 1:
            raise InvalidToken("the token does not name its key")
        key = fitting[0]
    if parsed.alg not in key.algorithms:
        raise InvalidToken("the algorithm is not the one of the key")
    return key


def _octets(token: str | bytes, max_size: int) -> bytes:
    if isinstance(token, str):
        if len(token) > max_size:
            raise InvalidToken("the token is too long")
        try:
            return token.encode("ascii")
        except UnicodeEncodeError:
            raise InvalidToken("the token is not a compact JWS") from None
    if not isinstance(token, bytes) or len(token) > max_size:
        raise InvalidToken("the token is too long")
    return token


def _header(encoded: bytes) -> Header:
    # A fleet has a handful of headers; the table spares their parsing and is emptied when strangers fill it.
    found = _HEADERS.get(encoded)
    if found is None:
        found = _check_header(parse_json_object(decode_base64url(encoded)))
        if len(_HEADERS) >= _HEADERS_BOUND:
            _HEADERS.clear()
        if len(encoded) <= 512:
            _HEADERS[encoded] = found
    return found


def _check_header(header: dict[str, Any]) -> Header:
    alg, kid, typ = header.get("alg"), header.get("kid"), header.get("typ")
    if not isinstance(alg, str) or not alg:
        raise InvalidToken("the header names no algorithm")
    if "kid" in header and (not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID):
        raise InvalidToken("the kid is not a text of 1 to 256 characters")
    if "typ" in header and not isinstance(typ, str):
        raise InvalidToken("the type is not a text")
    if "b64" in header and header["b64"] is not True:
        raise InvalidToken("an unencoded payload is not supported")
    if "crit" in header:
        _check_crit(header)
    return Header(alg, kid, typ, header)


def _check_crit(header: dict[str, Any]) -> None:
    crit = header["crit"]
    if not isinstance(crit, list) or not crit or not all(isinstance(name, str) for name in crit):
        raise InvalidToken("crit is malformed")
    if len(set(crit)) != len(crit) or _STANDARD & set(crit) or not set(crit) <= header.keys():
        raise InvalidToken("crit is malformed")
    # No extension is understood here, so every critical one ends the reading (RFC 7515 4.1.11).
    raise InvalidToken("the header demands an extension that is not supported")


def _media_type(typ: str | None) -> str | None:
    if typ is None:
        return None
    lowered = typ.lower()
    return lowered.removeprefix("application/")


def _encode_header(key: Key, typ: str, more: Mapping[str, Any]) -> str:
    return encode_base64url(msgspec.json.encode({"alg": key.algorithm, "typ": typ, "kid": key.kid, **more}))
