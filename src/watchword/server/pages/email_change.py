"""The page behind the link that confirms a new email address. It needs no script."""

from __future__ import annotations

from watchword.errors import EmailTaken, NotFound, TooManyRequests
from watchword.server.pages.pages import check_same_origin, render
from watchword.server.services import Services
from watchword.server.web.request import Request
from watchword.server.web.responses import Response

__all__ = ["confirm", "confirm_form"]


async def confirm_form(services: Services, request: Request) -> Response:
    """``GET /confirm-email``: asks once more, because programs open links before their reader does."""
    token = request.query.get("token", "")
    email = await services.email_change.pending(token)
    if email is None:
        return render(services, "email_gone.html", NotFound.status)
    return render(services, "email.html", token=token, email=email)


async def confirm(services: Services, request: Request) -> Response:
    """``POST /confirm-email``: the address is the new one; the link is spent."""
    check_same_origin(services, request)
    try:
        await services.email_change.complete(request.body.get("token", ""), request.origin())
    except (NotFound, EmailTaken, TooManyRequests) as gone:
        return render(services, "email_gone.html", gone.status)
    return render(services, "email_done.html")
