"""Flask: ``@protect(guard)`` under a route; ``current_principal()`` is the caller.

::

    guard = Guard("https://auth.example.com")

    @app.post("/topics")
    @protect(guard)
    def create():
        return {"author": current_principal().subject}

A function that does nothing protects everything: ``app.before_request(protect(guard)(lambda: None))``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, TypeVar

from watchword.errors import ConfigurationError, ContentTooLarge, WatchwordError
from watchword.frameworks.need import needs
from watchword.frameworks.protection import Body, Protection, Words, marked
from watchword.guard.guard import Guard
from watchword.guard.principal import Principal
from watchword.guard.request import EnvironRequest

with needs("flask"):
    from flask import Response, current_app, g, request
    from werkzeug.exceptions import RequestEntityTooLarge

__all__ = ["current_principal", "protect", "request_of"]

View = TypeVar("View", bound=Callable[..., Any])


def protect(
    guard: Guard,
    *,
    scope: Words = (),
    role: Words = (),
    fresh: float | None = None,
    optional: bool = False,
    body: Body = "problem",
) -> Callable[[View], Callable[..., Any]]:
    """A decorator for views, sync or not, and for the methods of a ``MethodView``.

    The arguments are those of ``watchword.frameworks.asgi.protect``.

    Raises:
        ConfigurationError: an argument is not usable, or what is decorated is no function.
    """
    protection = Protection.parse(guard, scope=scope, role=role, fresh=fresh, optional=optional, body=body)

    def decorate(view: View) -> Callable[..., Any]:
        if not callable(view) or isinstance(view, type):
            raise ConfigurationError("protect: decorate a function; a View class takes it in `decorators`")

        is_async = iscoroutinefunction(view)

        @wraps(view)
        def guarded(*arguments: Any, **more: Any) -> Any:
            # Each look at Flask's `request` costs as much as a verification of a token that is known.
            environ = request.environ
            query = environ.get("QUERY_STRING", "").encode("latin-1", "replace")
            try:
                g.principal = protection.authorize(
                    environ.get("HTTP_AUTHORIZATION"), query, request_of(environ)
                )
            except WatchwordError as error:
                refusal = protection.refuse(error)
                return Response(refusal.body, refusal.status, list(refusal.headers))
            if is_async:
                return current_app.ensure_sync(view)(*arguments, **more)
            return view(*arguments, **more)

        return marked(guarded, protection)

    return decorate


def request_of(environ: dict[str, Any]) -> EnvironRequest:
    """The current request, whose environment is *environ*, in the form that guards take."""
    return EnvironRequest(environ, request, _read)


def _read(source: Any, limit: int) -> bytes:
    # A body in chunks has no length that could be looked at first.
    source.max_content_length = min(limit, source.max_content_length or limit)
    try:
        body: bytes = source.get_data(cache=True)
    except RequestEntityTooLarge:
        raise ContentTooLarge(f"the body of a signed request has at most {limit} bytes") from None
    return body


def current_principal() -> Principal | None:
    """Who is calling; ``None`` when nobody is, or the view is not protected. The same as ``g.principal``."""
    principal: Principal | None = g.get("principal")
    return principal
