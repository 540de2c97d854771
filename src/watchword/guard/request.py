"""A request as a guard sees it: one form from every framework, read only where a credential needs more than one field.

Each form is a wrapper that holds what the framework has and looks at nothing by itself, so that a bearer token pays
for one small object. ``scheme`` and ``authority`` are what the client or a proxy said: no decision may rest on them.
What an API is called is a setting of its guard.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from io import BytesIO
from typing import Any, Final, Protocol
from urllib.parse import quote, unquote_to_bytes, urlsplit

import msgspec

from watchword.errors import ConfigurationError, ContentTooLarge, InvalidRequest
from watchword.protocol.cookie import cookie_values

__all__ = [
    "MAX_BODY",
    "EnvironRequest",
    "PlainRequest",
    "Request",
    "ScopeRequest",
    "check_size",
    "collect",
    "read_input",
]

MAX_BODY: Final = 1024 * 1024
"""Bytes of a body that are read before a view runs, where its digest has to be known."""

_PCHAR: Final = "/!$&'()*+,;=:@~-._"
_TEXT: Final = "latin-1"
_AROUND: Final = " \t"
"""What may stand around a field's value and isn't part of it; not every server takes it off (RFC 9110 5.5)."""
_IDENTITY: Final = "watchword.request"
"""Where the object stands; no header field can take this name."""


class Request(Protocol):
    """What the guard may ask of a request; nothing is read before it does."""

    @property
    def method(self) -> str:
        """The method (RFC 9110 9)."""

    @property
    def scheme(self) -> str:
        """``http`` or ``https``, as the server sees it."""

    @property
    def authority(self) -> str:
        """The value of ``Host``, as the client sent it; empty without one."""

    @property
    def path(self) -> str:
        """The path, percent-encoded, as the client sent it."""

    @property
    def query(self) -> str:
        """The query as it came, without its question mark; empty without one."""

    @property
    def handshake(self) -> bool:
        """Whether it opens a websocket (RFC 6455 4.1)."""

    @property
    def identity(self) -> object:
        """What tells this request from every other, however many protections look at it."""

    def values(self, name: str) -> list[str]:
        """Every value of the field *name*, in lower case, without spaces around it; WSGI joins them by a comma."""

    def cookies(self, name: str) -> list[str]:
        """Every value of the cookie *name*, in order: one that came twice is seen twice (RFC 6265 5.4)."""

    def body(self, limit: int = MAX_BODY) -> bytes:
        """The body, which the view can read again.

        Raises:
            ContentTooLarge: it has more than *limit* bytes.
            InvalidRequest: it cannot be had whole.
        """

    async def receive(self, limit: int = MAX_BODY) -> None:
        """Fetch the body, where that takes waiting; ``body`` then has it.

        Raises:
            ContentTooLarge, InvalidRequest: as ``body``.
        """


class PlainRequest(msgspec.Struct, eq=False, frozen=True):
    """A request without a framework: what a program read itself, or is about to send.

    Attributes:
        method: the method.
        url: the whole URL.
        fields: pairs of name and value, in any case.
        content: the body.
        identity: what tells this request from every other.
    """

    method: str
    url: str
    fields: tuple[tuple[str, str], ...] = ()
    content: bytes = b""
    identity: object = msgspec.field(default_factory=object)

    @property
    def scheme(self) -> str:
        """``http`` or ``https``."""
        return urlsplit(self.url).scheme

    @property
    def authority(self) -> str:
        """The value of ``Host``."""
        return urlsplit(self.url).netloc

    @property
    def path(self) -> str:
        """The path as it was sent."""
        return urlsplit(self.url).path or "/"

    @property
    def query(self) -> str:
        """The query as it was sent."""
        return urlsplit(self.url).query

    @property
    def handshake(self) -> bool:
        """Whether it opens a websocket."""
        return _upgrades(self.values("upgrade"))

    def values(self, name: str) -> list[str]:
        """Every value of one field."""
        return [value.strip(_AROUND) for other, value in self.fields if other.lower() == name]

    def cookies(self, name: str) -> list[str]:
        """Every value of one cookie."""
        return cookie_values(self.values("cookie"), name)

    def body(self, limit: int = MAX_BODY) -> bytes:
        """The body."""
        check_size(len(self.content), limit)
        return self.content

    async def receive(self, limit: int = MAX_BODY) -> None:
        """Fetch the body."""
        self.body(limit)


class ScopeRequest(msgspec.Struct, eq=False):
    """A request of ASGI, HTTP or the handshake of a websocket.

    Attributes:
        scope: the connection's scope.
        source: what *read* is given: for plain ASGI the callable ``receive``.
        read: fetches the body from it, at most so many bytes, and leaves it readable for the view.
        content: the body, once it was fetched.
    """

    scope: MutableMapping[str, Any]
    source: Any
    read: Callable[[Any, int], Awaitable[bytes]]
    content: bytes | None = None

    @property
    def method(self) -> str:
        """The method."""
        return str(self.scope.get("method", "GET"))

    @property
    def scheme(self) -> str:
        """``http`` or ``https``."""
        return str(self.scope.get("scheme", "http"))

    @property
    def authority(self) -> str:
        """The value of ``Host``."""
        return next(iter(self.values("host")), "")

    @property
    def path(self) -> str:
        """The path as it was sent."""
        return _path(self.scope.get("raw_path"), self.scope["path"])

    @property
    def query(self) -> str:
        """The query as it was sent."""
        return bytes(self.scope.get("query_string", b"")).decode(_TEXT)

    @property
    def handshake(self) -> bool:
        """Whether it opens a websocket."""
        return bool(self.scope["type"] == "websocket")

    @property
    def identity(self) -> object:
        """What tells this request from every other."""
        return self.scope.setdefault(_IDENTITY, object())

    def values(self, name: str) -> list[str]:
        """Every value of one field."""
        wanted = name.encode(_TEXT)
        fields = self.scope["headers"]
        return [bytes(value).decode(_TEXT).strip(_AROUND) for other, value in fields if other == wanted]

    def cookies(self, name: str) -> list[str]:
        """Every value of one cookie."""
        return cookie_values(self.values("cookie"), name)

    def body(self, limit: int = MAX_BODY) -> bytes:
        """The body."""
        if self.scope["type"] == "websocket":
            return b""
        if self.content is None:
            raise ConfigurationError("a body behind ASGI is waited for: use authenticate_async")
        check_size(len(self.content), limit)
        return self.content

    async def receive(self, limit: int = MAX_BODY) -> None:
        """Fetch the body."""
        if self.content is None and self.scope["type"] != "websocket":
            check_size(_length(next(iter(self.values("content-length")), "")), limit)
            self.content = await self.read(self.source, limit)


class EnvironRequest(msgspec.Struct, eq=False):
    """A request of WSGI, or of a framework that shows its requests as WSGI does.

    Attributes:
        environ: the environment.
        source: what *read* is given, where that is not the environment: the framework's request.
        read: fetches the body from it, at most so many bytes, and leaves it readable for the view.
        charset: how the path's bytes became the text that stands there; Django has them as UTF-8.
    """

    environ: dict[str, Any]
    source: Any = None
    read: Callable[[Any, int], bytes] | None = None
    charset: str = _TEXT

    @property
    def method(self) -> str:
        """The method."""
        return str(self.environ["REQUEST_METHOD"])

    @property
    def scheme(self) -> str:
        """``http`` or ``https``."""
        return str(self.environ.get("wsgi.url_scheme", "http"))

    @property
    def authority(self) -> str:
        """The value of ``Host``."""
        return str(self.environ.get("HTTP_HOST", ""))

    @property
    def path(self) -> str:
        """The path as it was sent."""
        executed = self.environ.get("SCRIPT_NAME", "") + self.environ.get("PATH_INFO", "")
        scope = getattr(self.source, "scope", None)  # Django served by ASGI
        if scope is not None:
            return _path(scope.get("raw_path"), scope["path"])
        sent = self.environ.get("RAW_URI") or self.environ.get("REQUEST_URI") or ""
        return _path(
            sent.partition("?")[0].encode(_TEXT, "replace"), executed.encode(self.charset, "replace")
        )

    @property
    def query(self) -> str:
        """The query as it was sent."""
        return str(self.environ.get("QUERY_STRING", ""))

    @property
    def handshake(self) -> bool:
        """Whether it opens a websocket."""
        return _upgrades(self.values("upgrade"))

    @property
    def identity(self) -> object:
        """What tells this request from every other."""
        return self.environ.setdefault(_IDENTITY, object())

    def values(self, name: str) -> list[str]:
        """Every value of one field."""
        key = name.upper().replace("-", "_")
        value = self.environ.get(key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key)
        return [] if value is None else [str(value).strip(_AROUND)]

    def cookies(self, name: str) -> list[str]:
        """Every value of one cookie."""
        return cookie_values(self.values("cookie"), name)

    def body(self, limit: int = MAX_BODY) -> bytes:
        """The body."""
        length = _length(self.environ.get("CONTENT_LENGTH") or "")
        check_size(length, limit)
        content = read_input(self.environ, limit) if self.read is None else self.read(self.source, limit)
        check_size(len(content), limit)
        # Somebody may have read it before; of what he has read, nothing can be said any more.
        if len(content) < length or (not content and "HTTP_TRANSFER_ENCODING" in self.environ):
            raise InvalidRequest("the body was read before its digest could be checked")
        return content

    async def receive(self, limit: int = MAX_BODY) -> None:
        """Nothing: these servers and frameworks read when they are asked."""


async def collect(chunks: Any, limit: int) -> bytes:
    """The pieces of a body that is streamed, put together.

    Raises:
        ContentTooLarge: they have more than *limit* bytes.
    """
    found = bytearray()
    async for chunk in chunks:
        found += chunk
        check_size(len(found), limit)
    return bytes(found)


def read_input(environ: dict[str, Any], limit: int) -> bytes:
    """The body of a WSGI request, put back to be read again (PEP 3333).

    Raises:
        ContentTooLarge: it has more than *limit* bytes.
        InvalidRequest: its end cannot be known.
    """
    source = environ["wsgi.input"]
    if environ.get("CONTENT_LENGTH", "").strip(_AROUND):
        wanted = _length(environ["CONTENT_LENGTH"])
    elif environ.get("wsgi.input_terminated"):
        wanted = limit + 1
    elif "HTTP_TRANSFER_ENCODING" in environ:
        raise InvalidRequest("the length of the body is not known")
    else:
        return b""
    content = _exactly(source, wanted)
    check_size(len(content), limit)
    environ["wsgi.input"] = BytesIO(content)
    return content


def check_size(size: int, limit: int) -> None:
    """Check that a body of *size* bytes is within *limit*.

    Raises:
        ContentTooLarge: it is not.
    """
    if size > limit:
        raise ContentTooLarge(f"the body of a signed request has at most {limit} bytes")


def _exactly(source: Any, wanted: int) -> bytes:
    # A socket's file may give less than it is asked for without being at its end.
    found = bytearray()
    while len(found) < wanted and (piece := source.read(wanted - len(found))):
        found += piece
    return bytes(found)


def _length(value: str) -> int:
    value = value.strip(_AROUND)
    if value and not (value.isascii() and value.isdigit() and len(value) <= 18):
        raise InvalidRequest("the Content-Length is malformed")
    return int(value or 0)


def _path(sent: bytes | None, executed: str | bytes) -> str:
    """The path as it was sent, where it still is the one that was executed; else the latter, encoded anew."""
    if isinstance(executed, str):
        executed = executed.encode("utf-8", "surrogateescape")
    if sent and unquote_to_bytes(sent) == executed:
        return sent.decode(_TEXT)
    return quote(executed, _PCHAR) or "/"


def _upgrades(values: list[str]) -> bool:
    return any("websocket" in value.lower() for value in values)
