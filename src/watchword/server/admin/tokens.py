"""Access tokens taken back, by administrators."""

from __future__ import annotations

from contextlib import suppress

from watchword.errors import InvalidInput, InvalidToken, WatchwordError
from watchword.server.admin.views import RevokeBody, RevokedView
from watchword.server.services import Services
from watchword.server.web.request import Request
from watchword.server.web.responses import EMPTY, Response, json_response

__all__ = ["revoke", "revoke_all"]


async def revoke(services: Services, request: Request) -> Response:
    """``POST /admin/v1/tokens/revoke``: kill one access token; its session goes on."""
    body: RevokeBody = request.body
    try:
        token = await services.withdrawal.read(body.token)
    except InvalidToken as fault:
        told = f"is no access token that this server can read: {fault.description}"
        raise InvalidInput(errors=[("token", told)]) from None
    await services.withdrawal.revoke(token, request.origin())
    await _tell(services)
    return json_response(RevokedView(jti=token.jti, user_id=token.sub, session_id=token.sid))


async def revoke_all(services: Services, request: Request) -> Response:
    """``POST /admin/v1/tokens/revoke-all``: kill every access token; sessions go on."""
    await services.withdrawal.everything(request.origin())
    await _tell(services)
    return EMPTY


async def _tell(services: Services) -> None:
    """Tell the guards at once, if the log can be read: a refusal would say that nothing had been revoked.

    Otherwise whoever follows the log tells them as soon as it can be read again.
    """
    with suppress(WatchwordError):
        await services.feed.poll()
