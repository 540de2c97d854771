"""The access token in a browser's cookie, as a guard takes it in (RFC 6265)."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Self

from watchword.errors import ConfigurationError, InvalidRequest, InvalidToken
from watchword.guard.credentials import Header
from watchword.guard.request import Request
from watchword.protocol.api_key import is_api_key
from watchword.protocol.cookie import (
    CSRF,
    SAFE_METHODS,
    check_origin,
    check_site,
    cookie_name,
    cookie_values,
    only,
    origin_of,
)

__all__ = ["TokenCookie"]

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,80}\Z")


@dataclass(frozen=True, slots=True)
class TokenCookie:
    """Where a guard finds the token of a browser, and whose pages may use it."""

    name: str
    allowed: frozenset[str]

    @classmethod
    def parse(cls, issuer: str, name: str | None, origins: Collection[str]) -> Self | None:
        """Take the arguments of ``Guard``; ``None`` where it takes no cookie.

        Raises:
            ConfigurationError: one of them is not usable.
        """
        if name is None:
            if origins:
                raise ConfigurationError("cookie_origins: they go together with cookie")
            return None
        if not isinstance(name, str) or not _NAME.match(name):
            raise ConfigurationError("cookie: must be up to 80 of A-Z a-z 0-9 . _ -")
        if isinstance(origins, str):
            raise ConfigurationError("cookie_origins: must be a list of origins")
        try:
            allowed = frozenset(map(check_origin, origins))
        except ConfigurationError as fault:
            raise ConfigurationError(f"cookie_origins: {fault.description}") from None
        return cls(cookie_name(name, https=issuer.startswith("https:")), allowed | {origin_of(issuer)})

    def header_of(self, header: Header, request: Request) -> Header:
        """The ``Authorization`` value that *request* has or that its cookie stands for.

        A websocket's handshake is a ``GET`` and opens a way to do anything, so it is asked whose page
        sent it as a change is.

        Raises:
            InvalidRequest: it has both, or the cookie twice.
            CrossSite: it has a cookie, may change something, and no page that may sent it.
            InvalidToken: an API key stands in the cookie.
        """
        token = only("the cookie", cookie_values(request.values("cookie"), self.name))
        if token is None:
            return header
        if isinstance(header, str | bytes) or header:
            raise InvalidRequest("credentials came twice: a cookie and an Authorization field")
        if request.method not in SAFE_METHODS or request.handshake:
            check_site(
                site=only("Sec-Fetch-Site", request.values("sec-fetch-site")),
                origin=only("Origin", request.values("origin")),
                proof=only("X-CSRF", request.values(CSRF)),
                allowed=self.allowed,
            )
        if is_api_key(token):
            # A key lives for months: a browser is never given one, and one that was put there is not let in.
            raise InvalidToken("a cookie holds an access token, never an API key")
        return f"Bearer {token}"
