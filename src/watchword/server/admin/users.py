"""Users, for administrators: find, make, change, ban, throw out."""

from __future__ import annotations

from datetime import MAXYEAR

from msgspec import UNSET

from watchword.errors import AccessDenied, InvalidInput
from watchword.server.admin.views import (
    BanBody,
    NewUserBody,
    SessionsEnded,
    UserBody,
    UserList,
    admin_user_view,
)
from watchword.server.endpoints import api_keys, signing_keys
from watchword.server.endpoints.account import prove
from watchword.server.endpoints.views import SessionList, session_view
from watchword.server.services import Services
from watchword.server.web.paging import page_of
from watchword.server.web.request import Request
from watchword.server.web.responses import EMPTY, Response, json_response

__all__ = [
    "ban",
    "create",
    "delete",
    "end_session",
    "end_sessions",
    "get",
    "list_api_keys",
    "list_sessions",
    "list_signing_keys",
    "list_users",
    "revoke_api_key",
    "revoke_signing_key",
    "unban",
    "update",
]

_REASON = "ended_by_administrator"


async def list_users(services: Services, request: Request) -> Response:
    """``GET /admin/v1/users``: in order of creation; ``q`` searches e-mail, user name and name."""
    cursor, limit = page_of(request)
    page = await services.users.list(q=request.query.get("q", ""), cursor=cursor, limit=limit)
    return json_response(UserList(items=tuple(admin_user_view(user) for user in page.items), next=page.next))


async def create(services: Services, request: Request) -> Response:
    """``POST /admin/v1/users``: make a user."""
    body: NewUserBody = request.body
    user = await services.users.create(
        body.email,
        body.password,
        roles=body.roles,
        name=body.name,
        username=body.username,
        origin=request.origin(),
    )
    return json_response(admin_user_view(user), 201)


async def get(services: Services, request: Request) -> Response:
    """``GET /admin/v1/users/{id}``: one user."""
    return json_response(admin_user_view(await services.users.require(request.params["id"])))


async def update(services: Services, request: Request) -> Response:
    """``PATCH /admin/v1/users/{id}``: change a user; new roles act on the tokens he has."""
    body: UserBody = request.body
    own = request.caller.user if request.params["id"] == request.caller.user.id else None
    if own is not None:
        await _check_own(services, request, body)
    user = await services.users.update(
        request.params["id"],
        name=body.name,
        email=body.email,
        username=body.username,
        roles=body.roles,
        seen=own,
        origin=request.origin(),
    )
    return json_response(admin_user_view(user))


async def _check_own(services: Services, request: Request, body: UserBody) -> None:
    """An administrator's own address is a way in like every user's, and is confirmed like theirs.

    Raises:
        InvalidCredentials: they signed in too long ago.
        AccessDenied: the new address must be confirmed from its mailbox.
    """
    user = request.caller.user
    if body.email not in (UNSET, user.email) or body.username not in (UNSET, user.username):
        await prove(services, request, None)
    if body.email is not UNSET and services.email_change.needs_confirmation(user, body.email):
        raise AccessDenied(
            "Change your own email with PATCH /auth/me: a link to confirm it is mailed to you."
        )


async def delete(services: Services, request: Request) -> Response:
    """``DELETE /admin/v1/users/{id}``: delete a user, his sessions and tokens."""
    await services.users.delete(request.params["id"], request.origin())
    return EMPTY


async def ban(services: Services, request: Request) -> Response:
    """``POST /admin/v1/users/{id}/ban``: no new token, and the ones he has are dead."""
    body: BanBody = request.body or BanBody()
    if body.until is not None and body.until <= services.now():
        raise InvalidInput(errors=[("until", "is in the past")])
    if body.until is not None and body.until.year == MAXYEAR:
        # In another zone its last hours are in a year that no time can bear.
        raise InvalidInput(errors=[("until", "is too late; a ban without it has no end")])
    user = await services.users.ban(request.params["id"], body.reason, body.until, request.origin())
    return json_response(admin_user_view(user))


async def unban(services: Services, request: Request) -> Response:
    """``POST /admin/v1/users/{id}/unban``: the user may log in again."""
    return json_response(admin_user_view(await services.users.unban(request.params["id"], request.origin())))


async def list_sessions(services: Services, request: Request) -> Response:
    """``GET /admin/v1/users/{id}/sessions``: where a user is logged in."""
    user = await services.users.require(request.params["id"])
    found = await services.sessions.list(user.id)
    return json_response(SessionList(items=tuple(session_view(session) for session in found)))


async def end_sessions(services: Services, request: Request) -> Response:
    """``DELETE /admin/v1/users/{id}/sessions``: log a user out everywhere."""
    user = await services.users.require(request.params["id"])
    return json_response(
        SessionsEnded(ended=await services.sessions.end_all(user.id, _REASON, request.origin()))
    )


async def list_api_keys(services: Services, request: Request) -> Response:
    """``GET /admin/v1/users/{id}/api-keys``: which keys a user has."""
    return await api_keys.list_of(services, (await services.users.require(request.params["id"])).id)


async def revoke_api_key(services: Services, request: Request) -> Response:
    """``DELETE /admin/v1/users/{id}/api-keys/{key}``: end a key of a user."""
    whose, key = request.params["id"], request.params["key"]
    await services.user_keys.revoke(key, "api_key", _REASON, request.origin(), whose)
    return EMPTY


async def list_signing_keys(services: Services, request: Request) -> Response:
    """``GET /admin/v1/users/{id}/signing-keys``: which keys a user's requests are signed with."""
    return await signing_keys.list_of(services, (await services.users.require(request.params["id"])).id)


async def revoke_signing_key(services: Services, request: Request) -> Response:
    """``DELETE /admin/v1/users/{id}/signing-keys/{key}``: end a key of a user."""
    whose, key = request.params["id"], request.params["key"]
    await services.user_keys.revoke(key, "signing_key", _REASON, request.origin(), whose)
    return EMPTY


async def end_session(services: Services, request: Request) -> Response:
    """``DELETE /admin/v1/sessions/{id}``: end one session."""
    await services.sessions.end(request.params["id"], _REASON, request.origin())
    return EMPTY
