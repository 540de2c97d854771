"""What an endpoint answers with, before it becomes ASGI messages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

__all__ = ["EMPTY", "JSON", "NO_STORE", "PROTECTIONS", "Response", "json_response", "page_response"]

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
    """

    status: int = 200
    body: bytes = b""
    media_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    stream: AsyncIterator[bytes] | None = None


NO_STORE: Final = {"Cache-Control": "no-store"}

EMPTY: Final = Response(204, media_type="", headers=NO_STORE)
"""Done, and nothing to say."""


def json_response(value: Any, status: int = 200, *, headers: Mapping[str, str] = NO_STORE) -> Response:
    """*value* as JSON; not to be stored unless *headers* say otherwise (RFC 6749 5.1)."""
    return Response(status, _encode(value), JSON, headers)


def page_response(html: str, status: int = 200, *, headers: Mapping[str, str] = NO_STORE) -> Response:
    """*html* as a page."""
    return Response(status, html.encode(), "text/html; charset=utf-8", headers)
