"""Which credentials a request presents: one, wherever they stand (RFC 6750 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchword.errors import InvalidRequest
from watchword.guard.cookie import TokenCookie
from watchword.guard.credentials import Header
from watchword.guard.request import Request

if TYPE_CHECKING:
    from watchword.guard.signed import SignedRequests

__all__ = ["presented"]


def presented(
    header: Header, request: Request, cookie: TokenCookie | None, signed: SignedRequests | None
) -> Header:
    """The ``Authorization`` value that *request* has or that its cookie stands for; ``None``: it may be signed.

    Raises:
        InvalidRequest: it has two credentials.
        CrossSite: it has a cookie, may change something, and no page that may sent it.
        InvalidToken: its signature is malformed, or not of now, or its cookie holds an API key.
    """
    if cookie is not None:
        header = cookie.header_of(header, request)
    if signed is not None and header is not None and signed.claimed(request) is not None:
        raise InvalidRequest("credentials came twice: a signature and another")
    return header
