"""FastAPI: ``Depends(protect(guard))`` gives the caller, and the OpenAPI document says that a token is needed.

::

    guard = Guard("https://auth.example.com")

    @app.get("/me")
    def me(principal: Principal = Depends(protect(guard))): ...
"""

from __future__ import annotations

from typing import Any, Final

from watchword.errors import MissingCredentials, WatchwordError
from watchword.frameworks.need import needs
from watchword.frameworks.protection import Body, Protection, Refusal, Words, lacks_scope
from watchword.guard.guard import Guard
from watchword.guard.principal import Principal

with needs("fastapi"):
    from fastapi.openapi.models import HTTPBearer
    from fastapi.security import SecurityScopes
    from fastapi.security.base import SecurityBase
    from starlette.exceptions import HTTPException
    from starlette.requests import HTTPConnection
    from starlette.responses import Response
    from starlette.websockets import WebSocket

    from watchword.frameworks.starlette import authorization_of, deny, request_of, response_of

__all__ = ["Protect", "Refused", "protect"]

_HANDLERS: Final = "starlette.exception_handlers"


def protect(
    guard: Guard,
    *,
    scope: Words = (),
    role: Words = (),
    fresh: float | None = None,
    optional: bool = False,
    body: Body = "problem",
) -> Protect:
    """A dependency that gives the ``Principal``; with ``optional`` it gives ``None`` to a caller without credentials.

    The arguments are those of ``watchword.frameworks.asgi.protect``.

    Raises:
        ConfigurationError: an argument is not usable.
    """
    return Protect(Protection.parse(guard, scope=scope, role=role, fresh=fresh, optional=optional, body=body))


class Refused(HTTPException):
    """A refusal on its way to the client; an app that wants another answer registers a handler for it."""

    def __init__(self, refusal: Refusal, error: WatchwordError) -> None:
        super().__init__(refusal.status, error.description, dict(refusal.headers))
        self.refusal = refusal
        self.error = error


class Protect(SecurityBase):
    """The dependency. It reads the request itself: every dependency it had would cost more than a signature."""

    def __init__(self, protection: Protection) -> None:
        self.protection = protection
        self.model = HTTPBearer(bearerFormat="JWT", description="An access token (RFC 6750, RFC 9068)")
        self.scheme_name = "Bearer"

    async def __call__(self, connection: HTTPConnection, wanted: SecurityScopes) -> Any:
        """The caller of *connection*; scopes of a ``Security(…)`` around it are demanded, too.

        Raises:
            Refused: he may not.
        """
        protection = self.protection
        try:
            principal: Principal | None = await protection.authorize_async(
                authorization_of(connection), connection.scope["query_string"], request_of(connection)
            )
            if wanted.scopes and not (principal is not None and principal.has_scope(*wanted.scopes)):
                raise MissingCredentials if principal is None else lacks_scope(wanted.scopes)
        except WatchwordError as error:
            raise self._refused(connection, error) from None
        connection.state.principal = principal
        return principal

    def _refused(self, connection: HTTPConnection, error: WatchwordError) -> Refused:
        handlers = connection.scope.get(_HANDLERS)
        if handlers is not None:
            # An app says nothing of us at its start; the first refusal tells it how one is written.
            handlers[0].setdefault(Refused, _answer)
        return Refused(self.protection.refuse(error), error)


# FastAPI looks up the names of annotations in the function; a callable object keeps none.
Protect.__call__.__annotations__.update(connection=HTTPConnection, wanted=SecurityScopes)


async def _answer(connection: HTTPConnection, refused: Exception) -> Response | None:
    assert isinstance(refused, Refused)
    response = response_of(refused.refusal)
    if not isinstance(connection, WebSocket):
        return response
    await deny(connection, response)
    return None
