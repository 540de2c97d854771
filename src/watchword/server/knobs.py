"""Every knob: its name, type, default and what it does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from watchword.server.parsing import (
    parse_audience,
    parse_boolean,
    parse_choice,
    parse_claims,
    parse_cookie_name,
    parse_cors_origins,
    parse_count,
    parse_credential,
    parse_mailbox,
    parse_master_key,
    parse_metrics,
    parse_networks,
    parse_optional_span,
    parse_origins,
    parse_port,
    parse_redis,
    parse_secrets,
    parse_span,
    parse_text,
)

__all__ = ["ROWS", "Row"]


@dataclass(frozen=True, slots=True)
class Row:
    """One setting: how its text is read, and what a stranger must know of it, as docs/configuration.md says it."""

    name: str
    parse: Callable[[str], Any]
    default: str | None
    help: str
    secret: bool = False
    lines: bool = False
    """Whether it may have several lines."""


ROWS: Final[Sequence[Row]] = (
    Row(
        "ISSUER",
        parse_text,
        None,
        "the URL that stands in every token as `iss`, without a slash at the end; unset, "
        "`http://HOST:PORT`. It is never taken from a request. With a path, see "
        "[an issuer with a path](deployment.md#an-issuer-with-a-path)",
    ),
    Row("HOST", parse_text, "127.0.0.1", "the address to listen on; one that is not loopback needs `ISSUER`"),
    Row("PORT", parse_port, "8080", "the port"),
    Row(
        "WORKERS",
        parse_count(1, 64),
        "1",
        "processes that serve one port, up to 64: see [several processes](postgresql.md#several-processes)",
    ),
    Row(
        "DATABASE",
        parse_text,
        None,
        "`sqlite:///PATH`, or `postgresql://USER:PASSWORD@HOST/NAME` for several machines: see "
        "[PostgreSQL](postgresql.md); unset, `watchword.db` in `DATA_DIR`",
    ),
    Row(
        "DATABASE_TIMEOUT",
        parse_span,
        "5s",
        "how long PostgreSQL is waited for, for a connection and for the answer to a statement, `1s` to `60s`; "
        "then the answer is 503 with `Retry-After`",
    ),
    Row("DATA_DIR", parse_text, "watchword-data", "the folder of database and master key"),
    Row(
        "SECRET",
        parse_master_key,
        None,
        "the master key, 32 characters or more: seals the signing keys and makes the refresh tokens' "
        "MAC. Unset, it is drawn once and kept in `DATA_DIR`, readable by its owner alone. It is not in "
        "the database, so keep a copy apart from the backups. Nodes that share a database must be given "
        "it",
        secret=True,
        lines=True,
    ),
    Row(
        "REDIS",
        parse_redis,
        None,
        "a Valkey or Redis that counts attempts for all processes and nodes: `valkey://HOST:PORT`, "
        "`redis://`, `rediss://` (TLS), `unix:///PATH`, with `USER:PASSWORD@` where it asks for one; unset, "
        "PostgreSQL counts, or the process that writes to the SQLite file: see "
        "[counters](postgresql.md#counters)",
        secret=True,
    ),
    Row("AUDIENCE", parse_audience, "api", "the audience of the API that is there from the start"),
    Row(
        "SIGNING_ALGORITHM",
        parse_choice("ES256", "RS256", "PS256", "Ed25519", "EdDSA"),
        "ES256",
        "the algorithm of new signing keys: `ES256`, `RS256`, `PS256`, `Ed25519`",
    ),
    Row(
        "FEED",
        parse_choice("auto", "full", "open", "closed"),
        "auto",
        "what those hear of revocations who show no secret: `full` is everything; `open` is kills "
        "alone, so nobody reads what a user is, and a change of roles ends tokens instead of changing "
        "them; `closed` is nothing. `auto` is `full` where the issuer is on loopback, else `open`",
    ),
    Row(
        "FEED_SECRET",
        parse_credential,
        None,
        "what guards show to hear everything, 32 characters or more: `Guard(issuer, feed_secret=…)`",
        secret=True,
    ),
    Row(
        "KEY_ROTATION",
        parse_optional_span,
        "90d",
        "how long a signing key signs before the waiting one takes over by itself, the feed's own key "
        "too; `never`: only when you ask",
    ),
    Row(
        "API_SECRETS",
        parse_secrets,
        "",
        "secrets shared with an API, for HS256: `AUDIENCE=SECRET`, divided by spaces, commas or lines, "
        "the newest of an audience last; better by file: `WATCHWORD_API_SECRETS_FILE`",
        secret=True,
        lines=True,
    ),
    Row(
        "ACCESS_TOKEN_TTL",
        parse_span,
        "10m",
        "how long an access token lives; over an hour warns, over a day is refused",
    ),
    Row("REFRESH_TOKEN_TTL", parse_span, "180d", "how long a session lives, whatever happens"),
    Row("SESSION_IDLE_TTL", parse_span, "30d", "how long a session lives unused"),
    Row(
        "REFRESH_REUSE_GRACE",
        parse_span,
        "10s",
        "how long a spent refresh token is answered with the current tokens",
    ),
    Row(
        "MAX_SESSIONS_PER_USER",
        parse_count(1, 10_000),
        "20",
        "beyond it the session that was used least recently ends",
    ),
    Row(
        "API_KEY_TTL", parse_span, "90d", "how long an [API key](api-keys.md) lives whose maker says nothing"
    ),
    Row("API_KEY_MAX_TTL", parse_span, "365d", "the longest that an API key may live"),
    Row(
        "MAX_API_KEYS_PER_USER",
        parse_count(0, 10_000),
        "50",
        "beyond it no further one is made until one is revoked; `0`: nobody has any",
    ),
    Row("BASIC_TTL", parse_span, "20m", "how long a temporary Basic pair lives"),
    Row("CLAIMS", parse_claims, "", "extra claims, as *name in the token*`=`*source*: see below", lines=True),
    Row(
        "REGISTRATION",
        parse_choice("open", "closed"),
        "open",
        "whether people may make accounts themselves: `open`, `closed`",
    ),
    Row(
        "PASSWORD_MIN_LENGTH",
        parse_count(8, 128),
        "8",
        "characters of a new password; 15 is better while there is no second factor",
    ),
    Row(
        "PASSWORD_HASH",
        parse_choice("standard", "strong", "test"),
        "standard",
        "the cost of Argon2id: `standard` is 19 MiB twice (OWASP), `strong` 64 MiB three times in four "
        "lanes (RFC 9106 4); `test` is for tests alone. A raised cost reaches each account at its next "
        "log-in; a lowered one weakens nothing",
    ),
    Row(
        "LOGIN_ATTEMPTS_PER_ACCOUNT",
        parse_count(0, 100_000),
        "10",
        "failed log-ins a minute on one account from one network; `0` is no limit. See [guessing](#guessing)",
    ),
    Row(
        "LOGIN_ATTEMPTS_PER_ADDRESS",
        parse_count(0, 1_000_000),
        "100",
        "failed log-ins a minute from one address, whatever the account",
    ),
    Row(
        "SIGN_INS_PER_USER",
        parse_count(0, 1_000_000),
        "120",
        "sign-ins of one user that succeed, a minute; uses of spent refresh tokens likewise; `0`, or "
        "`LOGIN_ATTEMPTS_PER_ADDRESS=0`, is no limit. See [limits on writes](#limits-on-writes)",
    ),
    Row(
        "WRITES_PER_USER",
        parse_count(0, 1_000_000),
        "60",
        "changes a minute by one user to their own account, keys and sessions; `0` is no limit. See "
        "[limits on writes](#limits-on-writes)",
    ),
    Row(
        "WRITES_PER_ADDRESS",
        parse_count(0, 1_000_000),
        "600",
        "the same from one address, for all its users",
    ),
    Row(
        "ADMIN_WRITES_PER_USER",
        parse_count(0, 1_000_000),
        "6000",
        "changes a minute by one administrator over the admin API",
    ),
    Row(
        "REGISTRATIONS_PER_ADDRESS",
        parse_count(0, 1_000_000),
        "60",
        "registrations a minute from one address",
    ),
    Row(
        "PASSWORD_RESET_TTL",
        parse_span,
        "30m",
        "how long a link to choose another password works, at most 1h",
    ),
    Row(
        "PASSWORD_RESET_URL",
        parse_text,
        None,
        "a page of your own where that link leads, `?token=…` is added; unset, the server's own: see "
        "[forgotten passwords](password-reset.md#a-page-of-your-own)",
    ),
    Row(
        "PASSWORD_RESETS_PER_ACCOUNT",
        parse_count(0, 1000),
        "5",
        "links an hour that are sent to one account; further requests are answered the same and send nothing",
    ),
    Row(
        "PASSWORD_RESETS_PER_ADDRESS",
        parse_count(0, 1_000_000),
        "30",
        "requests for such a link a minute from one address, whatever the account",
    ),
    Row(
        "SMTP_HOST",
        parse_text,
        None,
        "the relay that takes our mail: see [forgotten passwords](password-reset.md). Unset, no mail is sent",
    ),
    Row("SMTP_PORT", parse_count(1, 65_535), "587", "its port"),
    Row(
        "SMTP_SECURITY",
        parse_choice("starttls", "tls", "none"),
        "starttls",
        "`starttls` (port 587), `tls` from the first byte (port 465), `none` for a relay on this machine alone",
    ),
    Row("SMTP_USER", parse_text, None, "with `SMTP_PASSWORD`, who we are there"),
    Row(
        "SMTP_PASSWORD",
        parse_text,
        None,
        "see `SMTP_USER`; better by file: `WATCHWORD_SMTP_PASSWORD_FILE`",
        secret=True,
    ),
    Row(
        "MAIL_FROM",
        parse_mailbox,
        None,
        "the sender: `no-reply@example.com` or `Example <no-reply@example.com>`",
    ),
    Row("EVENT_RETENTION", parse_span, "365d", "how long the audit log is kept"),
    Row(
        "SESSION_RETENTION",
        parse_span,
        "30d",
        "how long a session that ended or expired is kept; its tokens are dead from the first moment",
    ),
    Row(
        "CORS_ORIGINS",
        parse_cors_origins,
        "",
        "origins whose pages may call the first-party API, as browsers write them: `https://app.example.com`",
        lines=True,
    ),
    Row(
        "COOKIES",
        parse_boolean,
        "true",
        "whether a log-in may ask for cookies in place of tokens: see [cookies](cookies.md); `false`: none is set, "
        "and none counts",
    ),
    Row(
        "COOKIE_NAME",
        parse_cookie_name,
        "watchword",
        "the name of the cookie with the access token; under an https issuer browsers see `__Host-` before it",
    ),
    Row(
        "COOKIE_DOMAIN",
        parse_text,
        None,
        "a domain whose hosts all get the cookies, for an API on another host than the server; unset, the issuer's "
        "host alone. The names then begin with `__Secure-`",
    ),
    Row(
        "COOKIE_SAME_SITE",
        parse_choice("Lax", "Strict"),
        "Lax",
        "`Lax`: a link from another site brings the access cookie along; `Strict`: it does not. The refresh cookie "
        "is always `Strict`",
    ),
    Row(
        "COOKIE_ORIGINS",
        parse_origins,
        "",
        "other origins than the issuer's whose pages may act by cookies, `https://app.example.com`; they may call "
        "the first-party API without standing in `CORS_ORIGINS`",
        lines=True,
    ),
    Row(
        "TRUSTED_PROXIES",
        parse_networks,
        "",
        "addresses or networks of proxies: their `X-Forwarded-For` and `X-Forwarded-Proto` are "
        "believed, and they may come without TLS",
        lines=True,
    ),
    Row(
        "MAX_CONNECTIONS",
        parse_count(10, 1_000_000),
        "20000",
        "connections at once in one process; a tenth of them is kept free of streams. If the system grants fewer open "
        "files, that counts",
    ),
    Row(
        "MAX_CONNECTIONS_PER_NETWORK",
        parse_count(1, 1_000_000),
        "1000",
        "connections at once from one IPv4 address or IPv6 /64 to one process; those of `TRUSTED_PROXIES` don't count",
    ),
    Row(
        "MAX_STREAMS_PER_NETWORK",
        parse_count(1, 1_000_000),
        "500",
        "revocation streams at once from one IPv4 address or IPv6 /64 to one process, counted by the client's address; "
        "each guard holds one",
    ),
    Row(
        "ADMIN_EMAIL",
        parse_text,
        None,
        "with `ADMIN_PASSWORD`, the first administrator; nothing happens where that user exists",
    ),
    Row(
        "ADMIN_PASSWORD",
        parse_text,
        None,
        "see `ADMIN_EMAIL`; better by file: `WATCHWORD_ADMIN_PASSWORD_FILE`",
        secret=True,
    ),
    Row(
        "METRICS",
        parse_metrics,
        "off",
        "where Prometheus reads [the metrics](operations.md#metrics): `HOST:PORT` is a plain http listener of their "
        "own, like `127.0.0.1:9464`; `token` is `/metrics` on the server's port with `METRICS_TOKEN`; `public` is the "
        "same for everybody; `off` is nowhere",
    ),
    Row(
        "METRICS_TOKEN",
        parse_credential,
        None,
        "the bearer token that Prometheus sends, 32 characters or more; with `METRICS=token`, or for a listener of "
        "their own",
        secret=True,
    ),
    Row(
        "LOG_FORMAT", parse_choice("console", "json"), "console", "`console` for people, `json` for machines"
    ),
    Row("LOG_REQUESTS", parse_boolean, "true", "whether each request is a line"),
    Row(
        "TLS_CERT", parse_text, None, "a PEM file with the certificate chain, to serve HTTPS without a proxy"
    ),
    Row("TLS_KEY", parse_text, None, "the PEM file with its key"),
)
