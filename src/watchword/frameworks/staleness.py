"""How old an API's news of revocations is, on each of its answers: ``Watchword-Staleness: 0.412``, in seconds.

::

    app = staleness.asgi(guard)(app)

It is not sent while the guard has heard nothing. What an API knows is no secret from its own callers, but few
need it; so nobody sends it unasked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from watchword.guard.guard import Guard

__all__ = ["HEADER", "asgi", "wsgi"]

HEADER: Final = "Watchword-Staleness"

Asgi = Callable[[Any, Any, Any], Awaitable[None]]
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def asgi(guard: Guard) -> Callable[[Asgi], Asgi]:
    """A wrapper that has an ASGI application say how old the news of *guard* is."""

    def wrap(app: Asgi) -> Asgi:
        async def answer(scope: Any, receive: Any, send: Any) -> None:
            async def told(message: Any) -> None:
                if message["type"] == "http.response.start" and (age := guard.staleness()) is not None:
                    field = (HEADER.lower().encode(), _seconds(age).encode())
                    message = {**message, "headers": [*message.get("headers", ()), field]}
                await send(message)

            await app(scope, receive, told)

        return answer

    return wrap


def wsgi(guard: Guard) -> Callable[[Wsgi], Wsgi]:
    """The same for a WSGI application."""

    def wrap(app: Wsgi) -> Wsgi:
        def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            def told(status: str, headers: list[tuple[str, str]], *fault: Any) -> Any:
                age = guard.staleness()
                said = [] if age is None else [(HEADER, _seconds(age))]
                return start_response(status, [*headers, *said], *fault)

            return app(environ, told)

        return answer

    return wrap


def _seconds(age: float) -> str:
    return f"{age:.3f}"
