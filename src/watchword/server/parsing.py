"""How the text of a setting becomes a value; every function raises ``ValueError`` with half a sentence."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from email.utils import parseaddr
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from watchword.errors import ConfigurationError, InvalidKey
from watchword.jose.weakness import check_secret
from watchword.protocol.cookie import check_origin

__all__ = [
    "check_issuer_path",
    "format_span",
    "format_text",
    "format_value",
    "parse_audience",
    "parse_boolean",
    "parse_choice",
    "parse_claims",
    "parse_cookie_name",
    "parse_cors_origins",
    "parse_count",
    "parse_credential",
    "parse_database",
    "parse_list",
    "parse_mailbox",
    "parse_master_key",
    "parse_metrics",
    "parse_networks",
    "parse_optional_span",
    "parse_origins",
    "parse_port",
    "parse_redis",
    "parse_secrets",
    "parse_span",
    "parse_text",
]

_SPAN = re.compile(r"(\d{1,9})([smhd])\Z")
_PLACEHOLDER = re.compile(
    r"change.?(me|this|it)|replace.?(me|this|it)|(insert|your).{0,20}(secret|key)|placeholder|example|sample",
    re.I,
)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_RESERVED = frozenset(
    "iss sub aud exp nbf iat jti client_id sid scope roles auth_time amr acr uv cv cnf act narrowed".split()
)
_PASSWORD = re.compile(r"(://[^/@:]*:).+(?=@)|([?&](?:ssl)?password=)[^&]+")
_HOST = re.compile(r"(\[[^\[\]]+\]|[^:@\[\]]*)(?::([0-9]{1,5}))?")
_SCHEMES = {"valkey": "redis", "valkeys": "rediss", "redis": "redis", "rediss": "rediss", "unix": "unix"}
_ISSUER_PATH = re.compile(r"(/(?!\.\.?(/|\Z))[A-Za-z0-9._~+=:@-]+)*")
_SOURCES = ("id", "email", "username", "name", "role", "roles", "admin")


def format_text(text: str) -> str:
    """A text as it may be shown: without the password that a URL may bear."""
    return _PASSWORD.sub(r"\1\2(hidden)", text)


def check_issuer_path(issuer: str) -> None:
    """Check that an issuer's path stays as it is, in whatever it comes to stand: a page, a cookie, a shell, a proxy."""
    path = urlsplit(issuer).path
    if not _ISSUER_PATH.fullmatch(path):
        raise ConfigurationError(
            f"issuer: the path {path!a} may have letters, digits and -._~+=:@ between single slashes, and no . or .."
        )


def parse_master_key(text: str) -> str:
    """A master key: 32 characters or more, neither repeating itself nor copied from an example."""
    if len(text) < 32:
        raise ValueError("the master key needs at least 32 characters")
    if len(set(text)) < 8:
        raise ValueError("the master key repeats itself; draw one at random")
    if _PLACEHOLDER.search(text):
        raise ValueError("the master key is a placeholder; draw one at random")
    return text


def parse_text(text: str) -> str:
    """A text that is not empty."""
    if not text.strip():
        raise ValueError("must not be empty")
    return text


def parse_span(text: str) -> timedelta:
    """A span as ``90s``, ``10m``, ``8h``, ``180d``."""
    match = _SPAN.match(text)
    if match is None:
        raise ValueError("must be a span like 90s, 10m, 8h or 180d")
    seconds = int(match[1]) * _UNITS[match[2]]
    if seconds > 3650 * 86_400:
        raise ValueError("must not be longer than ten years")
    return timedelta(seconds=seconds)


def format_span(span: timedelta) -> str:
    """A span as ``parse_span`` reads it, in the largest unit that keeps it whole."""
    seconds = int(span.total_seconds())
    unit = next(unit for unit, size in reversed(_UNITS.items()) if seconds % size == 0)
    return f"{seconds // _UNITS[unit]}{unit}"


def format_value(value: Any) -> str:
    """The value of a setting as a text that may be shown."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case timedelta():
            return format_span(value)
        case tuple():
            return ",".join(map(str, value))
        case Mapping():
            return ",".join(f"{key}={item}" for key, item in value.items())
        case str():
            return format_text(value)
        case _:
            return str(value)


def parse_optional_span(text: str) -> timedelta | None:
    """The same, or ``never``."""
    return None if text == "never" else parse_span(text)


def parse_credential(text: str) -> str:
    """A secret that is shown in a header (RFC 6750 2.1): 32 characters or more of its alphabet."""
    if not re.fullmatch(r"[A-Za-z0-9._~+/-]{32,}=*", text):
        raise ValueError("must be 32 characters or more of A-Z a-z 0-9 . _ ~ + / -")
    return text


def parse_secrets(text: str) -> Mapping[str, tuple[str, ...]]:
    """``AUDIENCE=SECRET`` items divided by white space or commas; what comes later is newer."""
    found: dict[str, tuple[str, ...]] = {}
    for item in parse_list(text):
        audience, _, secret = item.partition("=")
        if not audience or not secret:
            raise ValueError("must be AUDIENCE=SECRET items")
        try:
            check_secret(secret.encode(), 32)
        except InvalidKey as refused:
            raise ValueError(f"{audience}: {refused.description}") from None
        found[audience] = (*found.get(audience, ()), secret)
    return MappingProxyType(found)


def parse_count(least: int, most: int) -> Callable[[str], int]:
    """A whole number from *least* to *most*."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"\d{1,9}", text) or not least <= int(text) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(text)

    return parse


def parse_port(text: str) -> int:
    """A TCP port."""
    return parse_count(0, 65_535)(text)


