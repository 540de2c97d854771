"""First-party log-in, refresh and log-out over JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from watchword.errors import InvalidGrant, InvalidInput, InvalidRequest, InvalidToken, MissingCredentials
from watchword.server.endpoints.views import LoginBody, LogoutBody, TokenBody, login_view, refreshed_view
from watchword.server.services import Services
from watchword.server.tokens.issuance import TokenSet
from watchword.server.web.cookies import Cookies, cookies_of
from watchword.server.web.errors import error_response
from watchword.server.web.request import Request
from watchword.server.web.responses import EMPTY, Response, json_response

__all__ = ["login", "logout", "token"]

_REASON: Final = "logged_out"
_TWICE: Final = "credentials came twice: a cookie and another secret"


async def login(services: Services, request: Request) -> Response:
    """``POST /auth/login``: e-mail or user name and password for a token set, or for cookies."""
    body: LoginBody = request.body
    cookies = cookies_of(request)
    if body.cookie:
        cookies.check_login(request)
    result = await services.login.password(
        email=body.email,
        username=body.username,
        password=body.password,
        audience=body.audience,
        scope=body.scope,
        device=body.device,
        origin=request.origin(),
    )
    answer = json_response(login_view(result.tokens, result.user, bare=body.cookie))
    return _with_cookies(cookies, answer, result.tokens) if body.cookie else answer


async def token(services: Services, request: Request) -> Response:
    """``POST /auth/token``: a refresh token for its successor and a new access token, or a key for the latter."""
    body: TokenBody = request.body or TokenBody()
    cookies = cookies_of(request)
    given, kept = body.refresh_token, cookies.refresh_token(request)
    keyed = body.api_key is not None or body.signing_key is not None
    if (given is not None or keyed) and kept is not None:
        raise InvalidRequest(_TWICE)
    if keyed:
        return await _exchange(services, request, body)
    if body.audience is not None:
        raise InvalidInput(errors=[("audience", "goes together with a key")])
    if kept is None:
        if given is None:
            raise InvalidInput(errors=[("refresh_token", "is missing")])
        return json_response(
            await services.refresh_tokens.rotate(given, scope=body.scope, origin=request.origin())
        )
    try:
        tokens = await services.refresh_tokens.rotate(kept, scope=body.scope, origin=request.origin())
    except InvalidGrant as refused:
        return replace(error_response(refused), cookies=cookies.clear())
    return _with_cookies(cookies, json_response(refreshed_view(tokens)), tokens)


async def _exchange(services: Services, request: Request, body: TokenBody) -> Response:
    if [body.refresh_token, body.api_key, body.signing_key].count(None) != 2:
        raise InvalidInput(errors=[("refresh_token", "or api_key or signing_key, one of the three")])
    keys, key = (
        (services.signing_keys, body.signing_key)
        if body.api_key is None
        else (services.api_keys, body.api_key)
    )
    assert key is not None
    return json_response(
        await keys.exchange(key, audience=body.audience, scope=body.scope, origin=request.origin())
    )


async def logout(services: Services, request: Request) -> Response:
    """``POST /auth/logout``: end this session, or all of them; its access tokens die at once.

    A session that has ended already is as logged out as it can be: 204 again. A refresh token that would
    bring no other ends its own session alone: an old copy of one must not log its owner out everywhere.
    """
    body: LogoutBody = request.body or LogoutBody()
    cookies = cookies_of(request)
    if not cookies.came(request):
        await _log_out(services, request, body, body.refresh_token, request.header_values("authorization"))
        return EMPTY
    if body.refresh_token is not None:
        raise InvalidRequest(_TWICE)
    kept, values = cookies.refresh_token(request), cookies.credentials(request)
    try:
        await _log_out(services, request, body, kept, values)
    except (InvalidGrant, InvalidToken) as refused:
        return replace(error_response(refused), cookies=cookies.clear())
    return replace(EMPTY, cookies=cookies.clear())


async def _log_out(
    services: Services, request: Request, body: LogoutBody, refresh_token: str | None, values: Sequence[str]
) -> None:
    if refresh_token is not None:
        session_id, user_id = await services.refresh_tokens.give_up(refresh_token, request.origin())
    else:
        if not values:
            raise MissingCredentials
        request.caller = await services.introspection.authenticate(values, audience="first-party")
        session_id, user_id = request.caller.session.id, request.caller.user.id
    if body.everywhere and user_id is not None:
        await services.sessions.end_all(user_id, _REASON, request.origin())
    else:
        await services.store.sessions.end(session_id, _REASON, request.origin(), user_id=user_id)


def _with_cookies(cookies: Cookies, answer: Response, tokens: TokenSet) -> Response:
    lines = cookies.set(
        tokens.access_token, tokens.expires_in, tokens.refresh_token, tokens.refresh_token_expires_in
    )
    return replace(answer, cookies=lines)
