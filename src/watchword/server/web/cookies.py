"""Cookie mode: tokens in cookies that no script can read, written and read in one place (RFC 6265, ASVS 3.3).

The access token goes to every path of the host, and so to its APIs; the refresh token to this server alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from watchword.errors import InvalidInput, InvalidRequest
from watchword.protocol.cookie import (
    CSRF,
    REFRESH,
    SAFE_METHODS,
    check_site,
    cookie_name,
    cookie_values,
    only,
)
from watchword.server.policies import CookiePolicy
from watchword.server.web.request import Request

__all__ = ["Cookies", "cookies_of"]

_LARGEST: Final = 4096
"""Bytes of name and value together; browsers drop what is larger, and say nothing (RFC 6265bis 5.6)."""
_OWN: Final = "/auth"


@dataclass(frozen=True, slots=True)
class Cookies:
    """The cookies of one server; without a policy it neither sets nor reads any."""

    policy: CookiePolicy | None = None
    name: str = field(init=False, default="")
    """Of the access token's."""
    refresh_name: str = field(init=False, default="")

    def __post_init__(self) -> None:
        policy = self.policy
        if policy is not None:
            shared = policy.domain is not None
            refresh = cookie_name(policy.name + REFRESH, https=policy.https, shared=True)
            object.__setattr__(self, "name", cookie_name(policy.name, https=policy.https, shared=shared))
            object.__setattr__(self, "refresh_name", refresh)

    @property
    def origins(self) -> frozenset[str]:
        """The other origins whose pages may act by cookies."""
        return self.policy.origins if self.policy is not None else frozenset()

    def came(self, request: Request) -> bool:
        """Whether a request has a cookie of ours."""
        return any(self._value(request, name) is not None for name in (self.name, self.refresh_name))

    def acts(self, request: Request) -> bool:
        """Whether the ``credentials`` of a request are those of its cookie."""
        return self._value(request, self.name) is not None

    def credentials(self, request: Request) -> Sequence[str]:
        """The ``Authorization`` values of a request, or the one that its cookie stands for.

        Raises:
            InvalidRequest: it has both, or the cookie twice.
            CrossSite: it has a cookie, may change something, and no page of ours sent it.
        """
        values = request.header_values("authorization")
        token = self._value(request, self.name)
        if token is None:
            return values
        self._check(request, values)
        return (f"Bearer {token}",)

    def refresh_token(self, request: Request) -> str | None:
        """The refresh token of a request's cookie, ``None`` without one.

        Raises:
            InvalidRequest, CrossSite: as ``credentials``.
        """
        token = self._value(request, self.refresh_name)
        if token is not None:
            self._check(request, request.header_values("authorization"))
        return token

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
        self, access_token: str, expires_in: int, refresh_token: str, refresh_expires_in: int
    ) -> tuple[str, ...]:
        """The ``Set-Cookie`` values for a pair of tokens.

        Raises:
            InvalidInput: the access token is larger than a browser keeps.
        """
        if len(self.name) + len(access_token) > _LARGEST:
            raise InvalidInput(
                errors=[("cookie", f"the access token is over {_LARGEST} bytes: too large for one")]
            )
        return self._lines(access_token, expires_in, refresh_token, refresh_expires_in)

    def clear(self) -> tuple[str, ...]:
        """The ``Set-Cookie`` values that make a browser forget both."""
        return self._lines("", 0, "", 0)

    def _lines(self, access: str, access_age: int, refresh: str, refresh_age: int) -> tuple[str, ...]:
        policy = self.policy
        assert policy is not None
        common = "; HttpOnly" + ("; Secure" if policy.https else "")
        if policy.domain is not None:
            common += f"; Domain={policy.domain}"
        # A refresh is asked for by a script, never by following a link: its cookie needs no laxness.
        path = policy.path + _OWN
        return (
            f"{self.name}={access}; Path=/; Max-Age={access_age}; SameSite={policy.same_site}{common}",
            f"{self.refresh_name}={refresh}; Path={path}; Max-Age={refresh_age}; SameSite=Strict{common}",
        )

    def _value(self, request: Request, name: str) -> str | None:
        if self.policy is None:
            return None
        fields = request.header_values("cookie")
        return only("the cookie", cookie_values(fields, name)) if fields else None

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


def cookies_of(request: Request) -> Cookies:
    """The cookies of the server that a request came to."""
    found: Cookies = request.dispatcher.cookies
    return found
