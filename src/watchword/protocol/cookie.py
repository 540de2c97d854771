"""The cookie that carries an access token: its name, its one reading, and whose page may use it (RFC 6265).

A browser sends cookies with whatever any page makes it send, so a request that acts by a cookie must
also show where it comes from. Server and guard ask the same proof.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit

from watchword.errors import ConfigurationError, CrossSite, InvalidRequest
from watchword.protocol.metadata import is_loopback

__all__ = [
    "BINDER",
    "CSRF",
    "REFRESH",
    "SAFE_METHODS",
    "check_origin",
    "check_site",
    "cookie_name",
    "cookie_values",
    "may_share_site",
    "only",
    "origin_of",
]

CSRF: Final = "x-csrf"
"""A field that no form sends, and no page of another origin either, unless CORS lets it."""
REFRESH: Final = "-refresh"
"""What the name of the cookie with the refresh token ends with."""
BINDER: Final = "-binder"
"""What the name of the cookie ends with that says which log-in of this browser its refresh token is from."""
SAFE_METHODS: Final = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))
"""Methods that change nothing (RFC 9110 9.2.1)."""

_HOST: Final = "__Host-"
_SECURE: Final = "__Secure-"
_VISIBLE: Final = re.compile(r"[!-~]+\Z")
_NAME: Final = re.compile(r"[a-z0-9._-]+")
_OWN: Final = frozenset(("same-origin", "none"))


def cookie_name(name: str, *, https: bool, shared: bool = False) -> str:
    """*name* as the browser has it: under https with the prefix by which it takes none that anybody else set.

    ``__Host-`` ties a cookie to one host and its root path; a *shared* one, which has a domain or another path,
    is ``__Secure-`` (RFC 6265bis 4.1.3). A name that has a prefix keeps it.
    """
    if not https or name.startswith((_HOST, _SECURE)):
        return name
    return (_SECURE if shared else _HOST) + name


def cookie_values(fields: Iterable[str], name: str) -> list[str]:
    """Every value of the cookie *name* in the ``Cookie`` fields of a request, in order (RFC 6265 4.2)."""
    found = []
    for field in fields:
        for pair in field.split(";") if name in field else ():
            if name not in pair:
                continue
            key, equals, value = pair.strip(" \t").partition("=")
            if equals and key == name:
                found.append(value)
    return found


def only(name: str, values: Sequence[str]) -> str | None:
    """The one of *values*, which are those of *name*; ``None`` without any.

    Raises:
        InvalidRequest: there are two: which of them another reader would take, nobody knows.
    """
    if len(values) > 1:
        raise InvalidRequest(f"{name} came twice")
    return values[0] if values else None


def check_site(*, site: str | None, origin: str | None, proof: str | None, allowed: Collection[str]) -> None:
    """Check that a request which acts by a cookie was sent by a page that may (Fetch Metadata, RFC 6454 7).

    Browsers say it themselves, in fields that no script can write; who sends neither of them is no
    browser of today, and shows that he could choose the fields of his request.

    Args:
        site: ``Sec-Fetch-Site``.
        origin: ``Origin``.
        proof: ``X-CSRF``.
        allowed: the origins whose pages may.

    Raises:
        CrossSite: it was not, or nothing says that it was.
    """
    if site in _OWN:
        return
    if origin is not None:
        if origin not in allowed:
            raise CrossSite("a page of another origin sent this: cookies do not count for it")
    elif site is not None:
        raise CrossSite("a page of another site sent this: cookies do not count for it")
    elif proof is None:
        raise CrossSite("nothing says which page sent this: send the field X-CSRF: 1 along with cookies")


def origin_of(url: str) -> str:
    """The origin of *url*, as a browser writes it (RFC 6454 6.2)."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{ipaddress.ip_address(host)}]" if ":" in host else host
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port not in (None, usual) else "")


def may_share_site(one: str, other: str) -> bool:
    """Whether two URLs can be of one site, so that a browser sends cookies from one to the other (RFC 6265bis 5.2).

    Which names a registry gives away is not known here: names that share two labels may be of one site.
    """
    hosts = [urlsplit(url).hostname or "" for url in (one, other)]
    if hosts[0] == hosts[1]:
        return True
    first, second = (host.split(".")[-2:] for host in hosts)
    return first == second and len(first) == 2 and not first[1].isdigit()


def check_origin(text: str, *, plain: bool = False) -> str:
    """Return *text* when it is an origin as a browser writes it (RFC 6454 6.2).

    ``http`` passes on a loopback address only, or anywhere if *plain*.

    Raises:
        ConfigurationError: it isn't; where it is clear which one is meant, that is said.
    """
    meant = _origin_meant(text)
    if meant is None or (
        meant.startswith("http:") and not plain and not is_loopback(urlsplit(meant).hostname or "")
    ):
        raise ConfigurationError(f"{text!a} is not an origin like https://app.example.com")
    if meant != text:
        raise ConfigurationError(f"{text!a} is not an origin: write {meant}")
    return text


def _origin_meant(text: str) -> str | None:
    try:
        parts = urlsplit(text if isinstance(text, str) and _VISIBLE.match(text) else "")
        host, port = parts.hostname or "", parts.port
        if parts.scheme not in ("http", "https") or not host or port == 0 or "*" in host:
            return None
        if ":" not in host and not _NAME.fullmatch(host):
            return None
        if host.rpartition(".")[2].isdigit():
            ipaddress.ip_address(host)  # what looks like one and isn't, browsers write otherwise
        return origin_of(text)
    except ValueError:
        return None
