"""What a server was started with. Read once, at start; anything unknown or ill-typed stops it.

A flag wins over ``WATCHWORD_<NAME>``, that over ``WATCHWORD_<NAME>_FILE``, that over ``watchword.toml``, that over
the default. No other module reads the environment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

from watchword.errors import ConfigurationError
from watchword.protocol.metadata import check_issuer_url, is_loopback
from watchword.server import policies
from watchword.server.coherence import check_host, check_together, inert
from watchword.server.knobs import ROWS, Row
from watchword.server.parsing import (
    check_issuer_path,
    format_span,
    format_value,
    parse_database,
)
from watchword.server.sources import FILE, Found, read_environment, read_flags, read_toml
from watchword.server.store.records import LinkLimit

__all__ = ["FILE", "ROWS", "Row", "Settings"]


_BY_NAME: Final = {row.name: row for row in ROWS}
_LISTS: Final = [row.name for row in ROWS if row.lines and row.name != "SECRET"]
_HASHES: Final = {"standard": (19_456, 2, 1), "strong": (65_536, 3, 4), "test": (8, 1, 1)}


@dataclass(frozen=True, slots=True)
class Settings:
    """What a server was started with: the parsed value and the source of every row."""

    values: Mapping[str, Any] = field(repr=False)
    sources: Mapping[str, str]
    secret_before: str | None = field(default=None, repr=False)
    """The master key as earlier versions read the same text: with its byte order mark or its last line break."""

    @classmethod
    def load(
        cls,
        flags: Mapping[str, str | None] | None = None,
        environ: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> Self:
        """Read every setting.

        Args:
            flags: by setting name in lower case; ``None`` values were not given.
            environ: the environment.
            folder: where ``watchword.toml`` may lie; ``None`` looks for none.

        Raises:
            ConfigurationError: a setting is unknown, ill-typed, unsafe or does not go with another.
        """
        texts: dict[str, Found] = {}
        if folder is not None and (folder / FILE).exists():
            texts |= read_toml(folder / FILE, _BY_NAME, _LISTS)
        texts |= read_environment(environ or {}, _BY_NAME)
        texts |= read_flags(flags or {}, _BY_NAME)
        values, sources = {}, {}
        for row in ROWS:
            found = texts.get(row.name)
            text, source = (found.text, found.source) if found else (row.default, "default")
            sources[row.name] = source
            values[row.name] = None if text is None else _parse(row, text, source)
        settings = cls(values, sources, texts["SECRET"].before if "SECRET" in texts else None)
        settings._check()
        return settings

    def _check(self) -> None:
        check_host("host", self.host)
        if self.values["ISSUER"] is not None:
            check_issuer_url(self.values["ISSUER"])
            check_issuer_path(self.values["ISSUER"])
        elif not is_loopback(self.host):
            raise ConfigurationError(
                "issuer: a host that is not loopback needs --issuer, the https URL users see"
            )
        if (self.values["ADMIN_EMAIL"] is None) != (self.values["ADMIN_PASSWORD"] is None):
            raise ConfigurationError("admin_email: it goes together with admin_password")
        if (self.values["TLS_CERT"] is None) != (self.values["TLS_KEY"] is None):
            raise ConfigurationError("tls_cert: it goes together with tls_key")
        for name in ("TLS_CERT", "TLS_KEY"):
            if self.values[name] is not None and not Path(self.values[name]).is_file():
                raise ConfigurationError(f"{name.lower()}: there is no file {self.values[name]}")
        if self.values["AUDIENCE"] == self.issuer:
            raise ConfigurationError(
                "audience: must not be the issuer: a token for both would administer the server"
            )
        life = self.values["ACCESS_TOKEN_TTL"]
        if not timedelta(seconds=1) <= life <= timedelta(hours=24):
            raise ConfigurationError(
                f"access_token_ttl: must be between 1s and 24h, not {format_span(self.values['ACCESS_TOKEN_TTL'])}"
            )
        if not timedelta(seconds=1) <= self.values["BASIC_TTL"] <= timedelta(hours=24):
            raise ConfigurationError(
                f"basic_ttl: must be between 1s and 24h, not {format_span(self.values['BASIC_TTL'])}"
            )
        if self.values["FEED"] == "closed" and self.values["FEED_SECRET"] is None:
            raise ConfigurationError("feed: closed to everybody, without feed_secret")
        if self.values["KEY_ROTATION"] is not None and self.values["KEY_ROTATION"] < timedelta(hours=1):
            raise ConfigurationError("key_rotation: must be never, or 1h or longer")
        if life > min(self.values["REFRESH_TOKEN_TTL"], self.values["SESSION_IDLE_TTL"]):
            raise ConfigurationError("access_token_ttl: must not be longer than a session may live")
        if self.values["API_KEY_TTL"] > self.values["API_KEY_MAX_TTL"]:
            raise ConfigurationError("api_key_ttl: must not be longer than api_key_max_ttl")
        if self.values["WORKERS"] > 1 and self.database_path == ":memory:":
            raise ConfigurationError("workers: one process serves a database in memory")
        if not timedelta(seconds=1) <= self.database_timeout <= timedelta(seconds=60):
            raise ConfigurationError("database_timeout: must be from 1s to 60s")
        if self.shares_database and self.secret is None:
            raise ConfigurationError("secret: nodes that share a database share the master key: give it")
        given = [row.name for row in ROWS if format_value(self.values[row.name]) != (row.default or "")]
        check_together(self.values, given, self.issuer)

    @property
    def host(self) -> str:
        """The address to listen on."""
        return str(self.values["HOST"])

    @property
    def port(self) -> int:
        """The port to listen on."""
        return int(self.values["PORT"])

    @property
    def issuer(self) -> str:
        """The ``iss`` of every token."""
        if self.values["ISSUER"] is not None:
            return str(self.values["ISSUER"])
        scheme = "https" if self.values["TLS_CERT"] else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"

    @property
    def data_dir(self) -> Path:
        """The folder of database and master key."""
        return Path(self.values["DATA_DIR"])

    @property
    def database_path(self) -> Path | str:
        """The SQLite file, ``:memory:``, or the URL of a PostgreSQL database."""
        url = self.values["DATABASE"]
        try:
            return self.data_dir / "watchword.db" if url is None else parse_database(url)
        except ValueError as fault:
            raise ConfigurationError(f"database: {fault}") from None

    @property
    def shares_database(self) -> bool:
        """Whether other nodes may stand on the same database."""
        path = self.database_path
        return isinstance(path, str) and path != ":memory:"

    @property
    def database_timeout(self) -> timedelta:
        """How long a database that nodes share is waited for."""
        return self.values["DATABASE_TIMEOUT"]  # type: ignore[no-any-return]

    @property
    def redis(self) -> str | None:
        """The Valkey or Redis that counts attempts, as its driver reads it; a password may be in it."""
        return self.values["REDIS"]  # type: ignore[no-any-return]

    @property
    def secret(self) -> str | None:
        """The master key, where it is given."""
        return self.values["SECRET"]  # type: ignore[no-any-return]

    @property
    def access_tokens(self) -> policies.AccessTokenPolicy:
        """What an access token says and how long."""
        return policies.AccessTokenPolicy(
            self.issuer,
            self.values["AUDIENCE"],
            self.values["ACCESS_TOKEN_TTL"],
            self.values["CLAIMS"],
            self.values["BASIC_TTL"],
        )

    @property
    def sessions(self) -> policies.SessionPolicy:
        """How sessions age."""
        return policies.SessionPolicy(
            lifetime=self.values["REFRESH_TOKEN_TTL"],
            idle=self.values["SESSION_IDLE_TTL"],
            grace=self.values["REFRESH_REUSE_GRACE"],
            maximum_per_user=self.values["MAX_SESSIONS_PER_USER"],
        )

    @property
    def cookies(self) -> policies.CookiePolicy | None:
        """How tokens travel in cookies; ``None``: they do not."""
        if not self.values["COOKIES"]:
            return None
        return policies.CookiePolicy(
            self.issuer,
            self.values["COOKIE_NAME"],
            self.values["COOKIE_DOMAIN"],
            self.values["COOKIE_SAME_SITE"],
            frozenset(self.values["COOKIE_ORIGINS"]),
        )

    @property
    def api_keys(self) -> policies.ApiKeyPolicy:
        """How API keys age."""
        return policies.ApiKeyPolicy(
            lifetime=self.values["API_KEY_TTL"],
            longest=self.values["API_KEY_MAX_TTL"],
            maximum_per_user=self.values["MAX_API_KEYS_PER_USER"],
        )

    @property
    def passwords(self) -> policies.PasswordPolicy:
        """What passwords must be and cost."""
        memory, passes, lanes = _HASHES[self.values["PASSWORD_HASH"]]
        return policies.PasswordPolicy(
            minimum_length=self.values["PASSWORD_MIN_LENGTH"], memory=memory, passes=passes, lanes=lanes
        )

    @property
    def registration(self) -> policies.RegistrationPolicy:
        """Who may make an account."""
        return policies.RegistrationPolicy(open=self.values["REGISTRATION"] == "open")

    @property
    def limits(self) -> policies.LimitPolicy:
        """How often a secret may be tried."""
        return policies.LimitPolicy(
            attempts_per_account=self.values["LOGIN_ATTEMPTS_PER_ACCOUNT"],
            attempts_per_address=self.values["LOGIN_ATTEMPTS_PER_ADDRESS"],
            registrations_per_address=self.values["REGISTRATIONS_PER_ADDRESS"],
            resets_per_address=self.values["PASSWORD_RESETS_PER_ADDRESS"],
            sign_ins_per_user=self.values["SIGN_INS_PER_USER"],
            writes_per_user=self.values["WRITES_PER_USER"],
            writes_per_address=self.values["WRITES_PER_ADDRESS"],
            admin_writes_per_user=self.values["ADMIN_WRITES_PER_USER"],
        )

    @property
    def recovery(self) -> policies.RecoveryPolicy:
        """How a forgotten password is replaced."""
        return policies.RecoveryPolicy(
            lifetime=self.values["PASSWORD_RESET_TTL"],
            page=self.values["PASSWORD_RESET_URL"],
            per_account=LinkLimit(
                links=self.values["PASSWORD_RESETS_PER_ACCOUNT"], window=timedelta(hours=1)
            ),
        )

    @property
    def mail(self) -> policies.MailPolicy:
        """Where mail is handed over."""
        return policies.MailPolicy(
            host=self.values["SMTP_HOST"] or "",
            port=self.values["SMTP_PORT"],
            security=self.values["SMTP_SECURITY"],
            user=self.values["SMTP_USER"],
            password=self.values["SMTP_PASSWORD"],
            sender=self.values["MAIL_FROM"] or "",
        )

    @property
    def keys(self) -> policies.KeyPolicy:
        """How signing keys come and go."""
        return policies.KeyPolicy(
            algorithm=self.values["SIGNING_ALGORITHM"],
            rotation=self.values["KEY_ROTATION"],
            secrets=self.values["API_SECRETS"],
        )

    @property
    def feed(self) -> policies.FeedPolicy:
        """How the revocation feed breathes, and who hears what."""
        form = self.values["FEED"]
        if form == "auto":
            # On the developer's own machine nobody has to carry a secret from one window to the other.
            form = "full" if is_loopback(urlsplit(self.issuer).hostname or "") else "open"
        return policies.FeedPolicy(form=form, secret=self.values["FEED_SECRET"])

    @property
    def web(self) -> policies.WebPolicy:
        """What HTTP may ask of us."""
        return policies.WebPolicy(
            cors_origins=self.values["CORS_ORIGINS"],
            trusted_proxies=self.values["TRUSTED_PROXIES"],
            connections=self.values["MAX_CONNECTIONS"],
            connections_per_network=self.values["MAX_CONNECTIONS_PER_NETWORK"],
            streams_per_network=self.values["MAX_STREAMS_PER_NETWORK"],
            metrics=policies.MetricsPolicy(self.values["METRICS"], self.values["METRICS_TOKEN"]),
        )

    @property
    def retention(self) -> policies.RetentionPolicy:
        """How long what is over is kept."""
        return policies.RetentionPolicy(self.values["EVENT_RETENTION"], self.values["SESSION_RETENTION"])

    def warnings(self) -> Sequence[str]:
        """What is allowed and not wise, one line each."""
        found = [*inert(self.values, self.issuer)]
        if self.values["ACCESS_TOKEN_TTL"] > timedelta(hours=1):
            found.append(
                "access_token_ttl: over 1h; a stolen token works that long where no guard follows the feed"
            )
        if self.values["PASSWORD_HASH"] == "test":  # noqa: S105 - the name of a profile
            found.append("password_hash: the test profile protects no password")
        if not (is_loopback(self.host) or self.values["TLS_CERT"] or self.values["TRUSTED_PROXIES"]):
            found.append("trusted_proxies: without TLS only this machine is answered; name the proxy")
        return found

    def shown(self) -> list[tuple[str, str, str]]:
        """Name, value and source of every setting; secrets are hidden."""
        return [
            (
                row.name,
                "(hidden)" if row.secret and self.values[row.name] else format_value(self.values[row.name]),
                source,
            )
            for row in ROWS
            for source in (self.sources[row.name],)
        ]


def _parse(row: Row, text: str, source: str) -> Any:
    name = row.name.lower()
    if not row.lines and ("\n" in text or "\r" in text):
        raise ConfigurationError(f"{name}: has more than one line (from {source})")
    try:
        return row.parse(text)
    except ValueError as fault:
        # A list has named the item that is wrong.
        shown = "" if row.secret or "'" in str(fault) else f", not {text[:80]!a}"
        raise ConfigurationError(f"{name}: {fault}{shown} (from {source})") from None
