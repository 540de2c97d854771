"""The pages for a forgotten password: ask for a link, and choose another password by it. They need no script."""

from __future__ import annotations

from watchword.errors import (
    InvalidInput,
    InvalidResetToken,
    MailNotConfigured,
    TemporarilyUnavailable,
    TooManyRequests,
)
from watchword.server.pages.pages import check_same_origin, render
from watchword.server.services import Services
from watchword.server.web.request import Request
from watchword.server.web.responses import Response

__all__ = ["forgot", "forgot_form", "reset", "reset_form"]


async def forgot_form(services: Services, request: Request) -> Response:
    """``GET /forgot``: whose password."""
    if not services.recovery.by_mail:
        return render(services, "forgot_off.html", MailNotConfigured.status)
    return render(services, "forgot.html", email="", fault="")


async def forgot(services: Services, request: Request) -> Response:
    """``POST /forgot``: a link is on its way, if there is such an account; nobody is told whether."""
    check_same_origin(services, request)
    email = request.body.get("email", "")
    try:
        await services.recovery.ask(email, request.origin())
    except MailNotConfigured as off:
        return render(services, "forgot_off.html", off.status)
    except InvalidInput as fault:
        return render(
            services, "forgot.html", fault.status, email=email, fault=f"E-mail {dict(fault.errors)['email']}"
        )
    except (TooManyRequests, TemporarilyUnavailable) as later:
        return render(services, "forgot.html", later.status, email=email, fault=_later(later.retry_after))
    minutes = int(services.recovery.policy.lifetime.total_seconds()) // 60
    return render(services, "forgot_done.html", minutes=minutes)


async def reset_form(services: Services, request: Request) -> Response:
    """``GET /reset``: the form behind the link. Programs open links before their reader does: it is not spent."""
    token = request.query.get("token", "")
    if not await services.recovery.valid(token):
        return render(
            services, "reset_gone.html", InvalidResetToken.status, by_mail=services.recovery.by_mail
        )
    return _reset_form(services, token)


async def reset(services: Services, request: Request) -> Response:
    """``POST /reset``: the password is another one; the link is spent."""
    check_same_origin(services, request)
    token, password = request.body.get("token", ""), request.body.get("password", "")
    try:
        await services.recovery.complete(token, password, request.origin())
    except InvalidResetToken as gone:
        return render(services, "reset_gone.html", gone.status, by_mail=services.recovery.by_mail)
    except InvalidInput as fault:
        return _reset_form(services, token, fault.status, f"Password {dict(fault.errors)['password']}")
    except (TooManyRequests, TemporarilyUnavailable) as later:
        return _reset_form(services, token, later.status, _later(later.retry_after))
    return render(services, "reset_done.html")


def _reset_form(services: Services, token: str, status: int = 200, fault: str = "") -> Response:
    least = services.recovery.passwords.policy.minimum_length
    return render(services, "reset.html", status, token=token, fault=fault, least=least)


def _later(seconds: int) -> str:
    return f"Too much at once; please try again in {seconds} {'second' if seconds == 1 else 'seconds'}"
