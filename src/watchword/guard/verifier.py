"""From the text of an access token to its principal: pure, with a cache that holds only what cannot change.

A hit is the common case of an API under load, so it is a handful of dict look-ups; none of the
checks that time or the feed can turn is ever left out of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, NamedTuple, Protocol

import msgspec

from watchword.errors import InvalidToken, TemporarilyUnavailable
from watchword.guard.decryption import Open
from watchword.guard.overlay import show
from watchword.guard.principal import Principal
from watchword.guard.revocations import Overlay
from watchword.guard.view import View
from watchword.jose import jws, jwt
from watchword.jose.jwk import Key
from watchword.protocol import access_token
from watchword.protocol.access_token import AccessToken

__all__ = ["Proof", "Source", "Verifier"]

_REVOKED: Final = "the token was revoked"
_UNPROVEN: Final = "the token is bound to a key of which there is no proof"


class Source(Protocol):
    """Where the verifier reads what is known of the issuer."""

    @property
    def view(self) -> View:
        """What is known now."""

    def want(self, kid: str) -> None:
        """Say that a token named a key nobody knows; costs nothing and waits for nothing."""


class Proof(NamedTuple):
    """That the request came from the holder of a key (RFC 7800 3.2); no claim of JSON equals it."""

    jkt: str


class _Verified(msgspec.Struct, eq=False, gc=False):
    """A token whose signature and claims were found good, with the key object that said so."""

    token: AccessToken
    key: Key
    ends: float
    life: float
    version: int
    holder: object
    principal: Principal
    shown: tuple[Overlay, Principal] | None


class Verifier:
    """Verifies the access tokens of one issuer for one audience.

    Args:
        source: keys and revocations.
        issuer: the ``iss`` demanded.
        audience: the value ``aud`` must hold.
        algorithms: the allow-list.
        leeway: seconds of clock difference forgiven.
        cache_size: how many verified tokens are remembered; 0 = none.
        clock: seconds since the epoch.
        open_token: opens a token that was encrypted; what is remembered is the text that came.
    """

    __slots__ = (
        "_algorithms",
        "_audience",
        "_clock",
        "_half",
        "_issuer",
        "_leeway",
        "_old",
        "_source",
        "_young",
        "open_token",
    )

    def __init__(
        self,
        source: Source,
        *,
        issuer: str,
        audience: str,
        algorithms: Collection[str],
        leeway: float,
        cache_size: int,
        clock: Callable[[], float],
        open_token: Open | None = None,
    ) -> None:
        self._source = source
        self._issuer = issuer
        self._audience = audience
        self._algorithms = frozenset(algorithms)
        self._leeway = leeway
        self._clock = clock
        self.open_token = open_token
        # Two generations: forgetting is dropping a dict, with no lock and no order to keep.
        self._half = cache_size // 2
        self._young: dict[str, _Verified] = {}
        self._old: dict[str, _Verified] = {}

    def verify(self, token: str, holder: str | Proof | None = None) -> Principal:
        """The principal of *token*, which came as a bearer token or from *holder*.

        Args:
            token: the compact serialization.
            holder: the user name with which it came as a password, or the key of which there is proof.

        Raises:
            InvalidToken: it is malformed, forged, expired, revoked or for somebody else.
            TemporarilyUnavailable: it may be good, and nothing is known of the issuer yet.
        """
        if len(token) > access_token.MAX_SIZE:
            raise InvalidToken("the token is too long")  # before a dict would hash the whole of it
        view = self._source.view
        found = self._young.get(token)
        if found is None or view.keys.get(found.token.kid) is not found.key:
            found = self._admit(token, view)
        # The sum is as old as the view; where it refuses, both clocks are read again.
        if found.ends <= self._clock() + view.push and found.ends <= self._now(view):
            raise InvalidToken(f"the token has expired{view.note}")
        known = found.token
        if (
            known.sid in view.sessions
            or known.jti in view.tokens
            or found.version < view.base
            or 0 < view.longest_life < found.life
        ):
            raise InvalidToken(_REVOKED)
        kill = view.users.get(known.sub)
        if kill is not None and kill.hits(known.uv, known.sid):
            raise InvalidToken(_REVOKED)
        kill = view.clients.get(known.client_id)
        if kill is not None and kill.hits(known.cv, known.sid):
            raise InvalidToken(_REVOKED)
        if known.actors:
            _check_actors(known, view)
        if found.holder != holder:
            raise InvalidToken(
                _UNPROVEN if known.jkt is not None else "the token does not belong to this user name"
            )
        overlay = view.overlays.get(known.sub)
        if overlay is None or known.uv >= overlay.below:
            return found.principal
        shown = found.shown
        if shown is None or shown[0] is not overlay:
            found.shown = shown = (overlay, show(known, overlay))
        return shown[1]

    def __contains__(self, token: str) -> bool:
        """Whether *token* is one of those remembered best."""
        return token in self._young

    def opened(self, token: str) -> str:
        """*token* as it was signed, without the encryption around it.

        Raises:
            InvalidToken: it cannot be opened.
        """
        return token if self.open_token is None else self.open_token(token)

    @property
    def source(self) -> Source:
        """What it reads."""
        return self._source

    @property
    def cached(self) -> int:
        """How many verified tokens are remembered."""
        return len(self._young) + len(self._old)

    def _now(self, view: View) -> float:
        return self._clock() if view.time is None else view.time.now

    def _admit(self, token: str, view: View) -> _Verified:
        found = self._old.get(token)
        if found is None or view.keys.get(found.token.kid) is not found.key:
            found = self._check(token, view)
        if self._half:
            if len(self._young) >= self._half:
                self._old, self._young = self._young, {}
            self._young[token] = found
        return found

    def _check(self, token: str, view: View) -> _Verified:
        token = self.opened(token)
        if view.cold or not view.keys:
            jws.parse(token, max_size=access_token.MAX_SIZE)  # what can never be good is refused at once
            raise TemporarilyUnavailable("nothing is known of the issuer yet")
        try:
            found = access_token.verify(
                token,
                view.keyset,
                issuer=self._issuer,
                audience=self._audience,
                algorithms=self._algorithms,
                now=self._now(view),
                leeway=self._leeway,
                ahead=0.0 if view.time is None else view.time.claimed,
                bound=True,
            )
        except InvalidToken as refused:
            self._report_unknown_key(token, view)
            if view.note and isinstance(refused, jwt.WrongTime):
                raise InvalidToken(refused.description + view.note) from None
            raise
        return _Verified(
            found,
            view.keys[found.kid],
            found.exp + self._leeway,
            found.exp - found.iat,
            found.cv if found.sub.startswith("cli_") else found.uv,
            found.user_name if found.jkt is None else Proof(found.jkt),
            show(found, None),
            None,
        )

    def _report_unknown_key(self, token: str, view: View) -> None:
        try:
            kid = jws.parse(token, max_size=access_token.MAX_SIZE).kid
        except InvalidToken:
            return
        if kid is not None and kid not in view.keys:
            self._source.want(kid)


def _check_actors(token: AccessToken, view: View) -> None:
    for subject, version in token.actors:
        kill = view.users.get(subject)
        if kill is not None and kill.hits(version, token.sid):
            raise InvalidToken(_REVOKED)
