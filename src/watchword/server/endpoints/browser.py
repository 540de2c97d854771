"""Which refresh token of a browser's cookies counts: the one that its binder belongs to.

Another host of the same site can plant a refresh cookie, of an account of its own or of nobody. It can't plant the
binder, nor an access cookie with the prefix ``__Host-``, so a planted refresh token is one that neither vouches for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from watchword.server.services import Services
from watchword.server.web.cookies import cookies_of
from watchword.server.web.request import Request

__all__ = ["Kept", "kept_of"]

_MOST: Final = 8


@dataclass(frozen=True, slots=True)
class Kept:
    """The refresh cookies of a request."""

    token: str | None = field(default=None, repr=False)
    """The one that counts."""
    all: Sequence[str] = field(default=(), repr=False)
    """The first of them; without one that counts, each of these may cost a question to the store."""
    planted: tuple[str, ...] = ()
    """``Set-Cookie`` values that make the browser forget the others."""


_NOTHING: Final = Kept()


def kept_of(services: Services, request: Request) -> Kept:
    """The refresh token of a request's cookies, which is not checked yet for whose page sent it."""
    cookies = cookies_of(request)
    given = cookies.refresh_tokens(request)
    if not given:
        return _NOTHING
    values = tuple(dict.fromkeys(given))
    tokens = services.refresh_tokens
    found = tokens.bound(values, cookies.binders(request)) if cookies.binder_name else None
    if found is None and len(values) == 1:
        found = values[0] if _vouched(services, request, values[0]) else None
    planted = found is None or len(given) > 1
    return Kept(found, values[:_MOST], cookies.clear_planted(request) if planted else ())


def _vouched(services: Services, request: Request, refresh_token: str) -> bool:
    """Whether the access cookie lets a refresh token pass that no binder belongs to.

    A log-in of a version without binders has none; its access cookie is of the same session. Under http nothing keeps
    a cookie from being planted, so there a refresh token passes unless the access cookie is of another session.
    """
    cookies = cookies_of(request)
    session_ids = {services.introspection.session_id(token) for token in cookies.access_tokens(request)} - {
        None
    }
    if not session_ids:
        return not cookies.binder_name
    return session_ids == {services.refresh_tokens.session_id(refresh_token)}
