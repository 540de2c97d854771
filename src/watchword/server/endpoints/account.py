"""A user's own account: register, read, change, leave; his sessions and his password."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from msgspec import UNSET, structs

from watchword.errors import InvalidCredentials
from watchword.server.endpoints.views import (
    LeaveBody,
    PasswordBody,
    PendingEmailView,
    ProfileBody,
    RegisterBody,
    RegisteredView,
    SessionList,
    session_view,
    user_view,
)
from watchword.server.services import Services
from watchword.server.web.request import Request
from watchword.server.web.responses import EMPTY, Response, json_response

__all__ = [
    "change_me",
    "change_password",
    "delete_me",
    "end_session",
    "list_sessions",
    "me",
    "prove",
    "register",
]

_RECENT: Final = timedelta(minutes=15)
"""How long after a log-in its session may change what opens the account, or end it."""


async def register(services: Services, request: Request) -> Response:
    """``POST /auth/register``: make an account."""
    body: RegisterBody = request.body
    # Every attempt counts: 409 tells that an address has an account, so asking must not be free.
    await services.registrations.enter_from(request.address)
    user = await services.users.register(
        body.email, body.password, body.name, body.username, origin=request.origin()
    )
    return json_response(RegisteredView(user=user_view(user)), 201)


async def me(services: Services, request: Request) -> Response:
    """``GET /auth/me``: the user."""
    return json_response(user_view(request.caller.user))


async def change_me(services: Services, request: Request) -> Response:
    """``PATCH /auth/me``: change name, user name or e-mail. The last two are ways in.

    With mail, another address is pending (202) until it is confirmed from its mailbox.
    """
    body: ProfileBody = request.body
    user = request.caller.user
    if body.email not in (UNSET, user.email) or body.username not in (UNSET, user.username):
        await prove(services, request, body.current_password)
    if body.email not in (UNSET, user.email) or body.username not in (UNSET, user.username, None):
        # 409 tells that it is somebody's, so asking costs what a registration does.
        await services.registrations.enter_from(request.address, f"user {user.id}")
    if body.email is not UNSET and services.email_change.needs_confirmation(user, body.email):
        return await _change_later(services, request, body.email)
    changed = await services.users.update(
        user.id, name=body.name, username=body.username, email=body.email, seen=user, origin=request.origin()
    )
    return json_response(user_view(changed))


async def _change_later(services: Services, request: Request, email: str) -> Response:
    """Change everything but the address; that one waits until it is confirmed."""
    body: ProfileBody = request.body
    origin, user = request.origin(), request.caller.user
    if body.name is not UNSET or body.username is not UNSET:
        user = await services.users.update(
            user.id, name=body.name, username=body.username, seen=user, origin=origin
        )
    pending = await services.email_change.ask(user, email, origin)
    return json_response(PendingEmailView(**structs.asdict(user_view(user)), pending_email=pending), 202)


async def delete_me(services: Services, request: Request) -> Response:
    """``DELETE /auth/me``: leave; the account, its sessions and tokens are gone."""
    body: LeaveBody = request.body or LeaveBody()
    await prove(services, request, body.current_password)
    await services.users.delete(request.caller.user.id, request.origin())
    return EMPTY


async def prove(services: Services, request: Request, password: str | None) -> None:
    """Require the password, or a token that is recent and that nobody else has seen (ASVS 7.5.1).

    This is the one rule for whatever is a way in, or ends the account. A script in a page can use its cookie, an API
    sees every token that is for it, and a narrowed token was made to be given away: those need the password.

    Raises:
        InvalidCredentials: neither is there, or the password is wrong.
        TooManyRequests, TemporarilyUnavailable: as for a log-in.
    """
    caller = request.caller
    if password is not None:
        await services.login.prove(caller.user, password, request.origin())
        request.caller = replace(caller, proven=caller.user.version)
        return
    seen = (
        caller.by_cookie
        or caller.token.aud != (services.introspection.policy.issuer,)
        or caller.token.claims.get("narrowed")
    )
    if seen or services.now() - caller.session.auth_time > _RECENT:
        raise InvalidCredentials("Confirm your password: send `current_password`.")


async def list_sessions(services: Services, request: Request) -> Response:
    """``GET /auth/sessions``: where one is logged in."""
    found = await services.sessions.list(request.caller.user.id)
    current = request.caller.session.id
    return json_response(SessionList(items=tuple(session_view(session, current) for session in found)))


async def end_session(services: Services, request: Request) -> Response:
    """``DELETE /auth/sessions/{id}``: log one device out."""
    await services.sessions.end(request.params["id"], "logged_out", request.origin(), request.caller.user.id)
    return EMPTY


async def change_password(services: Services, request: Request) -> Response:
    """``POST /auth/password``: another password; the user's other sessions end."""
    body: PasswordBody = request.body
    user, session = request.caller.user, request.caller.session
    # Only who knows the password fills that count, so nobody else can keep its owner from changing it.
    await services.writes.check("passwords", user.id, request.address)
    await prove(services, request, body.current_password)
    await services.writes.enter("passwords", user.id, request.address)
    await services.users.change_password(
        user, body.new_password, version=user.version, session_id=session.id, origin=request.origin()
    )
    return EMPTY
