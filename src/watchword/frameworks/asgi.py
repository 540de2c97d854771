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

from watchword.errors import WatchwordError
from watchword.frameworks.protection import Body, Protection, Refusal, Words, marked
from watchword.guard.guard import Guard

__all__ = ["Application", "Protected", "protect"]

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
        try:
            principal = await self.protection.authorize_async(header, scope.get("query_string", b""), scope)
        except WatchwordError as error:
            await _refuse(self.protection.refuse(error), scope, receive, send)
            return
        state = scope.get("state")
        if state is None:
            state = scope["state"] = {}
        state["principal"] = principal
        await self.app(scope, receive, send)


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
