"""First-party log-in, refresh and log-out over JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from watchword.errors import (
    InvalidGrant,
    InvalidInput,
    InvalidRequest,
    InvalidToken,
    MissingCredentials,
    WatchwordError,
)
from watchword.server.endpoints.browser import kept_of
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
    if not body.cookie:
        return answer
    # What was planted before goes, so that nothing stands beside the new session.
    return _with_cookies(services, cookies, answer, result.tokens, kept_of(services, request).planted)


async def token(services: Services, request: Request) -> Response:
    """``POST /auth/token``: a refresh token for its successor and a new access token, or a key for the latter."""
    body: TokenBody = request.body or TokenBody()
    cookies = cookies_of(request)
    given, kept = body.refresh_token, kept_of(services, request)
    keyed = body.api_key is not None or body.signing_key is not None
    if kept.token is not None or (kept.all and given is None and not keyed):
        cookies.check(request)
    if (given is not None or keyed) and kept.token is not None:
        raise InvalidRequest(_TWICE)
    if keyed:
        return replace(await _exchange(services, request, body), cookies=kept.planted)
    if body.audience is not None:
        raise InvalidInput(errors=[("audience", "goes together with a key")])
    if given is not None:
        tokens = await services.refresh_tokens.rotate(given, scope=body.scope, origin=request.origin())
        answer = json_response(tokens)
        return replace(answer, cookies=kept.planted) if kept.planted else answer
    if not kept.all:
        raise InvalidInput(errors=[("refresh_token", "is missing")])
    try:
        if kept.token is None:
            # Spent for nothing, so that an old copy is seen as the replay that it is.
            await services.refresh_tokens.give_up(kept.all[0], request.origin())
            raise InvalidGrant("the refresh cookie isn't from a login in this browser: log in again")
        tokens = await services.refresh_tokens.rotate(kept.token, scope=body.scope, origin=request.origin())
    except InvalidGrant as refused:
        return replace(error_response(refused), cookies=kept.planted + cookies.clear())
    planted = kept.planted
    if len(cookies.access_tokens(request)) > 1:
        planted += cookies.clear_planted(request, access=True)
    return _with_cookies(services, cookies, json_response(refreshed_view(tokens)), tokens, planted)


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
    cookies, kept = cookies_of(request), kept_of(services, request)
    values, shown = request.header_values("authorization"), cookies.access_tokens(request)
    if kept.token is None and not shown and (not kept.all or values or body.refresh_token is not None):
        await _log_out(services, request, body, body.refresh_token, values)
        return replace(EMPTY, cookies=kept.planted)
    if body.refresh_token is not None:
        raise InvalidRequest(_TWICE)
    cookies.check(request)
    cleared = kept.planted + cookies.clear()
    if len(shown) > 1:
        cleared = cookies.clear_planted(request, access=True) + cleared
    try:
        if kept.token is not None:
            await _log_out(services, request, body, kept.token, ())
        else:
            await _log_out_each(services, request, body, kept.all, shown)
    except (InvalidGrant, InvalidToken) as refused:
        return replace(error_response(refused), cookies=cleared)
    return replace(EMPTY, cookies=cleared)


async def _log_out_each(
    services: Services,
    request: Request,
    body: LogoutBody,
    refresh_tokens: Sequence[str],
    tokens: Sequence[str],
) -> None:
    """End every session that the cookies are of: nothing says which of them is the visitor's.

    Raises:
        InvalidGrant, InvalidToken: none of them is good.
    """
    refused: WatchwordError | None = None
    ended = False
    for refresh_token, values in [(None, (f"Bearer {token}",)) for token in tokens] + [
        (one, ()) for one in refresh_tokens
    ]:
        try:
            await _log_out(services, request, body, refresh_token, values)
            ended = True
        except (InvalidGrant, InvalidToken) as fault:
            refused = refused or fault
    if refused is not None and not ended:
        raise refused


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
    if user_id is not None:
        await services.writes.enter("log-outs", user_id, request.address)
    if body.everywhere and user_id is not None:
        await services.sessions.end_all(user_id, _REASON, request.origin())
    else:
        await services.store.sessions.end(session_id, _REASON, request.origin(), user_id=user_id)


def _with_cookies(
    services: Services, cookies: Cookies, answer: Response, tokens: TokenSet, planted: tuple[str, ...]
) -> Response:
    lines = cookies.set(
        tokens.access_token,
        tokens.expires_in,
        tokens.refresh_token,
        tokens.refresh_token_expires_in,
        services.refresh_tokens.binder(tokens.refresh_token) if cookies.binder_name else "",
    )
    # A browser takes them in order: what clears a name comes before what sets it.
    return replace(answer, cookies=planted + lines)
