"""Strict base64url and strict JSON: one text, one meaning (RFC 7515 2, RFC 8259).

Two readers that take a text differently are the root of most token forgeries, so whatever has a
second reading is refused: padding, stray bits, a name twice, a number no float holds, a byte order mark.
"""

from __future__ import annotations

import json
import re
from binascii import b2a_base64
from typing import Any, Final

import msgspec

from watchword.errors import InvalidToken, WatchwordError

__all__ = [
    "ALPHABET",
    "decode_base64url",
    "decode_part",
    "encode_base64url",
    "parse_json",
    "parse_json_object",
    "without_mark",
]

MAX_DEPTH: Final = 16
MAX_DIGITS: Final = 20

ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
"""The 64 characters of base64url (RFC 4648 5)."""

_MARK: Final = b"\xef\xbb\xbf"
_TO_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_FROM_STANDARD: Final = bytes.maketrans(b"+/", b"-_")
_PADDING: Final = (b"", b"", b"==", b"=")
_LAST: Final = {2: frozenset(b"AQgw"), 3: frozenset(b"AEIMQUYcgkosw048")}
"""The last characters whose unused bits are zero, by length mod 4."""
_SHAPE: Final = bytes(
    0x30 if byte in b"0123456789" else 0x3A if byte in b":,[-" else 0x20 for byte in range(256)
)
_TOO_LONG: Final = b":" + b"0" * (MAX_DIGITS + 1)
"""How a number of too many digits looks in ``_SHAPE``; digits inside a text mostly follow a letter or a quote."""
_TEXT: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode
_decode_base64: Final = msgspec.json.Decoder(bytes).decode


def without_mark(text: bytes) -> bytes:
    """*text*, which somebody keeps in a file, without the byte order mark that Windows writes before it."""
    return text.removeprefix(_MARK)


def encode_base64url(data: bytes) -> str:
    """Encode without padding (RFC 7515 2)."""
    return b2a_base64(data).translate(_FROM_STANDARD, b"=\n").decode()


def decode_base64url(text: str | bytes) -> bytes:
    """Decode the one form ``encode_base64url`` writes (RFC 7515 2, appendix C).

    Raises:
        InvalidToken: any other character, padding, white space, or unused bits that are not zero.
    """
    if isinstance(text, str):
        try:
            text = text.encode("ascii")
        except UnicodeEncodeError:
            raise InvalidToken("not base64url") from None
    if text.translate(None, ALPHABET):
        raise InvalidToken("not base64url")
    return decode_part(text)


def decode_part(text: bytes) -> bytes:
    """Decode base64url whose characters were checked already, with the whole token they are a part of.

    Raises:
        InvalidToken: the length is none that encoding gives, or unused bits are not zero.
    """
    rest = len(text) & 3
    if rest and (rest == 1 or text[-1] not in _LAST[rest]):
        raise InvalidToken("not base64url")
    # msgspec reads the base64 of a JSON text in less than half the time of binascii.
    return _decode_base64(b'"%b%b"' % (text.translate(_TO_STANDARD), _PADDING[rest]))


def parse_json(data: bytes, *, max_depth: int = MAX_DEPTH, error: type[WatchwordError] = InvalidToken) -> Any:
    """Parse strict JSON: UTF-8 without a mark, no name twice, finite numbers of at most 20 digits.

    Args:
        data: the bytes.
        max_depth: how deep arrays and objects may nest.
        error: the class raised.

    Raises:
        WatchwordError: of class *error*, for every other byte string.
    """
    # A text with few brackets cannot be deep; only others pay for counting.
    if data.count(b"[") + data.count(b"{") > max_depth and _depth(data, max_depth) > max_depth:
        raise error("the JSON is nested too deep")
    try:
        found = _decode(data)
        if _encode(found) == data:
            # What we would write ourselves has no name twice; that it holds no long number is left to see.
            shape = data.translate(_SHAPE)
            if _TOO_LONG in shape or shape.startswith(_TOO_LONG[1:]):
                return _parse_slowly(data)
            return found
        return _parse_slowly(data)
    except (ValueError, RecursionError, OverflowError, msgspec.MsgspecError):
        raise error("not strict JSON") from None


def parse_json_object(
    data: bytes, *, max_depth: int = MAX_DEPTH, error: type[WatchwordError] = InvalidToken
) -> dict[str, Any]:
    """Parse strict JSON that must be an object.

    Raises:
        WatchwordError: of class *error*, for everything else.
    """
    found = parse_json(data, max_depth=max_depth, error=error)
    if type(found) is not dict:
        raise error("not a JSON object")
    return found


def _parse_slowly(data: bytes) -> Any:
    # msgspec has read the text: it is UTF-8 without a mark, holds no NaN and no number beyond every float.
    return json.loads(data.decode("utf-8"), object_pairs_hook=_object, parse_int=_integer)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice")
    return found


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > MAX_DIGITS:
        raise ValueError("too many digits")
    return int(text)


def _depth(data: bytes, limit: int) -> int:
    """How deep the brackets outside texts nest; stops past *limit*."""
    depth = deepest = 0
    for byte in _TEXT.sub(b"", data).translate(None, _NO_BRACKETS):
        if byte in b"]}":
            depth -= 1
            continue
        depth += 1
        if depth > deepest:
            deepest = depth
            if deepest > limit:
                break
    return deepest
