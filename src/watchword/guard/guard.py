"""The guard: verifies access tokens inside an API, and hears within milliseconds which of them died.

A token is verified without asking anybody: one background thread a process keeps the issuer's keys and its
revocation feed. A key that is met for the first time is asked about, once in the life of the token it stands for.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from watchword.errors import InvalidToken, TemporarilyUnavailable
from watchword.guard.arguments import check_alone, check_arguments
from watchword.guard.cookie import TokenCookie
from watchword.guard.credentials import Header, api_key_of, credentials_of, may_be_api_key, text_of
from watchword.guard.decryption import opening
from watchword.guard.forking import outlive_forks
from watchword.guard.offline import Offline, offline_health, parse_keys
from watchword.guard.presented import presented
from watchword.guard.principal import Principal
from watchword.guard.request import Request
from watchword.guard.verifier import Verifier
from watchword.guard.view import View
from watchword.jose.jwk import KeySet
from watchword.protocol.basic import parse_basic
from watchword.protocol.challenge import MAX_SIZE
from watchword.protocol.metadata import check_issuer_url

if TYPE_CHECKING:
    from watchword.guard.api_keys import ApiKeys
    from watchword.guard.exchange import Exchange
    from watchword.guard.feed import Feed
    from watchword.guard.signed import SignedRequests

__all__ = ["Guard", "OnStale"]

OnStale = Literal["accept", "reject", "introspect"]

PATIENCE: Final = 2.0
"""Seconds that a request may wait for the issuer's answer, where it asks at all."""

_UNCONFIRMED: Final = "this needs fresh news of revocations, and the issuer did not answer"
_FIRST_WAIT: Final = 3.0


