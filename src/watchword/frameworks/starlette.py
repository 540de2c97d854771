"""Starlette: ``@protect(guard)`` on an endpoint; ``request.state.principal`` is the caller.

::

    @protect(guard, role="admin")
    async def pay(request): ...

A whole application is protected by ``watchword.frameworks.asgi``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, TypeVar

from watchword.errors import ConfigurationError, InvalidRequest, WatchwordError
from watchword.frameworks.need import needs
from watchword.frameworks.protection import Body, Protection, Refusal, Words, marked
from watchword.guard.guard import Guard
from watchword.guard.request import ScopeRequest, collect

with needs("starlette"):
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import Response
    from starlette.websockets import WebSocket

__all__ = ["authorization_of", "deny", "protect", "request_of", "response_of"]

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


def protect(
    guard: Guard,
    *,
    scope: Words = (),
    role: Words = (),
    fresh: float | None = None,
    optional: bool = False,
    body: Body = "problem",
) -> Callable[[Endpoint], Callable[..., Awaitable[Any]]]:
    """A decorator for endpoints: functions, sync or not, methods of an ``HTTPEndpoint``, websocket endpoints.

    The arguments are those of ``watchword.frameworks.asgi.protect``.

    Raises:
        ConfigurationError: an argument is not usable, or what is decorated is no endpoint function.
    """
    protection = Protection.parse(guard, scope=scope, role=role, fresh=fresh, optional=optional, body=body)

    def decorate(endpoint: Endpoint) -> Callable[..., Awaitable[Any]]:
        if not callable(endpoint) or isinstance(endpoint, type):
            raise ConfigurationError(
                "protect: decorate a function or a method; wrap an app with frameworks.asgi"
            )
        is_async = iscoroutinefunction(endpoint) or iscoroutinefunction(type(endpoint).__call__)

        @wraps(endpoint)
        async def guarded(*arguments: Any, **more: Any) -> Any:
            connection = _connection_of(arguments)
            try:
                principal = await protection.authorize_async(
                    authorization_of(connection), connection.scope["query_string"], request_of(connection)
                )
            except WatchwordError as error:
                response = response_of(protection.refuse(error))
                if isinstance(connection, WebSocket):
                    return await deny(connection, response)
                return response
            connection.state.principal = principal
            if is_async:
                return await endpoint(*arguments, **more)
            return await run_in_threadpool(endpoint, *arguments, **more)

        return marked(guarded, protection)

    return decorate


def _connection_of(arguments: tuple[Any, ...]) -> HTTPConnection:
    """The request among *arguments*: the first of a function's, the second of a method's."""
    for argument in arguments[:2]:
        if isinstance(argument, HTTPConnection):
            return argument
    raise TypeError("protect: the endpoint was called without a request")


def authorization_of(connection: HTTPConnection) -> str | list[str] | None:
    """The ``Authorization`` of a request: its value, all values when there are several, ``None`` without one."""
    values = [value for name, value in connection.scope["headers"] if name == b"authorization"]
    if len(values) == 1:
        return str(values[0], "latin-1")
    return [str(value, "latin-1") for value in values] or None


def request_of(connection: HTTPConnection) -> ScopeRequest:
    """*connection* in the form that guards take."""
    return ScopeRequest(connection.scope, connection, _read)


async def _read(request: Request, limit: int) -> bytes:
    try:
        body = await collect(request.stream(), limit)
    except RuntimeError:
        # FastAPI reads a form before its dependencies, and a form leaves no bytes behind.
        raise InvalidRequest("the body was read before its digest could be checked") from None
    # Where `Request.body` keeps it, and where it looks first.
    request._body = body
    return body


def response_of(refusal: Refusal) -> Response:
    """*refusal* as a response of Starlette."""
    return Response(refusal.body, refusal.status, dict(refusal.headers))


async def deny(websocket: WebSocket, response: Response) -> None:
    """Refuse a handshake: by *response* where the server can, else by closing, policy violation."""
    if "websocket.http.response" in (websocket.scope.get("extensions") or {}):
        await websocket.send_denial_response(response)
    else:
        await websocket.close(1008)
