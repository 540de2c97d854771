"""A new email address, confirmed over JSON."""

from __future__ import annotations

from watchword.server.endpoints.views import ConfirmEmailBody
from watchword.server.services import Services
from watchword.server.web.request import Request
from watchword.server.web.responses import EMPTY, Response

__all__ = ["confirm_email"]


async def confirm_email(services: Services, request: Request) -> Response:
    """``POST /auth/email/confirm``: the address is the new one, by the token of the link mailed to it."""
    body: ConfirmEmailBody = request.body
    await services.email_change.complete(body.token, request.origin())
    return EMPTY
