"""Every rule of the house and its default, on one page. Settings fill these; no other module reads settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Literal
from urllib.parse import urlsplit

from watchword.protocol.cookie import origin_of
from watchword.server.store.records import LinkLimit, SessionRules

__all__ = [
    "AccessTokenPolicy",
    "ApiKeyPolicy",
    "CookiePolicy",
    "FeedPolicy",
    "KeyPolicy",
    "LimitPolicy",
    "MailPolicy",
    "MetricsPolicy",
    "PasswordPolicy",
    "RecoveryPolicy",
    "RegistrationPolicy",
    "RetentionPolicy",
    "SessionPolicy",
    "WebPolicy",
    "WriteKind",
]

WriteKind = Literal[
    "changes",
    "pairs",
    "removals",
    "log-outs",
    "passwords",
    "sign-ins",
    "departures",
    "administration",
    "setup",
]
"""What a caller writes: ``removals`` end a session or key; ``sign-ins`` prove a password, of a banned user, too."""


@dataclass(frozen=True, slots=True)
class AccessTokenPolicy:
    """What an access token says and how long (RFC 9068; RFC 9700 2.2)."""

    issuer: str
    audience: str = "api"
    lifetime: timedelta = timedelta(minutes=10)
    claims: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Extra claims: name on the wire -> where it comes from (``id email username name role roles admin``)."""
    basic_lifetime: timedelta = timedelta(minutes=20)
    """Of the token that is the password of a temporary Basic pair."""

    @property
    def longest_life(self) -> timedelta:
        """The longest that any token may live."""
        return max(self.lifetime, self.basic_lifetime)


@dataclass(frozen=True, slots=True)
class SessionPolicy:
    """How a session and its refresh token age (RFC 9700 4.14)."""

    lifetime: timedelta = timedelta(days=180)
    idle: timedelta = timedelta(days=30)
    grace: timedelta = timedelta(seconds=10)
    maximum_per_user: int = 20

    def rules(self, access_lifetime: timedelta) -> SessionRules:
        """The same, as the store's intentions take it."""
        return SessionRules(
            lifetime=self.lifetime,
            idle=self.idle,
            grace=self.grace,
            maximum_per_user=self.maximum_per_user,
            access_lifetime=access_lifetime,
        )


@dataclass(frozen=True, slots=True)
class CookiePolicy:
    """How tokens travel in cookies (ASVS 3.3, RFC 6265bis)."""

    issuer: str
    name: str = "watchword"
    domain: str | None = None
    """Whose hosts all get them; ``None``: the issuer's host alone."""
    same_site: Literal["Lax", "Strict"] = "Lax"
    origins: frozenset[str] = frozenset()
    """Other origins whose pages may act by them."""

    @property
    def https(self) -> bool:
        """Whether they travel by TLS alone."""
        return self.issuer.startswith("https:")

    @property
    def path(self) -> str:
        """Under which path of its host the server stands."""
        return urlsplit(self.issuer).path

    @property
    def allowed(self) -> frozenset[str]:
        """Every origin whose pages may act by them."""
        return self.origins | {origin_of(self.issuer)}


@dataclass(frozen=True, slots=True)
class ApiKeyPolicy:
    """How API keys age and how many a user may have; each has an end, so that a forgotten one is not for ever."""

    lifetime: timedelta = timedelta(days=90)
    """Of a key whose maker says nothing."""
    longest: timedelta = timedelta(days=365)
    maximum_per_user: int = 50


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """What a password must be and what its hash costs (NIST 800-63B-4 3.1.1, OWASP Password Storage)."""

    minimum_length: int = 8
    maximum_bytes: int = 1024
    memory: int = 19_456
    """KiB of one Argon2id computation."""
    passes: int = 2
    lanes: int = 1
    threads: int = 1
    """Computations at once in this process, and as many again of low priority; memory is bounded by both."""
    queue: timedelta = timedelta(seconds=1)
    """Work that may wait; beyond it the answer is 503, at once."""


@dataclass(frozen=True, slots=True)
class RegistrationPolicy:
    """Who may make an account."""

    open: bool = True
    roles: tuple[str, ...] = ("user",)


@dataclass(frozen=True, slots=True)
class RecoveryPolicy:
    """How a forgotten password is replaced (ASVS 6.4.3: links are short-lived and work once)."""

    lifetime: timedelta = timedelta(minutes=30)
    page: str | None = None
    """Where the link leads, in place of our own page."""
    per_account: LinkLimit = field(default=LinkLimit(links=5, window=timedelta(hours=1)))
    """Mails to one account, whoever asks for them."""


@dataclass(frozen=True, slots=True)
class MailPolicy:
    """Where mail is handed over, and how patiently (RFC 5321 4.5.4, RFC 8314 3.3)."""

    host: str = ""
    """Empty: no mail is sent."""
    port: int = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    sender: str = ""
    timeout: timedelta = timedelta(seconds=20)
    """How long the relay may take for one answer."""
    capacity: int = 1000
    """Mails that may wait in one process; one more is refused."""
    share: int = 100
    """Of them, those that one user or one network caused."""
    carriers: int = 4
    """Mails that are handed over at once."""
    pause: timedelta = timedelta(seconds=1)
    """The longest that an errand waits for its first turn: its work must not stand beside its question."""
    waits: tuple[timedelta, ...] = tuple(timedelta(seconds=span) for span in (1, 15, 60, 300))
    """Before each further try."""


