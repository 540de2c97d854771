"""Any WSGI application: ``protect(guard)(app)`` lets in only requests with a good token (PEP 3333).

::

    from watchword import Guard
    from watchword.frameworks.wsgi import protect

    application = protect(Guard("https://auth.example.com"))(application)

The caller stands in ``environ["watchword.principal"]``, a name that no header field can take.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Final

from watchword.errors import WatchwordError
from watchword.frameworks.protection import Body, Protection, Words, marked
from watchword.guard.guard import Guard
from watchword.guard.request import EnvironRequest

__all__ = ["PRINCIPAL", "Application", "Protected", "protect"]

PRINCIPAL: Final = "watchword.principal"

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


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

    The arguments are those of ``watchword.frameworks.asgi.protect``.

    Raises:
        ConfigurationError: an argument is not usable.
    """
    protection = Protection.parse(guard, scope=scope, role=role, fresh=fresh, optional=optional, body=body)
    return marked(lambda app: Protected(app, protection), protection)


class Protected:
    """An application behind a guard."""

    __slots__ = ("app", "protection")

    def __init__(self, app: Application, protection: Protection) -> None:
        self.app = app
        self.protection = protection

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        query = environ.get("QUERY_STRING", "").encode("latin-1", "replace")
        try:
            principal = self.protection.authorize(
                environ.get("HTTP_AUTHORIZATION"), query, EnvironRequest(environ)
            )
        except WatchwordError as error:
            refusal = self.protection.refuse(error)
            status = HTTPStatus(refusal.status)
            start_response(f"{status.value} {status.phrase}", list(refusal.headers))
            # Some servers send whatever they are given, and an answer to HEAD has no body (RFC 9110 9.3.2).
            return [b"" if environ.get("REQUEST_METHOD") == "HEAD" else refusal.body]
        environ[PRINCIPAL] = principal
        return self.app(environ, start_response)
