"""Litestar: ``guards=[protect(guard)]`` on a handler, controller, router or app; ``request.user`` is the caller.

::

    @get("/me", guards=[protect(Guard("https://auth.example.com"))])
    async def me(request: Request) -> dict[str, str]:
        return {"subject": request.user.subject}

``plugins=[SecurityScheme()]`` has the OpenAPI document say which operations need a token.
"""

from __future__ import annotations

from copy import copy
from typing import Any, Final, cast

from watchword.errors import WatchwordError
from watchword.frameworks.need import needs
from watchword.frameworks.protection import Body, Protection, Refusal, Words
from watchword.guard.guard import Guard
from watchword.guard.request import ScopeRequest, collect

with needs("litestar"):
    from litestar import Response
    from litestar.config.app import AppConfig
    from litestar.connection import ASGIConnection, Request
    from litestar.enums import ScopeType
    from litestar.exceptions import HTTPException, WebSocketException
    from litestar.handlers import BaseRouteHandler
    from litestar.openapi.spec import Components
    from litestar.openapi.spec import SecurityScheme as SecuritySchemeObject
    from litestar.plugins import InitPluginProtocol, ReceiveRoutePlugin
    from litestar.routes import BaseRoute, HTTPRoute
    from litestar.utils.scope.state import ScopeState

__all__ = ["Protect", "Refused", "SecurityScheme", "protect", "request_of"]

_SCHEME: Final = "Bearer"


def protect(
    guard: Guard,
    *,
    scope: Words = (),
    role: Words = (),
    fresh: float | None = None,
    optional: bool = False,
    body: Body = "problem",
) -> Protect:
    """A guard in Litestar's sense of the word.

    The arguments are those of ``watchword.frameworks.asgi.protect``.

    Raises:
        ConfigurationError: an argument is not usable.
    """
    return Protect(Protection.parse(guard, scope=scope, role=role, fresh=fresh, optional=optional, body=body))


class Refused(HTTPException):
    """A refusal on its way to the client; an app that wants another answer registers a handler for it."""

    def __init__(self, refusal: Refusal, error: WatchwordError) -> None:
        super().__init__(detail=error.description, status_code=refusal.status, headers=dict(refusal.headers))
        self.refusal = refusal
        self.error = error


class Protect:
    """Lets a connection pass, with its principal in ``connection.user`` and ``connection.state.principal``."""

    def __init__(self, protection: Protection) -> None:
        self.protection = protection

    def __deepcopy__(self, memo: object) -> Protect:
        # Controllers are copied with all they hold; the guard in here stays one.
        return self

    async def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        """Check one connection.

        Raises:
            Refused: he may not; for a websocket a ``WebSocketException``, policy violation (1008).
        """
        scope = connection.scope
        values = [value for name, value in scope["headers"] if name == b"authorization"]
        header = str(values[0], "latin-1") if len(values) == 1 else values or None
        try:
            principal = await self.protection.authorize_async(
                header, scope["query_string"], request_of(connection)
            )
        except WatchwordError as error:
            if scope["type"] == ScopeType.WEBSOCKET:
                raise WebSocketException(code=1008, detail=error.description) from None
            handlers = ScopeState.from_scope(scope).exception_handlers
            if isinstance(handlers, dict):
                # An app says nothing of us at its start; the refusal brings along how it is written.
                handlers.setdefault(Refused, _answer)
            raise Refused(self.protection.refuse(error), error) from None
        scope["user"] = principal
        connection.state.principal = principal


class SecurityScheme(InitPluginProtocol, ReceiveRoutePlugin):
    """A plug-in: the OpenAPI document has the scheme, and protected operations name it."""

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the scheme to the document's components."""
        config = app_config.openapi_config
        if config is not None:
            scheme = SecuritySchemeObject(
                type="http",
                scheme="bearer",
                bearer_format="JWT",
                description="An access token (RFC 6750, RFC 9068)",
            )
            given = config.components if isinstance(config.components, list) else [config.components]
            config = copy(config)
            config.components = [*given, Components(security_schemes={_SCHEME: scheme})]
            app_config.openapi_config = config
        return app_config

    def receive_route(self, route: BaseRoute) -> None:
        """Have each protected operation of *route* name the scheme."""
        if not isinstance(route, HTTPRoute):
            return
        for handler in route.route_handlers:
            if any(isinstance(guard, Protect) for guard in handler.resolve_guards()):
                handler.security = [*(handler.security or ()), {_SCHEME: []}]


def request_of(connection: ASGIConnection[Any, Any, Any, Any]) -> ScopeRequest:
    """*connection* in the form that guards take."""
    return ScopeRequest(cast("dict[str, Any]", connection.scope), connection, _read)


async def _read(request: Request[Any, Any, Any], limit: int) -> bytes:
    # What is kept in the scope is what every later reader of this request is given.
    ScopeState.from_scope(request.scope).body = await collect(request.stream(), limit)
    return await request.body()


def _answer(_: Any, refused: Exception) -> Response[bytes]:
    assert isinstance(refused, Refused)
    return Response(
        refused.refusal.body, status_code=refused.refusal.status, headers=dict(refused.refusal.headers)
    )
