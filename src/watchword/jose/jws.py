"""JSON Web Signature, compact serialization only (RFC 7515 3.1, 5, 7.1)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec

from watchword.errors import InvalidToken
from watchword.jose.encoding import ALPHABET, decode_part, encode_base64url
from watchword.jose.header import Header, is_type, parse_header
from watchword.jose.jwk import Key, KeySet

__all__ = ["MAX_SIZE", "ParsedJws", "complete", "parse", "sign", "signing_input", "verify"]

MAX_SIZE: Final = 8192
_BAD: Final = "the signature does not verify"
_FORM: Final = "the token is not a compact JWS"


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
    signed = signing_input(payload, key, typ=typ, header=header)
    return complete(signed, key.sign(signed.encode()))


def signing_input(payload: bytes, key: Key, *, typ: str, header: Mapping[str, Any] | None = None) -> str:
    """What *key* is to sign: header and payload, encoded (RFC 7515 5.1 steps 1-5)."""
    if header is None:
        encoded = key.headers.get(typ)
        if encoded is None:
            encoded = key.headers[typ] = _encode_header(key, typ, {})
    else:
        encoded = _encode_header(key, typ, header)
    return f"{encoded}.{encode_base64url(payload)}"


def complete(signed: str, signature: bytes) -> str:
    """The compact serialization of a ``signing_input`` and its signature (RFC 7515 5.1 step 7)."""
    return f"{signed}.{encode_base64url(signature)}"


def parse(token: str | bytes, *, max_size: int = MAX_SIZE) -> ParsedJws:
    """Take a compact JWS apart, refusing every other form (RFC 7515 5.2 steps 1-7).

    Raises:
        InvalidToken: it is too long, of another serialization, or its header breaks a rule.
    """
    encoded, payload, signed, signature = _split(token, max_size)
    header = parse_header(encoded)
    return ParsedJws(
        header.alg,
        header.kid,
        header.typ,
        header.members,
        decode_part(payload),
        signed,
        decode_part(signature),
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
    encoded, payload, signed, signature = _split(token, max_size)
    # A fleet has a handful of headers. Only what a signature has covered is remembered, so no stranger fills the table.
    known = keys.headers.get(encoded)
    header = parse_header(encoded) if known is None else known[0]
    if header.alg not in algorithms:
        raise InvalidToken("the algorithm is not allowed")
    if typ is not None and header.typ != typ and not is_type(header.typ, typ):
        raise InvalidToken(f"the token is not of type {typ}")
    key = _key(header, keys) if known is None else known[1]
    if not key.verify(decode_part(signature), signed):
        raise InvalidToken(_BAD)
    if known is None:
        keys.remember(encoded, header, key)
    return header.members.copy(), decode_part(payload), key


def _split(token: str | bytes, max_size: int) -> tuple[bytes, bytes, bytes, bytes]:
    """Header, payload, signing input and signature of a compact JWS, still encoded."""
    if not isinstance(token, (str, bytes)):
        raise InvalidToken("the token is not a text")
    if len(token) > max_size:
        raise InvalidToken("the token is too long")
    try:
        raw = token.encode("ascii") if isinstance(token, str) else token
    except UnicodeEncodeError:
        raise InvalidToken(_FORM) from None
    rest = raw.translate(None, ALPHABET)
    if rest == b"....":
        raise InvalidToken("the token is encrypted and no key to decrypt it is configured")
    if rest != b"..":
        raise InvalidToken(_FORM)
    signed, _, signature = raw.rpartition(b".")
    encoded, _, payload = signed.partition(b".")
    if not encoded or not signature:
        raise InvalidToken(_FORM)
    return encoded, payload, signed, signature


def _key(header: Header, keys: KeySet) -> Key:
    if header.kid is not None:
        key = keys.get(header.kid)
        if key is None:
            raise InvalidToken("the signing key is not known")
    else:
        fitting = [key for key in keys if header.alg in key.algorithms]
        if len(fitting) != 1:
            raise InvalidToken("the token does not name its key")
        key = fitting[0]
    if header.alg not in key.algorithms:
        raise InvalidToken("the algorithm is not the one of the key")
    return key


def _encode_header(key: Key, typ: str, more: Mapping[str, Any]) -> str:
    return encode_base64url(msgspec.json.encode({"alg": key.algorithm, "typ": typ, "kid": key.kid, **more}))
