"""What stands in front of the server: questions through the issuer's URL, whose answers show how it passes them on."""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from watchword.errors import TemporarilyUnavailable
from watchword.guard.transport import Transport, UnusableAnswer
from watchword.jose.encoding import parse_json_object
from watchword.protocol.metadata import metadata_urls

__all__ = ["FrontFacts", "ask_front"]

_PATIENCE: Final = 5.0
"""Seconds for the connection, and for the answers."""
_APART: Final = 0.1
"""Seconds between two packets, so that nothing on the way joins them."""
_LIMIT: Final = 65_536
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


@dataclass(frozen=True, slots=True)
class FrontFacts:
    """What a client sees at the issuer's URL.

    Attributes:
        statuses: those of the answers to a POST with ``Upgrade`` and a body that looks like a request, and to a GET.
        metadata: what is wrong at each place where the issuer's metadata are looked for; ``None``: nothing.
        fault: why there is no answer.
    """

    statuses: Sequence[int] = ()
    metadata: Sequence[str | None] = ()
    fault: str | None = None


def ask_front(issuer: str) -> FrontFacts:
    """Send the questions. They have no effect on the server."""
    found = _ask_framing(issuer)
    try:
        return replace(found, metadata=[_fault_of(issuer, place) for place in metadata_urls(issuer)])
    except TemporarilyUnavailable as silence:
        return found if found.fault is not None else replace(found, fault=silence.description)


def _ask_framing(issuer: str) -> FrontFacts:
    # No endpoint takes this.
    url = urlsplit(issuer)
    host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    field = f"Host: {url.netloc}\r\n"
    hidden = f"GET {url.path}/not-a-request HTTP/1.1\r\n{field}\r\n"
    head = (
        f"POST {url.path}/healthz HTTP/1.1\r\n{field}Connection: Upgrade\r\nUpgrade: watchword-doctor\r\n"
        f"Content-Length: {len(hidden)}\r\n\r\n"
    )
    last = f"GET {url.path}/healthz HTTP/1.1\r\n{field}Connection: close\r\n\r\n"
    try:
        with socket.create_connection((host, port), timeout=_PATIENCE) as plain:
            line = plain
            if url.scheme == "https":
                line = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
            with line:
                line.sendall(head.encode())
                time.sleep(_APART)
                line.sendall(hidden.encode())
                time.sleep(_APART)
                line.sendall(last.encode())
                return FrontFacts([int(status) for status in _STATUS.findall(_read(line))])
    except OSError as broken:
        return FrontFacts(fault=getattr(broken, "strerror", None) or str(broken) or type(broken).__name__)


def _fault_of(issuer: str, place: str) -> str | None:
    """What a guard would find wrong with the metadata at *place*.

    Raises:
        TemporarilyUnavailable: there is no answer.
    """
    try:
        body = Transport(timeout=_PATIENCE, patience=_PATIENCE).get(place, limit=_LIMIT)
        document = parse_json_object(body, error=UnusableAnswer)
    except UnusableAnswer as fault:
        return fault.description if place in fault.description else f"{place}: {fault.description}"
    named = document.get("issuer")
    return None if named == issuer else f"{place} names the issuer {named!a}"


def _read(line: socket.socket) -> bytes:
    """Everything until the end, or until nothing more comes."""
    raw, end = b"", time.monotonic() + _PATIENCE
    try:
        while len(raw) < _LIMIT and time.monotonic() < end and (piece := line.recv(_LIMIT)):
            raw += piece
    except OSError:
        if not raw:
            raise
    return raw
