"""What a route demands and how a request that does not meet it is answered (RFC 6750 3): for every face the same."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, Literal, Self, TypeVar

import msgspec

from watchword.errors import (
    ConfigurationError,
    InsufficientScope,
    InvalidRequest,
    InvalidScope,
    MissingCredentials,
    TemporarilyUnavailable,
    TokenError,
    WatchwordError,
)
from watchword.guard.credentials import Header
from watchword.guard.guard import Guard
from watchword.guard.principal import Principal
from watchword.guard.request import Request
from watchword.protocol.challenge import holds_token, www_authenticate
from watchword.protocol.problem import MEDIA_TYPE, problem, simple
from watchword.protocol.scope import parse_scope

__all__ = ["Body", "Protection", "Refusal", "Words", "lacks_scope", "marked", "protection_of"]

Body = Literal["problem", "simple"]
Words = str | Collection[str]

_Marked = TypeVar("_Marked")

_ADMIN: Final = "admin"
_JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Refusal:
    """The whole answer to a request that was refused.

    Attributes:
        status: the HTTP status.
        headers: pairs of name and value.
        body: an encoded JSON document.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers as ASGI sends them."""
        return [(name.lower().encode(), value.encode()) for name, value in self.headers]


@dataclass(frozen=True, slots=True)
class Protection:
    """What a route demands of its caller.

    Attributes:
        guard: who verifies.
        scope: the words that the token's scope must hold, all of them.
        role: the roles of which the caller must have one; empty: none is asked for.
        fresh: seconds; how old the guard's news of revocations may be: when it is older, the issuer is asked;
            0: for each request. ``None``: no question is ever asked.
        optional: whether a caller without credentials comes in, as nobody.
        body: the form of a refusal: a problem document, or ``{"error", "message"}``.
    """

    guard: Guard
    scope: tuple[str, ...] = ()
    role: tuple[str, ...] = ()
    fresh: float | None = None
    optional: bool = False
    body: Body = "problem"

    @classmethod
    def parse(
        cls,
        guard: Guard,
        *,
        scope: Words = (),
        role: Words = (),
        fresh: float | None = None,
        optional: bool = False,
        body: Body = "problem",
    ) -> Self:
        """Take the arguments of ``protect``.

        Raises:
            ConfigurationError: one of them is not usable; a route is never left open by a slip.
        """
        if not isinstance(guard, Guard):
            raise ConfigurationError("guard: protect takes a Guard first")
        try:
            words = parse_scope(scope if isinstance(scope, str) else " ".join(_words("scope", scope)))
        except InvalidScope as fault:
            raise ConfigurationError(f"scope: {fault.description}") from None
        roles = _words("role", role)
        if fresh is not None and (type(fresh) not in (int, float) or not fresh >= 0):
            raise ConfigurationError("fresh: must be 0 seconds or more")
        if optional and (words or roles):
            raise ConfigurationError("optional: a route that demands a scope or a role has no use for nobody")
        if body not in ("problem", "simple"):
            raise ConfigurationError("body: must be problem or simple")
        return cls(guard, words, roles, fresh, optional, body)

    def authorize(
        self, header: Header, query: bytes = b"", request: Request | None = None
    ) -> Principal | None:
        """Who is calling, when he may; ``None`` for a caller without credentials where that is allowed.

        Only a route with ``fresh``, or a guard that introspects when stale, ever waits for an answer of the issuer,
        and only for a caller whose token is good by what is known already; and so does the first use of a key.

        Args:
            header: the value of ``Authorization``, every value where there were several, ``None`` without one.
            query: the query string as it came, in which no token may be (RFC 6750 2.3).
            request: the rest of the request, for credentials that stand elsewhere or cover it.

        Raises:
            MissingCredentials, InvalidToken, InvalidRequest: who it is cannot be told.
            TemporarilyUnavailable: what the guard knows is too old for this route.
            InsufficientScope: he may not.
        """
        try:
            return self._decide(header, query, request)
        except TemporarilyUnavailable:
            if not self._may_ask:
                raise
        self.guard.confirm()
        return self._decide(header, query, request, confirmed=True)

    async def authorize_async(
        self, header: Header, query: bytes = b"", request: Request | None = None
    ) -> Principal | None:
        """As ``authorize``; what has to be waited for does not hold up the event loop.

        Raises:
            MissingCredentials, InvalidToken, InvalidRequest, TemporarilyUnavailable, InsufficientScope: as
                ``authorize``.
        """
        await self.guard.prepare(header, request)
        try:
            return self._decide(header, query, request)
        except TemporarilyUnavailable:
            if not self._may_ask:
                raise
        await self.guard.confirm_async()
        # By the news a key's token may be dead, and the key not.
        await self.guard.prepare(header, request)
        return self._decide(header, query, request, confirmed=True)

    def refuse(self, error: WatchwordError) -> Refusal:
        """The answer that *error* becomes: status, challenge, document."""
        headers = [
            ("Content-Type", MEDIA_TYPE if self.body == "problem" else _JSON),
            ("Cache-Control", "no-store"),
        ]
        if isinstance(error, TokenError) and (challenge := www_authenticate(error)) is not None:
            headers.append(("WWW-Authenticate", challenge))
        if isinstance(error, TemporarilyUnavailable):
            headers.append(("Retry-After", str(error.retry_after)))
        encoded = msgspec.json.encode(self.document(error))
        headers.append(("Content-Length", str(len(encoded))))
        return Refusal(error.status, tuple(headers), encoded)

    def document(self, error: WatchwordError) -> dict[str, Any]:
        """The members of the answer's body."""
        return problem(error) if self.body == "problem" else dict(simple(error))

    @property
    def _may_ask(self) -> bool:
        return self.fresh is not None or self.guard.on_stale == "introspect"

    def _decide(
        self, header: Header, query: bytes, request: Request | None, *, confirmed: bool = False
    ) -> Principal | None:
        if query and holds_token(query):
            raise InvalidRequest("a token does not belong in the URL")
        try:
            principal = self.guard.authenticate(header, request)
        except MissingCredentials:
            if self.optional:
                return None
            raise
        self.check(principal, confirmed=confirmed)
        return principal

    def check(self, principal: Principal, *, confirmed: bool = False) -> None:
        """Check that *principal* may, by what is known; *confirmed*: the issuer was asked for this request.

        Raises:
            TemporarilyUnavailable: what the guard knows is too old for this route.
            InsufficientScope: he may not.
        """
        if self.fresh is not None:
            # News asked for after the request came is as fresh as any can be, 0 seconds included.
            if not confirmed:
                # A role is bound to the guard's own limit all the same.
                limit = self.guard.max_staleness
                self.guard.check_fresh(min(self.fresh, limit) if self.role else self.fresh)
        elif self.role:
            # An administrator's rights are the last to be believed on old news.
            self.guard.check_fresh()
        # The boolean claim `admin` says the same as the role of that name, and no other.
        granted = principal.has_role(*self.role) or (_ADMIN in self.role and principal.is_admin)
        if self.role and not granted:
            raise InsufficientScope("the caller lacks the role this takes", scope=self.scope)
        if self.scope and not principal.has_scope(*self.scope):
            raise lacks_scope(self.scope)


def lacks_scope(scope: Collection[str]) -> InsufficientScope:
    """The refusal of a token whose scope does not hold all of *scope*."""
    return InsufficientScope("the token lacks the scope this takes", scope=scope)


_MARK: Final = "__watchword__"


def marked(guarded: _Marked, protection: Protection) -> _Marked:
    """*guarded*, with what it demands written on it: ``watchword routes`` reads it there."""
    setattr(guarded, _MARK, protection)
    return guarded


def protection_of(thing: object) -> Protection | None:
    """What *thing* demands of callers: a view, a dependency, a wrapper, a guard or permission of a framework."""
    for name in (_MARK, "protection"):
        if isinstance(found := getattr(thing, name, None), Protection):
            return found
    return None


def _words(name: str, given: object) -> tuple[str, ...]:
    words = (given,) if isinstance(given, str) else given
    if isinstance(words, Collection) and all(isinstance(word, str) and word for word in words):
        return tuple(words)
    raise ConfigurationError(f"{name}: must be a text or several")
