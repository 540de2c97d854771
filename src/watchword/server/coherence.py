"""Settings beside each other: one that could never act as it stands is a mistake, so it is refused by its name."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from watchword.errors import ConfigurationError
from watchword.protocol.cookie import may_share_site
from watchword.protocol.metadata import check_issuer_url, is_loopback

__all__ = ["check_host", "check_together", "inert"]

_HOST: Final = re.compile(r"[\w.-]{1,253}")
_HOME: Final = ("DATA_DIR", "DATABASE", "TLS_CERT", "TLS_KEY")
"""What names a file or a folder."""
_WILDCARDS: Final = frozenset(("0.0.0.0", "::"))  # noqa: S104 - nothing is listened on here


def check_together(values: Mapping[str, Any], given: Collection[str], issuer: str) -> None:
    """Check what no setting can say by itself.

    Args:
        values: by name.
        given: names of those that do not have their default.
        issuer: the one that follows from them.

    Raises:
        ConfigurationError: one of them could not act, or contradicts another.
    """
    _check_places(values, issuer)
    _check_metrics(values)
    _check_cookies(values, given, issuer)
    _check_mail(values, given)
    for name in ("API_KEY_TTL", "API_KEY_MAX_TTL"):
        if not values[name]:
            raise ConfigurationError(
                f"{name.lower()}: must be 1s or longer; MAX_API_KEYS_PER_USER=0 for no keys"
            )


def inert(values: Mapping[str, Any], issuer: str) -> Sequence[str]:
    """What has no effect in most browsers, or on most callers, one line each."""
    found = [
        f"cookie_origins: {origin} is another site than the issuer's, so browsers send it no cookies"
        for origin in values["COOKIE_ORIGINS"]
        if not may_share_site(origin, issuer)
    ]
    if values["FEED"] == "full" and values["FEED_SECRET"] is not None:
        found.append("feed_secret: with feed=full nobody is asked for it; set feed to open or closed")
    return found


def check_host(name: str, host: str) -> None:
    """Check that *host* is a name or an address and nothing more.

    Raises:
        ConfigurationError: it isn't; the line begins with the setting *name* and says which one is meant.
    """
    try:
        if _HOST.fullmatch(host) or ipaddress.ip_address(host):
            return
    except ValueError:
        pass
    try:
        meant = urlsplit(host if "//" in host else f"//{host}")
        clear = meant.port is None and meant.path in ("", "/") and _HOST.fullmatch(meant.hostname or "")
        cure = f": write {meant.hostname}" if clear or host == f"[{meant.hostname}]" else ""
    except ValueError:
        cure = ""
    raise ConfigurationError(f"{name}: {host!a} is not a host name or an address{cure}")


def _check_places(values: Mapping[str, Any], issuer: str) -> None:
    for name in _HOME:
        if (text := values[name] or "") != text.strip():
            raise ConfigurationError(f"{name.lower()}: {text!a} has spaces around it")
        if re.match(r"(sqlite:///)?~", values[name] or ""):
            raise ConfigurationError(
                f"{name.lower()}: no shell has replaced the ~ in {values[name]!a}: write the whole path"
            )
    if values["TLS_CERT"] is not None and not issuer.startswith("https:"):
        raise ConfigurationError(f"issuer: with tls_cert the server speaks https: write https{issuer[4:]}")


def _check_metrics(values: Mapping[str, Any]) -> None:
    place, token = values["METRICS"], values["METRICS_TOKEN"]
    if place == "token" and token is None:
        raise ConfigurationError("metrics: token needs metrics_token")
    if place in ("off", "public") and token is not None:
        raise ConfigurationError("metrics_token: set metrics to token, or to a listener like 127.0.0.1:9464")
    host, _, port = place.rpartition(":")
    hosts = {
        host.strip("[]").replace("localhost", "127.0.0.1"),
        values["HOST"].replace("localhost", "127.0.0.1"),
    }
    if port == str(values["PORT"]) and (len(hosts) == 1 or hosts & _WILDCARDS):
        raise ConfigurationError(f"metrics: {place} is where the server listens: take another port")


def _check_cookies(values: Mapping[str, Any], given: Collection[str], issuer: str) -> None:
    cookies = [name for name in given if name.startswith("COOKIE_")]
    if cookies and not values["COOKIES"]:
        raise ConfigurationError(f"{cookies[0].lower()}: cookies is false, so it does nothing: leave it out")
    domain = values["COOKIE_DOMAIN"]
    if domain is None:
        return
    url = urlsplit(issuer)
    host = url.hostname or ""
    if url.scheme != "https":
        raise ConfigurationError("cookie_domain: it takes an https issuer")
    # An address has no domain, and one label is a registry's: browsers would drop the cookie.
    named = "." in domain and re.search("[a-z]", host.rpartition(".")[2])
    if not named or not (host == domain or host.endswith(f".{domain}")):
        raise ConfigurationError(f"cookie_domain: {domain} is no domain of the issuer's host {host}")


def _check_mail(values: Mapping[str, Any], given: Collection[str]) -> None:
    host = values["SMTP_HOST"]
    if (host is None) != (values["MAIL_FROM"] is None):
        raise ConfigurationError("mail_from: it goes together with smtp_host")
    if (values["SMTP_USER"] is None) != (values["SMTP_PASSWORD"] is None):
        raise ConfigurationError("smtp_user: it goes together with smtp_password")
    if host is None:
        for name in ("SMTP_USER", "SMTP_PORT", "SMTP_SECURITY"):
            if name in given:
                raise ConfigurationError(
                    f"{name.lower()}: without smtp_host it does nothing: give that too, or leave it out"
                )
    else:
        check_host("smtp_host", host)
    if values["SMTP_SECURITY"] == "none" and not is_loopback(host or "localhost"):
        raise ConfigurationError("smtp_security: a relay beyond this machine is spoken to by TLS alone")
    if values["SMTP_SECURITY"] == "starttls" and values["SMTP_PORT"] == 465:
        raise ConfigurationError(
            "smtp_security: port 465 speaks TLS from the first byte: write tls, or port 587"
        )
    if not timedelta(minutes=1) <= values["PASSWORD_RESET_TTL"] <= timedelta(hours=1):
        raise ConfigurationError("password_reset_ttl: must be between 1m and 1h")
    if (page := values["PASSWORD_RESET_URL"]) is not None:
        # It is a page's, so it may end with a slash.
        check_issuer_url(page.removesuffix("/"), setting="password_reset_url")
