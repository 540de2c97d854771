"""Every knob: its name, type, default and what it does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from watchword.server.parsing import (
    parse_boolean,
    parse_choice,
    parse_claims,
    parse_count,
    parse_credential,
    parse_list,
    parse_master_key,
    parse_networks,
    parse_optional_span,
    parse_port,
    parse_secrets,
    parse_span,
    parse_text,
)

__all__ = ["ROWS", "Row"]


@dataclass(frozen=True, slots=True)
class Row:
    """One setting: how its text is read and what a stranger must know of it."""

    name: str
    parse: Callable[[str], Any]
    default: str | None
    help: str
    secret: bool = False


ROWS: Final[Sequence[Row]] = (
    Row("ISSUER", parse_text, None, "The issuer URL, without a trailing slash. Default: http://HOST:PORT"),
    Row("HOST", parse_text, "127.0.0.1", "The address to listen on; one that is not loopback needs ISSUER"),
    Row("PORT", parse_port, "8080", "The port to listen on; 0 takes a free one"),
    Row("WORKERS", parse_count(1, 64), "1", "Processes that serve"),
    Row(
        "DATABASE",
        parse_text,
        None,
        "sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME",
    ),
    Row("DATA_DIR", parse_text, "watchword-data", "The folder of database and master key"),
    Row(
        "SECRET",
        parse_master_key,
        None,
        "The master key, 32 characters or more. Default: made once, in DATA_DIR",
        True,
    ),
    Row("REDIS", parse_text, None, "A Valkey or Redis URL for counters", True),
    Row("AUDIENCE", parse_text, "api", "The audience of the default API"),
    Row(
        "SIGNING_ALGORITHM",
        parse_choice("ES256", "RS256", "PS256", "Ed25519", "EdDSA"),
        "ES256",
        "The algorithm of new signing keys",
    ),
    Row(
        "FEED",
        parse_choice("auto", "full", "open", "closed"),
        "auto",
        "What strangers hear of revocations: all, kills alone, nothing. auto: full on loopback, else open",
    ),
    Row(
        "FEED_SECRET",
        parse_credential,
        None,
        "What guards show to hear everything, 32 characters or more",
        True,
    ),
    Row(
        "KEY_ROTATION",
        parse_optional_span,
        "90d",
        "How long a key signs before the next takes over; never: by hand",
    ),
    Row(
        "API_SECRETS",
        parse_secrets,
        "",
        "Secrets shared with an API, for HS256: AUDIENCE=SECRET, the newest of an audience last",
        True,
    ),
    Row("ACCESS_TOKEN_TTL", parse_span, "10m", "How long an access token lives; at most 24h"),
    Row("REFRESH_TOKEN_TTL", parse_span, "180d", "How long a session lives, whatever happens"),
    Row("SESSION_IDLE_TTL", parse_span, "30d", "How long a session lives unused"),
    Row("REFRESH_REUSE_GRACE", parse_span, "10s", "How long a spent refresh token still gives its successor"),
    Row("MAX_SESSIONS_PER_USER", parse_count(1, 10_000), "20", "Beyond it the least recently used one ends"),
    Row("BASIC_TTL", parse_span, "20m", "How long a temporary Basic pair lives"),
    Row(
        "CLAIMS",
        parse_claims,
        "",
        "Extra claims: userId=id,role=role,admin=admin (id email username name roles)",
    ),
    Row("REGISTRATION", parse_choice("open", "closed"), "open", "Whether people may register themselves"),
    Row("PASSWORD_MIN_LENGTH", parse_count(8, 128), "8", "Characters of a new password; 15 is better"),
    Row(
        "PASSWORD_HASH",
        parse_choice("standard", "strong", "test"),
        "standard",
        "Argon2id: standard 19 MiB x 2, strong 64 MiB x 3 in 4 lanes, test 64 KiB x 1 (never for people)",
    ),
    Row(
        "LOGIN_ATTEMPTS_PER_ACCOUNT",
        parse_count(0, 100_000),
        "10",
        "Failed log-ins a minute and account; 0: no limit",
    ),
    Row(
        "LOGIN_ATTEMPTS_PER_ADDRESS", parse_count(0, 1_000_000), "100", "Failed log-ins a minute and address"
    ),
    Row("REGISTRATIONS_PER_ADDRESS", parse_count(0, 1_000_000), "60", "Registrations a minute and address"),
    Row("EVENT_RETENTION", parse_span, "365d", "How long the audit log is kept"),
    Row("SESSION_RETENTION", parse_span, "30d", "How long a session that is over is kept"),
    Row("CORS_ORIGINS", parse_list, "", "Origins whose pages may call the API, separated by commas"),
    Row("TRUSTED_PROXIES", parse_networks, "", "Addresses or networks whose X-Forwarded-For is believed"),
    Row(
        "ADMIN_EMAIL",
        parse_text,
        None,
        "With ADMIN_PASSWORD: the first administrator, made at start if missing",
    ),
    Row("ADMIN_PASSWORD", parse_text, None, "See ADMIN_EMAIL", True),
    Row("LOG_FORMAT", parse_choice("console", "json"), "console", "How log lines look"),
    Row("LOG_REQUESTS", parse_boolean, "true", "Whether each request is a log line"),
    Row("TLS_CERT", parse_text, None, "A PEM file with the certificate chain: serve HTTPS itself"),
    Row("TLS_KEY", parse_text, None, "The PEM file with its key"),
)
