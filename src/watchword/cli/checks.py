"""The doctor's checks: one function each, all of them in one list. To add one, write it and add it to the list."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from watchword.cli import exposure, stored
from watchword.cli.advice import Advice
from watchword.cli.facts import Facts
from watchword.cli.moment import distance
from watchword.protocol.cookie import may_share_site
from watchword.protocol.metadata import is_loopback
from watchword.server.accounts.foreign_hashes import seconds_of

__all__ = ["CHECKS", "Advice"]

_LONG_LIFE: Final = timedelta(hours=1)
_GOOD_LENGTH: Final = 15  # NIST 800-63B-4 3.1.1.2, for a password that is the only factor
_SLOW_HASH: Final = timedelta(milliseconds=500)
_SLOW_IMPORT: Final = 0.5
"""Seconds."""
_LITTLE_SPACE: Final = 1 << 30
_NO_SPACE: Final = 100 << 20
_FEW_FILES: Final = 4096
_SKEW: Final = timedelta(minutes=1)
_OLD_KEY: Final = timedelta(days=365)
_WIDEST: Final = {4: 8, 6: 32}
"""Bits a trusted network must fix at least, by version of IP: 10.0.0.0/8 is as wide as a private one gets."""


def issuer(facts: Facts) -> Advice:
    """Whether others can reach the issuer, encrypted."""
    url = facts.settings.issuer
    if urlsplit(url).scheme == "https":
        return Advice("good", f"{url} is https")
    return Advice(
        "advice",
        f"{url} is for this machine alone",
        "set ISSUER to the https URL that clients and APIs will see",
    )


def proxies(facts: Facts) -> Advice:
    """Whose word on a client's address is believed (RFC 9700 4.13)."""
    networks = [ipaddress.ip_network(text) for text in facts.settings.web.trusted_proxies]
    wide = [str(network) for network in networks if network.prefixlen < _WIDEST[network.version]]
    if wide:
        return Advice(
            "unsafe",
            f"TRUSTED_PROXIES holds {', '.join(wide)}: strangers there choose the address that limits count",
            "name the proxies' own addresses",
        )
    url = urlsplit(facts.settings.issuer)
    behind = url.scheme == "https" and facts.settings.values["TLS_CERT"] is None
    if behind and not networks and not is_loopback(url.hostname or ""):
        return Advice(
            "advice",
            "https ends at a proxy that is not believed: all clients have its address, and share one limit",
            "set TRUSTED_PROXIES to the proxy's address",
        )
    return Advice("good", "the address of a client cannot be chosen by him")


def cors(facts: Facts) -> Advice:
    """Which pages may call the first-party API."""
    policy = facts.settings.cookies
    clear = [
        origin
        for origin in facts.settings.web.cors_origins
        if urlsplit(origin).scheme != "https" and not is_loopback(urlsplit(origin).hostname or "")
    ]
    if clear:
        return Advice(
            "unsafe",
            f"CORS_ORIGINS holds {', '.join(clear)}: whoever sits on the wire can write such a page",
            "name https origins alone",
        )
    apart = [one for one in policy.origins if not may_share_site(one, policy.issuer)] if policy else []
    if apart:
        return Advice(
            "advice",
            f"COOKIE_ORIGINS holds {', '.join(apart)}, of another site than the issuer: browsers send no cookies there",
            "put page and server under one domain, or let the page hold its tokens",
        )
    return Advice("good", "only https origins may call")


def access_token_ttl(facts: Facts) -> Advice:
    """How long a stolen access token works where no guard follows the feed."""
    lifetime = facts.settings.access_tokens.lifetime
    told = f"access tokens live {distance(lifetime.total_seconds())}"
    if lifetime > _LONG_LIFE:
        return Advice(
            "unsafe",
            f"{told}: a stolen one works as long where no guard follows the feed",
            "ACCESS_TOKEN_TTL=10m; clients refresh",
        )
    return Advice("good", told)


def registration(facts: Facts) -> Advice:
    """Who may make an account."""
    if facts.settings.registration.open:
        return Advice("advice", "anybody may make an account", "REGISTRATION=closed where people are invited")
    return Advice("good", "registration is closed")


def login_limits(facts: Facts) -> Advice:
    """How often a password may be guessed (NIST 800-63B-4 3.2.2)."""
    limits = facts.settings.limits
    if 0 in (limits.attempts_per_account, limits.attempts_per_address):
        return Advice(
            "unsafe",
            "failed log-ins are not limited",
            "LOGIN_ATTEMPTS_PER_ACCOUNT=10, LOGIN_ATTEMPTS_PER_ADDRESS=100",
        )
    return Advice("good", f"{limits.attempts_per_account} failed log-ins a minute and account")


