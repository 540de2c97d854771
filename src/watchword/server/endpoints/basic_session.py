"""A temporary Basic pair, for clients that know nothing but a user name and a password (RFC 7617)."""

from __future__ import annotations

from watchword.errors import AccessDenied, InvalidInput, MissingCredentials
from watchword.server.endpoints.views import BasicBody
from watchword.server.services import Services
from watchword.server.web.cookies import cookies_of
from watchword.server.web.request import Request
from watchword.server.web.responses import Response, json_response

__all__ = ["basic_session"]


async def basic_session(services: Services, request: Request) -> Response:
    """``POST /auth/basic``: a pair for the session of a bearer token, or, with a password, for a new one.

    A cookie gives none. The refresh token of that new session is handed to nobody: it ends with its time, or is ended.
    """
    body: BasicBody = request.body or BasicBody()
    cookies = cookies_of(request)
    values = cookies.credentials(request)
    if body.password is not None:
        if values:
            raise InvalidInput("give a bearer token or a password", errors=[("password", "not both")])
        pair = services.basic_sessions.new()
        result = await services.login.password(
            email=body.email,
            username=body.username,
            password=body.password,
            audience=body.audience,
            scope=body.scope,
            device=body.device,
            pair=pair,
            origin=request.origin(),
        )
        return json_response(await services.basic_sessions.write(result.live, pair))
    given = [name for name in BasicBody.__struct_fields__ if getattr(body, name) is not None]
    if given:
        raise InvalidInput(errors=[(name, "goes together with a password") for name in given])
    if not values:
        raise MissingCredentials
    if cookies.acts(request):
        # A pair is a text: a script in the page could carry it away, which it cannot do with the cookie.
        raise AccessDenied("a cookie gives no pair: ask with the password")
    request.caller = await services.introspection.authenticate(values, audience="first-party")
    token = request.caller.token
    if "act" in token.claims:
        # Somebody else acts with it, and what he was lent he must not make last (RFC 8693 4.1).
        raise AccessDenied("an exchanged token gives no pair")
    await services.writes.enter("pairs", request.caller.user.id, request.address)
    scope = token.scope if token.claims.get("narrowed") else None
    session_id = request.caller.session.id
    mine = await services.basic_sessions.give(session_id, request.origin(), scope=scope, until=int(token.exp))
    return json_response(mine)
