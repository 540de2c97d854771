"""A pretend issuer: real keys, real tokens, a real revocation log; no server, no network, no waiting."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import timedelta
from os import urandom
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from watchword.errors import ConfigurationError, InvalidToken
from watchword.guard.guard import Guard
from watchword.guard.knowledge import Knowledge
from watchword.jose import jws
from watchword.jose.encoding import parse_json_object
from watchword.jose.jwk import Key
from watchword.protocol import access_token, revocation_list
from watchword.protocol.access_token import FIRST_PARTY_CLIENT_ID
from watchword.protocol.api_key import SECRET_SIZE, ApiKey
from watchword.protocol.basic import BASIC_USERNAME, format_basic
from watchword.protocol.revocation_list import Entry, RevocationList
from watchword.protocol.scope import format_scope
from watchword.testing.ear import Ear

if TYPE_CHECKING:
    from watchword.protocol.signature import RequestSigner

__all__ = ["Clock", "PretendIssuer"]

START: Final = 1_900_000_000.0
"""The moment at which every test begins, unless it says another: in March 2030."""


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: float = START, *, moved: Callable[[], None] = lambda: None) -> None:
        self._now = now
        self._moved = moved

    def time(self) -> float:
        """Seconds since the epoch."""
        return self._now

    def advance(self, span: float | timedelta) -> None:
        """Let time go by: seconds, or a ``timedelta``."""
        seconds = span.total_seconds() if isinstance(span, timedelta) else span
        if seconds < 0:
            raise ValueError("time does not run backwards")
        self._now += seconds
        self._moved()


class PretendIssuer:
    """An authorization server that a test has in its hand.

    Args:
        url: the ``iss`` of its tokens.
        audience: the API they are for.
        now: when the clock starts, in seconds since the epoch.
        algorithm: of the signing key.
    """

    def __init__(
        self,
        url: str = "https://auth.example.com",
        *,
        audience: str = "api",
        now: float = START,
        algorithm: str = "ES256",
    ) -> None:
        self.url = url
        self.audience = audience
        self.clock = Clock(now, moved=self._beat)
        self._algorithm = algorithm
        self._keys = [Key.generate(algorithm)]
        self._dead: set[str] = set()
        self._feed_key = Key.generate("ES256")
        self._log: list[Entry] = []
        self._versions: dict[str, int] = {}
        self._tokens = 0
        self._signers: dict[str, tuple[Key, str, dict[str, Any]]] = {}
        self._api_keys: dict[str, tuple[str, dict[str, Any]]] = {}
        self._ended: set[str] = set()
        self._ears: list[Ear] = []
        self._silent = False
        self._taken_over: list[tuple[Guard, dict[str, Any]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def guard(self, audience: str | None = None, **options: Any) -> Guard:
        """A guard that hears this issuer and goes by its clock; *options* are those of ``Guard``."""
        knowledge = Knowledge(
            self.url,
            clock=self.clock.time,
            monotonic=self.clock.time,
            leeway=options.get("leeway", 30),
        )
        ear = Ear(knowledge, options.get("max_staleness", 60), self._trade)
        ear.silent = self._silent
        self._tell(ear)
        self._ears.append(ear)
        return Guard(self.url, audience or self.audience, clock=self.clock.time, feed=ear, **options)

    def take_over(self, guard: Guard) -> None:
        """Make a guard that the API already has hear this issuer, until ``close``."""
        own = self.guard(
            guard.audience,
            max_staleness=guard.max_staleness,
            on_stale=guard.on_stale,
            origin=guard.origin,
            api_keys=guard._api_keys is not None,
        )
        own._verifier.open_token = guard._verifier.open_token
        names = [name for name in Guard.__slots__ if name not in ("__weakref__", "_cookie")]
        self._taken_over.append((guard, {name: getattr(guard, name) for name in names}))
        # Routes were given this very object when the API was imported, so it is this object that changes.
        for name in names:
            setattr(guard, name, getattr(own, name))

    def close(self) -> None:
        """Give every guard that was taken over back to its own issuer."""
        while self._taken_over:
            guard, state = self._taken_over.pop()
            for name, value in state.items():
                setattr(guard, name, value)

    def token(
        self,
        subject: str = "usr_test",
        *,
        roles: Collection[str] = ("user",),
        scope: str | Collection[str] = "profile",
        lifetime: float | timedelta = 600,
        client_id: str = FIRST_PARTY_CLIENT_ID,
        session_id: str | None = "ses_test",
        audience: str | Collection[str] | None = None,
        **claims: Any,
    ) -> str:
        """A signed access token.

        Args:
            subject: whose it is: ``usr_…``, or ``cli_…`` for a client of its own.
            roles: his roles.
            scope: what it allows.
            lifetime: how long; less than nothing makes one that is over.
            client_id: the client it was issued to.
            session_id: ``sid``; ``None``: it belongs to no session.
            audience: the APIs it is for, instead of this issuer's own.
            claims: further claims; one that is ``None`` is left out.
        """
        seconds = lifetime.total_seconds() if isinstance(lifetime, timedelta) else lifetime
        now = int(self.clock.time())
        self._tokens += 1
        given = audience if audience is not None else [self.url, self.audience]
        found = {
            "iss": self.url,
            "sub": subject,
            "aud": given if isinstance(given, str) else list(given),
            "exp": now + int(seconds),
            "iat": now if seconds > 0 else now + int(seconds) - 1,
            "jti": f"test-{self._tokens}",
            "client_id": client_id,
            "sid": session_id,
            "scope": scope if isinstance(scope, str) else format_scope(scope),
            "roles": list(roles),
            "uv": self._version(subject),
            "cv": self._version(client_id),
            **claims,
        }
        return access_token.issue(
            {name: value for name, value in found.items() if value is not None}, self._keys[-1]
        )

    def headers(self, subject: str = "usr_test", **options: Any) -> dict[str, str]:
        """The header fields of a request by *subject*; *options* are those of ``token``."""
        return {"Authorization": f"Bearer {self.token(subject, **options)}"}

    def basic(
        self, subject: str = "usr_test", *, username: str = "testsession1", **options: Any
    ) -> dict[str, str]:
        """The same with a temporary Basic pair (RFC 7617)."""
        options[BASIC_USERNAME] = username
        password = self.token(subject, **options)
        return {"Authorization": f"Basic {format_basic(username, password)}"}

    def api_key(self, subject: str = "usr_test", *, session_id: str | None = None, **options: Any) -> str:
        """An API key of *subject*; *options* are those of ``token``, and say what it is traded for.

        The key is a session, which ``revoke(session_id=…)`` ends.
        """
        self._tokens += 1
        key = ApiKey(self._tokens.to_bytes(16, "big"), urandom(SECRET_SIZE)).text()
        self._api_keys[key] = subject, {"session_id": session_id or f"ses_key_{self._tokens}", **options}
        return key

    def signer(
        self, subject: str = "usr_test", *, session_id: str = "ses_signing", **options: Any
    ) -> RequestSigner:
        """What signs requests of *subject* with a key that is his (RFC 9421); *options* are those of ``token``.

        The key is a session, which ``revoke(session_id=…)`` ends; its id is the ``keyid``.
        """
        from watchword.protocol.signature import RequestSigner

        key = Key.generate("Ed25519")
        self._signers[session_id] = key, subject, options
        return RequestSigner(key, session_id, now=self.clock.time)

    def _trade(self, kind: str, credential: str, audience: str) -> str:
        if kind == "api_key" and credential in self._api_keys:
            subject, options = self._api_keys[credential]
            if options["session_id"] not in self._ended:
                return self.token(subject, **{"audience": audience, **options})
        found = self._signers.get(credential)
        if kind != "signing_key" or found is None or credential in self._ended:
            raise InvalidToken("the credentials are unknown, expired or revoked")
        key, subject, options = found
        members = {n: v for n, v in key.public_jwk().items() if n in ("kty", "crv", "x", "y")}
        options = {"session_id": credential, "cnf": {"jwk": members}, **options}
        return self.token(
            subject,
            **{**options, "audience": access_token.signed_audience(options.get("audience", audience))},
        )

    def revoke(
        self,
        token: str | None = None,
        *,
        session_id: str | None = None,
        subject: str | None = None,
        client_id: str | None = None,
    ) -> None:
        """Kill one token, one session, or every token that a user or client has now; guards hear it at once."""
        if token is not None:
            claims = parse_json_object(jws.parse(token).payload)
            self._write("token", str(claims["jti"]))
        if session_id is not None:
            self._ended.add(session_id)
            self._write("session", session_id)
        if subject is not None:
            self._ended.update(one for one, made in self._signers.items() if made[1] == subject)
            self._ended.update(o["session_id"] for owner, o in self._api_keys.values() if owner == subject)
            self._write("user", subject, below=self._raise(subject))
        if client_id is not None:
            self._write("client", client_id, below=self._raise(client_id))

    def change(self, subject: str, **claims: Any) -> None:
        """Give a user other claims, as ``roles=["admin"]``: tokens that he has already show them from now on."""
        if not isinstance(claims.get("roles", []), list):
            raise ConfigurationError("roles: must be a list")
        clients = (FIRST_PARTY_CLIENT_ID,)
        self._write("claims", subject, below=self._raise(subject), claims=claims, clients=clients)

    def rotate_key(self, *, compromised: bool = False) -> None:
        """Sign with a new key from now on; tokens under the old one live on, unless it was *compromised*."""
        if compromised:
            self._dead.add(self._keys[-1].kid)
        self._keys.append(Key.generate(self._algorithm))
        self._write("key")

    def silence(self) -> None:
        """Be heard by no guard: what happens from now on is not told, and what they know grows old."""
        self._set_silent(True)

    def speak(self) -> None:
        """Be heard again; guards learn what they missed."""
        self._set_silent(False)
        self._beat()

    def jwks(self) -> dict[str, Any]:
        """The public keys, for a guard or a library that takes a key set."""
        return {"keys": [key.public_jwk() for key in self._alive()]}

    def _set_silent(self, silent: bool) -> None:
        self._silent = silent
        for ear in self._ears:
            ear.silent = silent

    def _version(self, id: str) -> int:
        return self._versions.get(id, 1)

    def _raise(self, id: str) -> int:
        self._versions[id] = self._version(id) + 1
        return self._versions[id]

    def _write(self, kind: Any, id: str = "", **members: Any) -> None:
        self._log.append(Entry(sequence=len(self._log) + 1, kind=kind, id=id, **members))
        self._beat()

    def _beat(self) -> None:
        if not self._silent:
            for ear in self._ears:
                self._tell(ear)

    def _tell(self, ear: Ear) -> None:
        message = RevocationList(
            iss=self.url,
            epoch=1,
            after=0,
            sequence=len(self._log),
            iat=self.clock.time(),
            kids=tuple(key.kid for key in self._alive()),
            entries=tuple(self._log),
        )
        ear.hear(revocation_list.sign(message, self._feed_key), keys=self._alive(), feed_key=self._feed_key)

    def _alive(self) -> tuple[Key, ...]:
        return tuple(key for key in self._keys if key.kid not in self._dead)