def counters(facts: Facts) -> Advice | None:
    """Whether the Valkey or Redis that counts attempts answers and keeps them; without one nothing is said."""
    if facts.settings.redis is None:
        return None
    if facts.counters_fault is not None:
        return Advice(
            "unsafe",
            f"{facts.counters_fault}: each process counts failed log-ins for itself",
            "start it, or mend REDIS",
        )
    if facts.counters_eviction is not None:
        return Advice(
            "unsafe",
            f"Valkey throws counters away when its memory is full ({facts.counters_eviction}), and limits with them",
            "maxmemory-policy noeviction, in a Valkey of its own",
        )
    return Advice("good", "the counters of attempts answer")


def mail(facts: Facts) -> Advice:
    """How somebody comes back in who forgot his password."""
    if not facts.settings.mail.host:
        return Advice(
            "advice",
            "no mail is sent: whoever forgets his password needs an administrator",
            "set SMTP_HOST and MAIL_FROM, or use `watchword user reset-link`",
        )
    if not facts.settings.recovery.per_account.links:
        return Advice(
            "unsafe", "anybody can fill a user's mailbox with links", "PASSWORD_RESETS_PER_ACCOUNT=5"
        )
    return Advice("good", "a forgotten password is replaced by mail")


def password_length(facts: Facts) -> Advice:
    """How short a password may be while it is the only factor."""
    least = facts.settings.passwords.minimum_length
    if least < _GOOD_LENGTH:
        return Advice(
            "advice",
            f"a password of {least} characters is enough, and it is the only factor",
            f"PASSWORD_MIN_LENGTH={_GOOD_LENGTH}, or a second factor",
        )
    return Advice("good", f"passwords have at least {least} characters")


def password_hash(facts: Facts) -> Advice:
    """What a password costs here: an attacker who has the database pays it for every guess."""
    if facts.settings.values["PASSWORD_HASH"] == "test":  # noqa: S105 - the name of a profile
        return Advice("unsafe", "the test profile protects no password", "PASSWORD_HASH=standard")
    cost = facts.password_cost
    told = f"a password costs {cost / timedelta(milliseconds=1):.0f} ms here"
    if cost > _SLOW_HASH:
        return Advice("slow", f"{told}: log-ins wait", "a faster machine, or PASSWORD_HASH=standard")
    return Advice("good", told)


def imported_hashes(facts: Facts) -> Advice | None:
    """What it costs to check the hashes that came from another program, which strangers may have checked."""
    digests = facts.database.digests if facts.database else ()
    slow = [seconds for seconds in map(seconds_of, digests) if seconds > _SLOW_IMPORT]
    if not slow:
        return None
    users = f"{len(slow)} users have" if len(slow) > 1 else "one user has"
    return Advice(
        "slow",
        f"{users} an imported password hash that takes up to {max(slow):.1f} s to check",
        "they sign in one after the other, until their first login replaces the hash; send those who don't come a "
        "link to choose another password",
    )


def signing_algorithm(facts: Facts) -> Advice | None:
    """What a signature costs."""
    key = facts.database.active_key if facts.database else None
    if key is None:
        return None
    if key.algorithm in ("RS256", "PS256"):
        return Advice(
            "slow",
            f"{key.algorithm} signs each access token: it costs many times what ES256 does",
            "SIGNING_ALGORITHM=ES256, then watchword key rotate --algorithm ES256",
        )
    return Advice("good", f"{key.algorithm} signs access tokens")


def shared_secrets(facts: Facts) -> Advice | None:
    """Whether an API that checks tokens could make them, too (RFC 7518 3.2)."""
    audiences = sorted(set(facts.settings.keys.secrets))
    if audiences:
        return Advice(
            "advice",
            f"HS256 for {', '.join(audiences)}: whoever can check such a token can make one",
            "API_SECRETS only for an API that cannot do ES256",
        )
    return Advice("good", "no API can make a token")


def key_age(facts: Facts) -> Advice | None:
    """How long one key has been signing."""
    key = facts.database.active_key if facts.database else None
    if key is None or key.active_at is None:
        return None
    days = (facts.now - key.active_at).days
    if facts.now - key.active_at > _OLD_KEY:
        return Advice("advice", f"one key has signed for {days} days", "watchword key rotate")
    return Advice("good", f"the signing key is {max(days, 0)} days old")