def parse_choice(*words: str) -> Callable[[str], str]:
    """One of *words*."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return text

    return parse


def parse_boolean(text: str) -> bool:
    """``true`` or ``false``."""
    return parse_choice("true", "false")(text) == "true"


def parse_list(text: str) -> tuple[str, ...]:
    """Texts separated by commas, spaces or line breaks."""
    return tuple(filter(None, re.split(r"[\s,]+", text)))


def parse_origins(text: str) -> tuple[str, ...]:
    """A list of origins, each as a browser writes it; plain http on this machine only."""
    try:
        return tuple(map(check_origin, parse_list(text)))
    except ConfigurationError as fault:
        raise ValueError(fault.description) from None


def parse_cors_origins(text: str) -> tuple[str, ...]:
    """The same, plain http of other machines too: their pages show tokens, and get no cookies."""
    try:
        return tuple(check_origin(item, plain=True) for item in parse_list(text))
    except ConfigurationError as fault:
        raise ValueError(fault.description) from None


def parse_audience(text: str) -> str:
    """The name of an API, as ``watchword api create`` takes it."""
    if not 0 < len(text) <= 255 or not text.isprintable() or " " in text:
        raise ValueError("must be 1 to 255 characters without spaces")
    return text


def parse_cookie_name(text: str) -> str:
    """The name of a cookie; the prefix that browsers understand is put before it by itself."""
    if not re.fullmatch(r"(?!__)[A-Za-z0-9_.-]{1,64}", text):
        raise ValueError("must be up to 64 of A-Z a-z 0-9 . _ - and not begin with __")
    return text


def parse_mailbox(text: str) -> str:
    """One e-mail address, with a name before it or without (RFC 5322 3.4)."""
    # The reader of the standard library goes a step deeper at each bracket.
    name, address = parseaddr(text if len(text) <= 320 else "")
    local, at, domain = address.partition("@")
    if not text.isprintable() or "@" in domain or not (local and at and domain):
        raise ValueError("must be one e-mail address, like no-reply@example.com")
    return f"{name} <{address}>" if name else address


def parse_database(text: str) -> Path | str:
    """A database: the file of ``sqlite:///PATH``, ``:memory:``, or the URL of a PostgreSQL database."""
    try:
        parts = urlsplit(text)
    except ValueError:  # it would quote what it could not read
        raise ValueError("must be sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME") from None
    if parts.scheme in ("postgresql", "postgres"):
        # As the driver, which takes what follows the first @ for hosts, and would look a password's rest up.
        hosts = map(_HOST.fullmatch, parts.netloc.split("@", 1)[-1].split(","))
        if "@" in parts.path or not all(host and int(host[2] or 1) <= 65_535 for host in hosts):
            raise ValueError("must be postgresql://USER:PASSWORD@HOST/NAME, its password percent-encoded")
        if len(parts.path) < 2:
            raise ValueError("must name one: postgresql://USER:PASSWORD@HOST/NAME")
        return text
    path = parts.path.removeprefix("/")
    if parts.scheme != "sqlite" or parts.netloc or not path:
        raise ValueError("must be sqlite:///PATH (four slashes for an absolute path) or postgresql://…")
    return path if path == ":memory:" else Path(path)


def parse_redis(text: str) -> str:
    """The URL of a Valkey or Redis, in the words of the driver, which knows the older name alone."""
    try:
        parts = urlsplit(text)
        host = parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:  # it would quote what it could not read
        raise ValueError("must be a URL like valkey://HOST:6379/0") from None
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None:
        raise ValueError("must be valkey://HOST:PORT/NUMBER, redis://, rediss:// (TLS) or unix:///PATH")
    if scheme == "unix" and len(parts.path) < 2:
        raise ValueError("must name the socket: unix:///run/valkey/valkey.sock")
    if scheme != "unix" and not (host and re.fullmatch(r"(/\d*)?", parts.path)):
        raise ValueError("must name a host, and at most a port and a number: valkey://HOST:6379/0")
    return scheme + text[len(parts.scheme) :]


def parse_networks(text: str) -> tuple[str, ...]:
    """A list of addresses and networks."""
    return tuple(map(_network, parse_list(text)))


def _network(text: str) -> str:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!a} must be an address or a network like 10.0.0.0/8") from None
    address = text.partition("/")[0]
    if str(network.network_address) != str(ipaddress.ip_address(address)):
        raise ValueError(
            f"{text!a} is neither: write {network} for the network, or {address} for the address"
        )
    # A peer of that form is known by its address of version 4.
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None and network.prefixlen >= 96:
        return str(ipaddress.ip_network((mapped, network.prefixlen - 96)))
    return str(network)


def parse_metrics(text: str) -> str:
    """Where the metrics are: ``off``, ``token``, ``public``, or the ``HOST:PORT`` of a listener of their own."""
    if text in ("off", "token", "public"):
        return text
    match = _HOST.fullmatch(text)
    if match is None or not match[1] or not match[2] or not 1 <= int(match[2]) <= 65_535:
        raise ValueError("must be off, token, public, or HOST:PORT like 127.0.0.1:9464")
    return text


def parse_claims(text: str) -> Mapping[str, str]:
    """Claims as ``name=source`` separated by commas; the names the standards own are not to be had."""
    found = {}
    for item in parse_list(text):
        name, equals, source = item.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_:/.#-]{0,127}", name):
            raise ValueError("must be like userId=id,role=role,admin=admin")
        if name in _RESERVED:
            raise ValueError(f"the claim {name} is not free")
        if name in found:
            raise ValueError(f"the claim {name} comes twice")
        if source not in _SOURCES:
            raise ValueError(f"{source!r} is not one of {', '.join(_SOURCES)}")
        found[name] = source
    return MappingProxyType(found)
