"""First-party log-in, refresh and log-out over JSON."""

from __future__ import annotations

from typing import Final

from watchword.errors import MissingCredentials
from watchword.server.endpoints.views import LoginBody, LogoutBody, TokenBody, login_view
from watchword.server.services import Services
from watchword.server.web.request import Request
from watchword.server.web.responses import EMPTY, Response, json_response

__all__ = ["login", "logout", "token"]

_REASON: Final = "logged_out"


async def login(services: Services, request: Request) -> Response:
    """``POST /auth/login``: e-mail or user name and password for a token set."""
    body: LoginBody = request.body
    result = await services.login.password(
        email=body.email,
        username=body.username,
        password=body.password,
        audience=body.audience,
        scope=body.scope,
        device=body.device,
        origin=request.origin(),
    )
    return json_response(login_view(result.tokens, result.user))


async def token(services: Services, request: Request) -> Response:
    """``POST /auth/token``: a refresh token for its successor and a new access token."""
    body: TokenBody = request.body
    tokens = await services.refresh_tokens.rotate(
        body.refresh_token, scope=body.scope, origin=request.origin()
    )
    return json_response(tokens)


async def logout(services: Services, request: Request) -> Response:
    """``POST /auth/logout``: end this session, or all of them; its access tokens die at once.

    A session that has ended already is as logged out as it can be: 204 again. A refresh token that would
    bring no other ends its own session alone: an old copy of one must not log its owner out everywhere.
    """
    body: LogoutBody = request.body or LogoutBody()
    if body.refresh_token is not None:
        session_id, user_id = await services.refresh_tokens.give_up(body.refresh_token, request.origin())
    else:
        values = request.header_values("authorization")
        if not values:
            raise MissingCredentials
        request.caller = await services.introspection.authenticate(values, audience="first-party")
        session_id, user_id = request.caller.session.id, request.caller.user.id
    if body.everywhere and user_id is not None:
        await services.sessions.end_all(user_id, _REASON, request.origin())
    else:
        await services.store.sessions.end(session_id, _REASON, request.origin(), user_id=user_id)
    return EMPTY
