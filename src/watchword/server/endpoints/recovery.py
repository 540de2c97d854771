"""A forgotten password, over JSON."""

from __future__ import annotations

from watchword.server.endpoints.views import ForgotBody, ForgotView, ResetBody
from watchword.server.services import Services
from watchword.server.web.request import Request
from watchword.server.web.responses import EMPTY, Response, json_response

__all__ = ["forgot_password", "reset_password"]


async def forgot_password(services: Services, request: Request) -> Response:
    """``POST /auth/password/forgot``: a link by mail, if there is such an account; nobody is told whether."""
    body: ForgotBody = request.body
    await services.recovery.ask(body.email, request.origin())
    lifetime = services.recovery.policy.lifetime
    return json_response(ForgotView(expires_in=int(lifetime.total_seconds())), 202)


async def reset_password(services: Services, request: Request) -> Response:
    """``POST /auth/password/reset``: another password by the token of a link; every session ends."""
    body: ResetBody = request.body
    await services.recovery.complete(body.token, body.password, request.origin())
    return EMPTY
