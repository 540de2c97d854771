"""First-party endpoints under other paths and answer shapes, for clients that were written before the server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

import msgspec

from watchword.errors import WatchwordError
from watchword.jose.encoding import parse_json_object

__all__ = ["TUTORIALS", "Alias", "Aliases"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_BODY_LIMIT = 65_536
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Alias:
    """One endpoint under another name.

    Args:
        method: the HTTP method.
        path: where old clients call.
        target: the endpoint that answers.
        members: the old name of a request's member -> ours.
        answer: the old name of an answer's member -> ours; without it the answer stays as it is.
    """

    method: str
    path: str
    target: str
    members: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    answer: Mapping[str, str] = field(default_factory=lambda: _NOTHING)


_TOKEN = MappingProxyType({"token": "access_token"})

TUTORIALS = (
    Alias("POST", "/login", "/auth/login", answer=_TOKEN),
    Alias("GET", "/profile", "/auth/me"),
    Alias(
        "POST",
        "/api/users-sessions",
        "/auth/login",
        members=MappingProxyType({"Username": "username", "Password": "password"}),
        answer=_TOKEN,
    ),
    Alias("POST", "/api/v1/login", "/auth/login", answer=_TOKEN),
    Alias("POST", "/api/v1/logout", "/auth/logout"),
    Alias("GET", "/api/v1/findUser", "/auth/me"),
)
"""The paths that introductions to REST authentication print."""


@dataclass(frozen=True, slots=True)
class Aliases:
    """An ASGI app that answers the aliases and hands everything else on as it came.

    An alias decides nothing: the request is renamed, the endpoint answers it, the answer is renamed. A refusal
    is ``{"error", "message"}``, as such clients expect it.
    """

    app: App
    aliases: tuple[Alias, ...] = TUTORIALS
    _by_request: dict[tuple[str, str], Alias] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        found = {(alias.method, alias.path): alias for alias in self.aliases}
        object.__setattr__(self, "_by_request", found)

    def __call__(self, scope: Message, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer one request (ASGI 3)."""
        alias = self._by_request.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if alias is None:
            return self.app(scope, receive, send)
        return self._renamed(alias, scope, receive, send)

    async def _renamed(self, alias: Alias, scope: Message, receive: Receive, send: Send) -> None:
        # Without the server's extensions: the answer must come by way of ``send``, to be renamed.
        scope = {**scope, "path": alias.target, "raw_path": alias.target.encode(), "extensions": {}}
        if alias.members:
            body = await _read(receive)
            renamed = body if len(body) > _BODY_LIMIT else _rename_request(body, alias.members)
            scope["headers"] = _with_length(scope["headers"], len(renamed))
            receive = _once(renamed, receive)
        await self.app(scope, receive, _reshaping(alias, send))


async def _read(receive: Receive) -> bytes:
    """The body, or its beginning when it is longer than any endpoint takes."""
    body = b""
    while len(body) <= _BODY_LIMIT:
        message = await receive()
        if message["type"] != "http.request":
            break
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return body


def _once(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _rename_request(body: bytes, members: Mapping[str, str]) -> bytes:
    """The body under our names; one that is not plain JSON goes on as it is, and the endpoint refuses it."""
    try:
        given = parse_json_object(body)
    except WatchwordError:
        return body
    if any(name in given for name in members.values()):
        return body
    return msgspec.json.encode({members.get(name, name): value for name, value in given.items()})


def _rename_answer(status: int, body: bytes, answer: Mapping[str, str]) -> bytes:
    document = msgspec.json.decode(body) if body else {}
    if status >= 400:
        phrase = HTTPStatus(status).phrase
        return msgspec.json.encode({"error": phrase, "message": document.get("title", phrase)})
    return msgspec.json.encode({name: document[ours] for name, ours in answer.items() if ours in document})


def _with_length(headers: list[tuple[bytes, bytes]], length: int) -> list[tuple[bytes, bytes]]:
    kept = [(name, value) for name, value in headers if name.lower() != b"content-length"]
    return [*kept, (b"content-length", b"%d" % length)]


def _reshaping(alias: Alias, send: Send) -> Send:
    start: Message = {}
    body = b""

    async def reshape(message: Message) -> None:
        nonlocal body
        if message["type"] == "http.response.start":
            start.update(message)
            if start["status"] < 400 and not alias.answer:
                await send(message)
            return
        if start["status"] < 400 and not alias.answer:
            await send(message)
            return
        body += message.get("body", b"")
        if message.get("more_body", False):
            return
        renamed = _rename_answer(start["status"], body, alias.answer)
        headers = [
            (name, b"application/json" if name.lower() == b"content-type" else value)
            for name, value in _with_length(start["headers"], len(renamed))
        ]
        await send({**start, "headers": headers})
        await send({"type": "http.response.body", "body": renamed})

    return reshape
