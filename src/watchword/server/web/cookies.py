"""Cookie mode: tokens in cookies that no script can read, written and read in one place (RFC 6265, ASVS 3.3).

The access token goes to every path of the host, and so to its APIs; the refresh token to this server only. Another
host of the same site can plant a cookie with a path, so a third one, the binder, says which refresh token is ours: its
prefix ``__Host-`` keeps every other host from setting it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from watchword.errors import InvalidInput, InvalidRequest
from watchword.protocol.cookie import (
    BINDER,
    CSRF,
    REFRESH,
    SAFE_METHODS,
    check_site,
    cookie_name,
    cookie_values,
)
from watchword.protocol.metadata import is_loopback
from watchword.server.policies import CookiePolicy
from watchword.server.web.request import Request

__all__ = ["CookieTwice", "Cookies", "cookies_of"]

_LARGEST: Final = 4096
"""Bytes of name and value together; browsers drop what is larger, and say nothing (RFC 6265bis 5.6)."""
_OWN: Final = "/auth"
_MOST: Final = 8
"""Values of one name that are looked at; a browser with more was given them by somebody else."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9/_.~-]{1,200}")


class CookieTwice(InvalidRequest):
    """A cookie came twice: its answer makes the browser forget every one of that name."""


@dataclass(frozen=True, slots=True)
class Cookies:
    """The cookies of one server; without a policy it neither sets nor reads any."""

    policy: CookiePolicy | None = None
    name: str = field(init=False, default="")
    """Of the access token's."""
    refresh_name: str = field(init=False, default="")
    binder_name: str = field(init=False, default="")
    """Of the cookie that binds a refresh token to this browser; empty under http, where no prefix keeps it ours."""

    def __post_init__(self) -> None:
        policy = self.policy
        if policy is not None:
            shared = policy.domain is not None
            refresh = cookie_name(policy.name + REFRESH, https=policy.https, shared=True)
            object.__setattr__(self, "name", cookie_name(policy.name, https=policy.https, shared=shared))
            object.__setattr__(self, "refresh_name", refresh)
            if policy.https:
                object.__setattr__(self, "binder_name", cookie_name(policy.name + BINDER, https=True))

    @property
    def origins(self) -> frozenset[str]:
        """The other origins whose pages may act by cookies."""
        return self.policy.origins if self.policy is not None else frozenset()

    def access_tokens(self, request: Request) -> Sequence[str]:
        """Every access token that came in a cookie."""
        return self._values(request, self.name)

    def refresh_tokens(self, request: Request) -> Sequence[str]:
        """Every refresh token that came in a cookie, however many were planted before ours: the head has a bound."""
        return self._values(request, self.refresh_name, None)

    def binders(self, request: Request) -> Sequence[str]:
        """Every binder that came."""
        return self._values(request, self.binder_name)

    def acts(self, request: Request) -> bool:
        """Whether the ``credentials`` of a request are those of its cookie."""
        return bool(self.access_tokens(request))

    def credentials(self, request: Request) -> Sequence[str]:
        """The ``Authorization`` values of a request, or the one that its cookie stands for.

        Raises:
            InvalidRequest: it has both, or the cookie twice.
            CrossSite: it has a cookie, may change something, and no page of ours sent it.
        """
        values = request.header_values("authorization")
        tokens = self.access_tokens(request)
        if not tokens:
            return values
        if len(tokens) > 1:
            raise CookieTwice("the cookie came twice")
        self._check(request, values)
        return (f"Bearer {tokens[0]}",)

    def check(self, request: Request) -> None:
        """Check a request that acts by any of the cookies.

        Raises:
            InvalidRequest, CrossSite: as ``credentials``.
        """
        self._check(request, request.header_values("authorization"))

    def check_login(self, request: Request) -> None:
        """Check that a log-in which asks for cookies may: a page of another site would log its visitor in as its own.

        Raises:
            InvalidInput: there is no cookie mode here.
            CrossSite: no page of ours sent it.
        """
        if self.policy is None:
            raise InvalidInput(errors=[("cookie", "is not offered by this server")])
        self._check(request, ())

    def set(
        self, access_token: str, expires_in: int, refresh_token: str, refresh_expires_in: int, binder: str
    ) -> tuple[str, ...]:
        """The ``Set-Cookie`` values for a pair of tokens.

        Raises:
            InvalidInput: the access token is larger than a browser keeps.
        """
        if len(self.name) + len(access_token) > _LARGEST:
            raise InvalidInput(
                errors=[("cookie", f"the access token is over {_LARGEST} bytes: too large for one")]
            )
        return self._lines(access_token, expires_in, refresh_token, refresh_expires_in, binder)

    def clear(self) -> tuple[str, ...]:
        """The ``Set-Cookie`` values that make a browser forget what ``set`` gave it."""
        return self._lines("", 0, "", 0, "")

    def clear_planted(self, request: Request, *, access: bool = False) -> tuple[str, ...]:
        """The same for refresh cookies with any path and domain that they can have come with.

        Args:
            request: the one that they came with.
            access: it is the access cookie that came twice.
        """
        policy = self.policy
        assert policy is not None
        name = self.name if access else self.refresh_name
        common = "; Max-Age=0; SameSite=Lax; HttpOnly" + ("; Secure" if policy.https else "")
        if name.startswith("__Host-"):
            return (f"{name}=; Path=/{common}",)
        host = urlsplit(policy.issuer).hostname or ""
        labels = host.split(".") if host[-1:].isalpha() and not is_loopback(host) else []
        domains = ["", *("; Domain=" + ".".join(labels[start:]) for start in range(len(labels) - 1))]
        paths = _paths(policy.path, request.path)
        return tuple(f"{name}=; Path={path}{common}{domain}" for domain in domains for path in paths)

    def _lines(
        self, access: str, access_age: int, refresh: str, refresh_age: int, binder: str
    ) -> tuple[str, ...]:
        policy = self.policy
        assert policy is not None
        own = "; HttpOnly" + ("; Secure" if policy.https else "")
        common = own if policy.domain is None else f"{own}; Domain={policy.domain}"
        # A refresh is asked for by a script, never by following a link: its cookie needs no laxness.
        path = policy.path + _OWN
        lines = (
            f"{self.name}={access}; Path=/; Max-Age={access_age}; SameSite={policy.same_site}{common}",
            f"{self.refresh_name}={refresh}; Path={path}; Max-Age={refresh_age}; SameSite=Strict{common}",
        )
        if not self.binder_name:
            return lines
        return (*lines, f"{self.binder_name}={binder}; Path=/; Max-Age={refresh_age}; SameSite=Strict{own}")

    def _values(self, request: Request, name: str, most: int | None = _MOST) -> Sequence[str]:
        if self.policy is None or not name:
            return ()
        fields = request.header_values("cookie")
        return cookie_values(fields, name)[:most] if fields else ()

    def _check(self, request: Request, authorization: Sequence[str]) -> None:
        if authorization:
            raise InvalidRequest("credentials came twice: a cookie and an Authorization field")
        assert self.policy is not None
        if request.method not in SAFE_METHODS:
            check_site(
                site=request.header("sec-fetch-site"),
                origin=request.header("origin"),
                proof=request.header(CSRF),
                allowed=self.policy.allowed,
            )


def _paths(base: str, path: str) -> Sequence[str]:
    """Every path that a cookie can have which comes along to *path* of a server at *base* (RFC 6265 5.1.4)."""
    full = base + path
    ends = [place for place, char in enumerate(full) if char == "/"][:_MOST]
    found = dict.fromkeys([*(full[: end + 1] for end in ends), *(full[:end] for end in ends if end), full])
    return [one for one in found if _PLAIN.fullmatch(one)]


def cookies_of(request: Request) -> Cookies:
    """The cookies of the server that a request came to."""
    found: Cookies = request.dispatcher.cookies
    return found