class Guard:
    """Verifies the access tokens of one issuer for one audience (RFC 9068 4).

    ::

        guard = Guard("https://auth.example.com")
        principal = guard.verify(token)

    Args:
        issuer: the authorization server's URL: the ``iss`` demanded, byte by byte, and where keys and feed are.
        audience: the value that ``aud`` must hold.
        keys: a key set; with it the guard works offline: no thread, no feed, no revocation.
        secrets: the root secrets shared with the server, for HS256, which is then allowed beside
            *algorithms*; a second one replaces a leaked first.
        feed_secret: the server's ``FEED_SECRET``; without it a change of roles may end tokens, not change them.
        algorithms: the allow-list; a token never widens it.
        leeway: seconds of clock difference forgiven, at most 240.
        max_staleness: seconds of silence after which the feed counts as stale.
        on_stale: what then happens: ``accept`` goes on with what is known, ``reject`` refuses (503),
            ``introspect`` has the faces and ``authenticate_async`` ask the issuer first and refuses when
            there is no answer; ``verify`` and ``authenticate``, which never ask, refuse at once.
        snapshot: a file that keeps keys and revocations, so that an API starts with the server down.
        cache_size: how many verified tokens are remembered.
        clock: seconds since the epoch.
        cookie: the name of the server's cookie with the access token, ``COOKIE_NAME``; given that, requests may
            bring it in place of a header. Under an https issuer ``__Host-`` is put before it; where the server
            has a ``COOKIE_DOMAIN``, write ``__Secure-`` yourself.
        cookie_origins: origins, besides the issuer's, whose pages may change things by it.
        origin: the API's own public address, as ``https://api.example.com``: with it, signed requests come in;
            what clients sign is compared with it and never with a ``Host`` field.
        api_keys: whether API keys come in: the first use of one asks the issuer, once in a token's life. A guard
            with keys of its own reaches no issuer and takes none.
        decryption_keys: a key set with this API's private keys, for tokens that the server encrypts to it; a second
            one replaces a first. It takes ``watchword[jwe]``.
        require_encryption: whether a token that is not encrypted is refused.
        feed: where keys and revocations are heard in place of the issuer's URL: ``watchword.testing`` has one.

    Raises:
        ConfigurationError: an argument is not usable.
    """

    __slots__ = (
        "__weakref__", "_api_keys", "_begun", "_cookie", "_exchange", "_issuer", "_signed", "_strict", "_verifier",
        "_verify", "algorithms", "audience", "issuer", "max_staleness", "on_stale", "origin",
    )  # fmt: skip

    def __init__(
        self,
        issuer: str,
        audience: str = "api",
        *,
        keys: KeySet | Mapping[str, Any] | str | bytes | None = None,
        secrets: bytes | str | Sequence[bytes | str] | None = None,
        feed_secret: str | None = None,
        algorithms: Collection[str] = ("ES256", "RS256", "PS256", "Ed25519", "EdDSA"),
        leeway: float = 30,
        max_staleness: float = 60,
        on_stale: OnStale = "accept",
        snapshot: str | os.PathLike[str] | None = None,
        cache_size: int = 10_000,
        clock: Callable[[], float] = time.time,
        cookie: str | None = None,
        cookie_origins: Collection[str] = (),
        origin: str | None = None,
        api_keys: bool = True,
        decryption_keys: Mapping[str, Any] | str | bytes | None = None,
        require_encryption: bool = False,
        feed: Feed | None = None,
    ) -> None:
        self.issuer = check_issuer_url(issuer)
        self.origin = origin
        self.audience = audience
        self.max_staleness = max_staleness
        self.on_stale = on_stale
        check_arguments(audience, algorithms, leeway, max_staleness, on_stale, cache_size, feed_secret)
        self._cookie = TokenCookie.parse(issuer, cookie, cookie_origins)
        self._issuer: Feed | None = feed
        allowed = set(algorithms)
        source: Offline | Feed
        if keys is not None:
            check_alone(secrets, snapshot, origin, feed)
            keyset = parse_keys(keys)
            # Whoever hands over a shared secret wants it used; nobody else gets HMAC.
            allowed |= {key.algorithm for key in keyset if key.symmetric}
            source = Offline(View(keyset))
        elif feed is not None:
            source = feed
        else:
            # Only a guard with a feed needs threads and HTTP; the import is not cheap.
            from watchword.guard.issuer import Issuer

            if secrets is not None:
                allowed |= {"HS256"}
            source = self._issuer = Issuer.create(
                self.issuer,
                audience,
                secrets=secrets,
                feed_secret=feed_secret,
                max_staleness=max_staleness,
                patience=PATIENCE,
                snapshot=snapshot,
                leeway=leeway,
                clock=clock,
            )
        self.algorithms = frozenset(allowed)
        self._verifier = Verifier(
            source,
            issuer=self.issuer,
            audience=audience,
            algorithms=allowed,
            leeway=leeway,
            cache_size=cache_size,
            clock=clock,
            open_token=opening(decryption_keys, required=require_encryption),
        )
        self._verify = self._verifier.verify
        self._exchange: Exchange | None = None
        self._api_keys: ApiKeys | None = None
        self._signed: SignedRequests | None = None
        if self._issuer is not None:
            from watchword.guard.api_keys import ApiKeys
            from watchword.guard.exchange import Exchange

            trade = self._issuer.exchange
            self._exchange = Exchange(
                lambda kind, credential: trade(kind, credential, audience), opened=self._verifier.opened
            )
            self._api_keys = ApiKeys(self._exchange, self._verifier) if api_keys else None
        if origin is not None and self._exchange is not None:
            # Only an API that takes signed requests needs the package that reads them.
            from watchword.guard.signed import SignedRequests, check_origin

            self._signed = SignedRequests(
                check_origin(origin),
                exchange=self._exchange,
                verifier=self._verifier,
                leeway=leeway,
                clock=clock,
            )
        self._begun = self._issuer is None
        self._strict = self._issuer is not None and on_stale != "accept"
        if self._issuer is not None:
            outlive_forks(self)
            weakref.finalize(self, self._issuer.close)

    def __repr__(self) -> str:
        return f"Guard({self.issuer!r}, {self.audience!r})"

    def verify(self, token: str | bytes) -> Principal:
        """The principal of an access token that came as a bearer token.

        No I/O, no lock, no wait; only the very first use begins the feed and may wait for its first
        answer, for three seconds at most.

        Raises:
            InvalidToken: it is malformed, forged, expired, revoked or for somebody else.
            TemporarilyUnavailable: nothing is known of the issuer yet, or the feed is stale and
                ``on_stale`` does not accept that.
        """
        if not self._begun:
            self._begin()
        principal = self._verify(token if type(token) is str else text_of(token))
        if self._strict:
            self.check_fresh()
        return principal

    def authenticate(self, header: Header, request: Request | None = None) -> Principal:
        """The principal of an ``Authorization`` value: ``Bearer``, or a temporary ``Basic`` pair (RFC 6750, 7617).

        An API key may stand in either. A request without a value may be signed instead (RFC 9421).

        Args:
            header: the value, every value where the request had several, or ``None`` without one.
            request: the rest of the request; a cookie stands there; bearer tokens and Basic pairs need nothing of it.

        Raises:
            MissingCredentials: there is no value.
            InvalidRequest: there is more than one.
            CrossSite: a cookie came, and no page that may use it sent it.
            InvalidToken, TemporarilyUnavailable: as ``verify``.
            ContentTooLarge: the body of a signed request is.
        """
        if request is not None:
            header = presented(header, request, self._cookie, self._signed)
        # A remembered token has been read whole before, so its field needs no second reading.
        if type(header) is str and len(header) <= MAX_SIZE and header.startswith("Bearer "):
            token = header[7:]
            if token in self._verifier:
                return self.verify(token)
        if header is None and request is not None and self._signed is not None:
            if not self._begun:
                self._begin()
            principal = self._signed.authenticate(request)
        else:
            credentials = credentials_of(header)
            key = api_key_of(credentials)
            if credentials.scheme not in ("bearer", "basic"):
                raise InvalidToken("this authentication scheme is not supported")
            if not self._begun:
                self._begin()
            if key is not None:
                if self._api_keys is None:
                    raise InvalidToken("this API takes no API keys")
                principal = self._api_keys.authenticate(key)
            elif credentials.scheme == "bearer":
                principal = self._verify(credentials.token)
            else:
                user_name, password = parse_basic(credentials.token)
                principal = self._verify(password, user_name)
        if self._strict:
            self.check_fresh()
        return principal

    async def authenticate_async(self, header: Header, request: Request | None = None) -> Principal:
        """As ``authenticate``; under ``on_stale="introspect"`` a stale guard asks the issuer before it refuses.

        Nothing that is waited for holds up the event loop.

        Raises:
            MissingCredentials, InvalidRequest, CrossSite, InvalidToken, TemporarilyUnavailable: as
                ``authenticate``.
        """
        await self.prepare(header, request)
        try:
            return self.authenticate(header, request)
        except TemporarilyUnavailable:
            if self.on_stale != "introspect":
                raise
        await self.confirm_async()
        await self.prepare(header, request)
        return self.authenticate(header, request)

    async def prepare(self, header: Header, request: Request | None = None) -> None:
        """Have what ``authenticate`` would wait for, off the event loop: mostly nothing.

        Raises:
            InvalidRequest, InvalidToken, TemporarilyUnavailable, ContentTooLarge: as ``authenticate``.
        """
        await self.ready()
        if request is not None:
            header = presented(header, request, self._cookie, self._signed)
        if header is None and request is not None and self._signed is not None:
            await self._signed.prepare(request)
        elif self._api_keys is not None and may_be_api_key(header):
            await self._api_keys.prepare(header)

    async def ready(self) -> None:
        """Be begun: the wait of the very first use, off the event loop; every later call returns at once."""
        if not self._begun:
            import asyncio

            await asyncio.to_thread(self._begin)

    def check_fresh(self, within: float | None = None) -> None:
        """Check that the feed was heard within *within* seconds, by default ``max_staleness``; no I/O.

        Routes that name a role ask this, whatever ``on_stale`` says. An offline guard has no feed that
        could be stale.

        Raises:
            TemporarilyUnavailable: it was not.
        """
        if self._issuer is None:
            return
        if not self._begun:
            self._begin()
        if self._issuer.age() > (self.max_staleness if within is None else within):
            raise TemporarilyUnavailable(f"what is known of revocations is too old{self._issuer.view.note}")

    def confirm(self) -> None:
        """Ask the issuer now whether anything was revoked, and wait for the answer, for two seconds at most.

        Callers at the same time share one question, asked after the last of them came. When this
        returns, a verification knows of every revocation that was answered before this was called.

        Raises:
            TemporarilyUnavailable: there was no answer, so that nothing new can be known.
        """
        if self._issuer is None:
            return
        if not self._begun:
            self._begin()
        try:
            self._issuer.confirm().result(PATIENCE)
        except (TimeoutError, TemporarilyUnavailable) as fault:
            raise TemporarilyUnavailable(_UNCONFIRMED) from fault

    async def confirm_async(self) -> None:
        """As ``confirm``, without holding up the event loop.

        Raises:
            TemporarilyUnavailable: as ``confirm``.
        """
        if self._issuer is None:
            return
        await self.ready()
        import asyncio

        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.wrap_future(self._issuer.confirm())
        except (TimeoutError, TemporarilyUnavailable) as fault:
            raise TemporarilyUnavailable(_UNCONFIRMED) from fault

    def health(self) -> dict[str, Any]:
        """How the feed is: ``state age clock epoch sequence entries kids alarms error``, and ``cached`` tokens.

        ``state``: ``offline cold live late stale`` (docs/guard.md); ``clock``: seconds this machine's is ahead.
        """
        known = offline_health(self._verifier.source.view) if self._issuer is None else self._issuer.health()
        return {**known, "cached": self._verifier.cached}

    def staleness(self) -> float | None:
        """Seconds since the issuer was last heard; ``None`` where nothing was, or keys were given."""
        if self._issuer is None or self._verifier.source.view.cold:
            return None
        return self._issuer.age()

    def metrics(self) -> str:
        """The same as ``health``, in the text form of Prometheus."""
        from watchword.guard.metrics import exposition

        return exposition(self.health(), issuer=self.issuer, audience=self.audience)

    def refresh(self) -> None:
        """Fetch keys and revocations now and wait for them: for programs too short for a background thread.

        Raises:
            TemporarilyUnavailable: the issuer could not be reached, or what it said was not acceptable.
        """
        if self._issuer is not None:
            self._issuer.refresh()

    def close(self) -> None:
        """End the background thread; what is known stays and goes stale."""
        if self._issuer is not None:
            self._begun = True
            self._issuer.close()

    def _begin(self) -> None:
        assert self._issuer is not None
        self._issuer.start()
        self._issuer.wait(_FIRST_WAIT)
        self._begun = True

    def after_fork(self) -> None:
        """Be usable in a child process, where the parent's threads are not: the first use begins its own."""
        if self._issuer is not None and self._issuer.forked():
            self._begun = False
        for part in (self._exchange, self._signed):
            if part is not None:
                part.forked()