def secret_file(facts: Facts) -> Advice | None:
    """Who can read the master key."""
    path = facts.settings.data_dir / "secret"
    if mode := facts.exposed(path):
        return Advice("unsafe", f"others can read the master key: {path} is {mode}", f"chmod 600 {path}")
    return Advice("good", "the master key is its owner's alone") if path.is_file() else None


def tls_key(facts: Facts) -> Advice | None:
    """Who can read the key of the certificate; a group may, as is usual where several programs share one."""
    name = facts.settings.values["TLS_KEY"]
    if name is None:
        return None
    if mode := facts.exposed(Path(name), rights=0o007):
        return Advice("unsafe", f"others can read the TLS key: {name} is {mode}", f"chmod o= {name}")
    return Advice("good", "the TLS key is not everybody's")


def event_loop(facts: Facts) -> Advice:
    """Whether the fast event loop is there."""
    if not facts.fast_loop:
        return Advice("slow", "uvloop is missing: requests take longer", 'pip install "watchword[server]"')
    return Advice("good", "uvloop is there")


def data_files(facts: Facts) -> Advice | None:
    """Who can read the database and its folder."""
    places = [facts.settings.data_dir]
    if facts.database is not None and facts.database.path is not None:
        path = facts.database.path
        places += [path, path.with_name(f"{path.name}-wal")]
    for place in places:
        if mode := facts.exposed(place):
            right = "700" if place.is_dir() else "600"
            return Advice(
                "unsafe", f"others can enter or read {place}: it is {mode}", f"chmod {right} {place}"
            )
    return Advice("good", "the data is its owner's alone") if facts.settings.data_dir.is_dir() else None


def configuration_file(facts: Facts) -> Advice | None:
    """Who can read the secrets in ``watchword.toml``."""
    path = facts.folder / "watchword.toml"
    shown = facts.settings.shown()
    held = [name for name, value, source in shown if "(hidden)" in value and source == path.name]
    if not held:
        return None
    if mode := facts.exposed(path):
        return Advice(
            "unsafe", f"others can read {held[0]} in {path.name}: it is {mode}", f"chmod 600 {path.name}"
        )
    return Advice("good", f"{path.name} is its owner's alone")


def administrator(facts: Facts) -> Advice | None:
    """Whether anybody can administer."""
    if facts.database is None or facts.database.administrators is None:
        return None
    if facts.database.administrators == 0:
        return Advice(
            "advice",
            "there is no administrator",
            "open the link that watchword serve prints, or watchword user create EMAIL --role admin",
        )
    return Advice("good", f"administrators: {facts.database.administrators}")


def clock(facts: Facts) -> Advice | None:
    """Whether the clock went back: tokens would be issued that are not valid yet."""
    newest = facts.database.newest_at if facts.database else None
    if newest is None:
        return None
    if newest - facts.now > _SKEW:
        return Advice(
            "unsafe",
            f"the database has seen {newest:%Y-%m-%d %H:%M:%S} UTC, the clock shows {facts.now:%Y-%m-%d %H:%M:%S}",
            "set the clock of this machine (NTP)",
        )
    return Advice("good", "the clock runs on")


def disk_space(facts: Facts) -> Advice:
    """Whether the database can go on writing."""
    free = facts.free_bytes
    told = f"{free / (1 << 30):.1f} GiB are free for the data"
    if free < _NO_SPACE:
        return Advice("unsafe", f"{told}: soon every change is answered 503", "free some")
    if free < _LITTLE_SPACE:
        return Advice("advice", told, "free some, or shorten EVENT_RETENTION")
    return Advice("good", told)


def open_files(facts: Facts) -> Advice:
    """How many connections there can be: each guard holds one open."""
    limit = facts.open_files
    if 0 <= limit < _FEW_FILES:
        return Advice(
            "slow", f"a process may open {limit} files: few connections", "ulimit -n 65536, LimitNOFILE=65536"
        )
    return Advice("good", f"a process may open {'any number of' if limit < 0 else limit} files")


CHECKS: Final[Sequence[Callable[[Facts], Advice | None]]] = (
    issuer,
    proxies,
    cors,
    exposure.metrics,
    exposure.framing,
    exposure.metadata,
    access_token_ttl,
    registration,
    login_limits,
    counters,
    mail,
    password_length,
    password_hash,
    imported_hashes,
    signing_algorithm,
    shared_secrets,
    key_age,
    secret_file,
    tls_key,
    data_files,
    configuration_file,
    stored.database,
    stored.nodes,
    stored.backup,
    administrator,
    clock,
    disk_space,
    open_files,
    event_loop,
)