@dataclass(frozen=True, slots=True)
class LimitPolicy:
    """How often a secret may be tried (NIST 800-63B-4 3.2.2). Only failures count."""

    attempts_per_account: int = 10
    """Failures a window on one account from one network."""
    attempts_per_address: int = 100
    """Failures a window from one address; three times as many from its neighbourhood, thirty times from everybody."""
    failures_per_account: int = 100
    """Failures in a row on one account from all networks; beyond it only networks its user knows may try freely."""
    registrations_per_address: int = 60
    resets_per_address: int = 30
    """Requests for a link to choose another password, and links that are none."""
    sign_ins_per_user: int = 120
    """Sign-ins of one user that succeed, a window; each opens a session and ends the one too many."""
    writes_per_user: int = 60
    writes_per_address: int = 600
    admin_writes_per_user: int = 6000
    window: timedelta = timedelta(minutes=1)
    longest_wait: timedelta = timedelta(minutes=15)
    """What the wait grows to, doubling with each failure after a wait."""

    @property
    def writes_of_user(self) -> Mapping[WriteKind, int]:
        """How much of each kind one user may write, a window; what leaves entries in the feed is rarer."""
        writes = self.writes_per_user
        return {
            "changes": writes,
            "pairs": _share(writes, 3),
            "removals": _share(writes, 3),
            "log-outs": _share(writes, 3),
            "passwords": _share(writes, 6),
            "sign-ins": self.sign_ins_per_user if self.attempts_per_address else 0,
            "departures": writes,
            "administration": self.admin_writes_per_user,
            "setup": 0,
        }

    @property
    def writes_of_network(self) -> Mapping[WriteKind, int]:
        """The same for one network: an office of many users."""
        writes = self.writes_per_address
        return {
            "changes": writes,
            "pairs": _share(writes, 3),
            "removals": _share(writes, 3),
            "log-outs": writes,
            "passwords": _share(writes, 3),
            "sign-ins": 2 * writes if self.attempts_per_address else 0,
            # Whoever leaves and registers again has all of a user's limits anew.
            "departures": _share(writes, 50),
            "administration": 2 * self.admin_writes_per_user,
            "setup": _share(writes, 20),
        }


def _share(count: int, parts: int) -> int:
    return max(1, count // parts) if count else 0


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """How signing keys come and go."""

    algorithm: str = "ES256"
    publication: timedelta = timedelta(seconds=60)
    """A key signs only after it has been in the served key set this long: the ``max-age`` of the JWKS."""
    reach: timedelta = timedelta(seconds=1)
    """The same in an incident: how long the feed may take to tell every guard of a key that was made just now."""
    rotation: timedelta | None = timedelta(days=90)
    """How long a key signs before the waiting one takes over by itself; ``None``: until somebody asks."""
    secrets: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """Root secrets shared with an API, by audience, the newest last: what its HS256 keys are derived from."""


@dataclass(frozen=True, slots=True)
class FeedPolicy:
    """How the revocation feed breathes."""

    heartbeat: timedelta = timedelta(seconds=5)
    queue: int = 256
    """Messages a slow listener may lie behind before it is dropped."""
    form: Literal["full", "open", "closed"] = "full"
    """What those hear who show no secret: everything; kills alone, in which nobody reads what a user is; nothing."""
    secret: str | None = field(default=None, repr=False)
    """What a guard shows to hear everything."""
    near: int = 1000
    """Entries that are signed for one asker; who lacks more gets the snapshot, which is made once for all."""
    long: int = 10_000
    """Entries from which on a snapshot is kept for ``long_age``, though the log moves on."""
    long_age: timedelta = timedelta(seconds=1)
    page: int = 50_000
    """Entries read from the log at once."""


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How long what is over is kept, and how it goes: a little each second, never a long transaction."""

    events: timedelta = timedelta(days=365)
    sessions: timedelta = timedelta(days=30)
    batch: int = 500
    """Rows of one transaction."""
    batches: int = 10
    """Transactions a second, at most."""


@dataclass(frozen=True, slots=True)
class MetricsPolicy:
    """Who may read the metrics, and where."""

    place: str = "off"
    """``off``, ``token``, ``public``, or ``HOST:PORT``."""
    token: str | None = field(default=None, repr=False)

    @property
    def listener(self) -> tuple[str, int] | None:
        """The address of the listener that serves nothing else, if there is one."""
        host, colon, port = self.place.rpartition(":")
        return (host.strip("[]"), int(port)) if colon else None

    @property
    def beside(self) -> MetricsPolicy:
        """What holds on that listener."""
        return MetricsPolicy("public" if self.token is None else "token", self.token)


@dataclass(frozen=True, slots=True)
class WebPolicy:
    """What HTTP may ask of us."""

    body_limit: int = 65_536
    """Bytes of a request body."""
    head_limit: int = 32_768
    """Bytes of a request's address and header fields."""
    head: timedelta = timedelta(seconds=10)
    """How long a client may take for the head of a request, from its first byte or from connecting."""
    body: timedelta = timedelta(seconds=20)
    """How long it may take for the body."""
    idle: timedelta = timedelta(seconds=5)
    """How long a connection may stand open between two requests."""
    unread: timedelta = timedelta(seconds=30)
    """How long a client may leave its answer unread."""
    connections: int = 20_000
    """Connections at once in one process; one more is refused."""
    connections_per_network: int = 1_000
    """Connections at once from one IPv4 address or IPv6 /64; those of trusted proxies are not counted."""
    streams_per_network: int = 500
    """Streams of revocations at once of one client's IPv4 address or IPv6 /64, behind proxies too."""
    metrics: MetricsPolicy = field(default_factory=MetricsPolicy)
    cors_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    drain: timedelta = timedelta(seconds=10)

    @property
    def streams(self) -> int:
        """Streams at once in one process: a tenth of the connections is left for everything else."""
        return self.connections - max(self.connections // 10, 1)
