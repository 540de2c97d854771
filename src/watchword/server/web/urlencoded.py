"""Queries and forms (``application/x-www-form-urlencoded``), read in a time that is bounded by their size.

The library's own reading takes a step in Python for each percent sign, also where it escapes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from watchword.server.web.bounds import LONGEST, cut

__all__ = ["parse_fields"]

_FIELDS: Final = 50
"""Fields of one query or form at most."""
_SIGNS: Final = 8_192
"""Percent signs of all of them: twice what the longest password, name and token take together."""
_RAW: Final = 12 * (LONGEST + 1)
"""Bytes of one name or value that are read: a character takes four bytes, each of them three when it is escaped."""
_ESCAPES: Final = re.compile(rb"(?:%[0-9A-Fa-f]{2})+")
_DIGITS: Final = "0123456789ABCDEFabcdef"
_BYTES: Final = {f"%{high}{low}".encode(): bytes.fromhex(high + low) for high in _DIGITS for low in _DIGITS}


def parse_fields(raw: bytes) -> Mapping[str, str]:
    """The fields of *raw* by name, each cut to one character more than is ever wanted (``bounds.cut``).

    Raises:
        ValueError: a field came twice (RFC 6749 3.1), or there are very many of them, or of their escapes.
    """
    if raw.count(b"&") >= _FIELDS:
        raise ValueError("there are too many fields")
    if raw.count(b"%") > _SIGNS:
        raise ValueError("there are too many escapes")
    pairs = [item.partition(b"=") for item in raw.split(b"&") if item]
    found = {_text(name): _text(value) for name, _, value in pairs}
    if len(found) != len(pairs):
        raise ValueError("a field came twice")
    return found


def _text(raw: bytes) -> str:
    raw = raw[:_RAW].replace(b"+", b" ")
    if b"%" in raw:
        raw = _ESCAPES.sub(_unescape, raw)
    return cut(raw.decode("utf-8", "replace"))


def _unescape(found: re.Match[bytes]) -> bytes:
    # A run of many at once, and the single ones of ordinary text by a look-up.
    run = found[0]
    return _BYTES.get(run) or bytes.fromhex(run.replace(b"%", b"").decode())
