"""What an endpoint answers with, before it becomes ASGI messages."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

__all__ = [
    "ANSWER",
    "EMPTY",
    "JSON",
    "NO_STORE",
    "PROTECTIONS",
    "Field",
    "Response",
    "fields_of",
    "json_response",
    "lines_of",
    "page_response",
]

Field = tuple[bytes, bytes]

JSON: Final = "application/json"

PROTECTIONS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-site"),
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none';"
        b" frame-ancestors 'none'",
    ),
)
"""What every answer tells a browser: run nothing, show it in no frame, guess no type, tell nobody (ASVS 3.4)."""

ANSWER: Final = "watchword.answer"
"""The ASGI extension by which a connection of ours takes an answer whole: ``await answer(send, status, fields, body)``.

Through ``send`` it takes two messages, two writes and two packets, and every field is looked at again.
"""

_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: its bytes, or a stream of them.

    Attributes:
        status: the HTTP status.
        body: the whole body.
        media_type: its ``Content-Type``; empty where there is no body.
        headers: further fields.
        stream: in place of *body*: chunks as they come.
        cookies: ``Set-Cookie`` values, which may hold secrets.
    """

    status: int = 200
    body: bytes = b""
    media_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    stream: AsyncIterator[bytes] | None = None
    cookies: tuple[str, ...] = field(default=(), repr=False)


NO_STORE: Final = {"Cache-Control": "no-store"}

EMPTY: Final = Response(204, media_type="", headers=NO_STORE)
"""Done, and nothing to say."""


def fields_of(response: Response) -> list[Field]:
    """The fields that *response* itself brings, as ASGI takes them.

    Raises:
        ValueError: a value holds a line break or the like, and would become a field of its own (RFC 9110 5.5).
    """
    named = [("Content-Type", response.media_type)] if response.media_type else []
    named += response.headers.items()
    for _, value in named:
        if _CONTROL.search(value):
            raise ValueError("a field holds a control character")
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in named]


def lines_of(fields: Iterable[Field]) -> bytes:
    """*fields* as they stand on the wire (RFC 9112 5)."""
    return b"".join([b"%s: %s\r\n" % field for field in fields])


def json_response(value: Any, status: int = 200, *, headers: Mapping[str, str] = NO_STORE) -> Response:
    """*value* as JSON; not to be stored unless *headers* say otherwise (RFC 6749 5.1)."""
    return Response(status, _encode(value), JSON, headers)


def page_response(html: str, status: int = 200, *, headers: Mapping[str, str] = NO_STORE) -> Response:
    """*html* as a page."""
    return Response(status, html.encode(), "text/html; charset=utf-8", headers)
