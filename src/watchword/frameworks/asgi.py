"""Any ASGI application: ``protect(guard)(app)`` lets in only requests with a good token (ASGI 3).

::

    from watchword import Guard
    from watchword.frameworks.asgi import protect

    app = protect(Guard("https://auth.example.com"))(app)

The caller stands in ``scope["state"]["principal"]``; Starlette and what is built on it show it as
``request.state.principal``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from watchword.errors import InvalidRequest, WatchwordError
from watchword.frameworks.protection import Body, Protection, Refusal, Words, marked
from watchword.guard.guard import Guard
from watchword.guard.request import ScopeRequest, check_size

__all__ = ["Application", "Protected", "protect", "replay", "request_of"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]

_DENIAL: Final = "websocket.http.response"
_POLICY_VIOLATION: Final = 1008


def protect(
    guard: Guard,
    *,
    scope: Words = (),
    role: Words = (),
    fresh: float | None = None,
    optional: bool = False,
    body: Body = "problem",
) -> Callable[[Application], Protected]:
    """A wrapper that puts *guard* in front of an application.

    Args:
        guard: who verifies.
        scope: words that the token's scope must hold, all of them.
        role: roles of which the caller must have one.
        fresh: seconds; how old the guard's news of revocations may be: when it is older, the issuer is asked,
            and without its answer the request is refused (503); 0: for each request.
        optional: whether a caller without credentials comes in; ``principal`` is then ``None``.
        body: the form of a refusal: ``problem`` (RFC 9457) or ``simple``.

    Raises:
        ConfigurationError: an argument is not usable.
    """
    protection = Protection.parse(guard, scope=scope, role=role, fresh=fresh, optional=optional, body=body)
    return marked(lambda app: Protected(app, protection), protection)


class Protected:
    """An application behind a guard. ``lifespan`` passes through."""

    __slots__ = ("app", "protection")

    def __init__(self, app: Application, protection: Protection) -> None:
        self.app = app
        self.protection = protection

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        values = [value for name, value in scope["headers"] if name == b"authorization"]
        header = values[0].decode("latin-1") if len(values) == 1 else values or None
        request = request_of(scope, receive)
        try:
            principal = await self.protection.authorize_async(header, scope.get("query_string", b""), request)
        except WatchwordError as error:
            await _refuse(self.protection.refuse(error), scope, receive, send)
            return
        state = scope.get("state")
        if state is None:
            state = scope["state"] = {}
        state["principal"] = principal
        await self.app(scope, replay(request, receive), send)


def request_of(scope: Message, receive: Receive) -> ScopeRequest:
    """The request in the form that guards take."""
    return ScopeRequest(scope, receive, _read)


def replay(request: ScopeRequest, receive: Receive) -> Receive:
    """A ``receive`` whose first message is the body of *request*, where that was fetched."""
    if request.content is None:
        return receive
    waiting: list[Message] = [{"type": "http.request", "body": request.content, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again


async def _read(receive: Receive, limit: int) -> bytes:
    found = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise InvalidRequest("the client left before the body was there")
        found += message.get("body", b"")
        check_size(len(found), limit)
        more = message.get("more_body", False)
    return bytes(found)


async def _refuse(refusal: Refusal, scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        kind = "http.response"
    else:
        await receive()  # the handshake, which is answered by its refusal
        if _DENIAL not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            return
        kind = _DENIAL
    await send({"type": f"{kind}.start", "status": refusal.status, "headers": refusal.raw_headers})
    await send({"type": f"{kind}.body", "body": refusal.body})
