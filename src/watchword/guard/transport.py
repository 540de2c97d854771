"""HTTP as the guard needs it, from the standard library: bounded, impatient, never redirected."""

from __future__ import annotations

import math
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Final
from urllib.parse import urlsplit

from watchword.errors import ConfigurationError, TemporarilyUnavailable
from watchword.guard.event_stream import Event, read_events
from watchword.protocol.metadata import is_loopback

__all__ = ["Transport", "UnusableAnswer"]

_CHUNK: Final = 65536
_LEAST: Final = 0.01
"""Seconds; a socket takes 0 for something else."""
_AGENT: Final = "watchword-guard"


class UnusableAnswer(TemporarilyUnavailable):
    """There is an answer, so whoever gave it is there; it isn't the one that was asked for."""


class Transport:
    """Fetches documents and listens to a stream of server-sent events.

    Args:
        timeout: seconds without a byte after which a connection is given up.
        patience: seconds a whole answer, or the wait for the next whole event, may take.
    """

    def __init__(self, *, timeout: float = 15, patience: float = 120) -> None:
        self._timeout = timeout
        self._patience = patience
        self._tls: ssl.SSLContext | None = None
        self._stream: socket.socket | None = None

    def get(
        self,
        url: str,
        *,
        limit: int,
        accept: str = "application/json",
        secret: str | None = None,
        timeout: float | None = None,
    ) -> bytes:
        """The body of a 200 answer, which must begin within *timeout* seconds.

        Raises:
            TemporarilyUnavailable: there is no such answer, or it is larger than *limit*.
        """
        deadline = time.monotonic() + self._patience
        connection, stream = self._connect(url, timeout)
        try:
            response = _send(connection, url, {"Accept": accept, **_shown(secret)})
            stream.settimeout(self._timeout)
            return _read(response, url, limit, deadline)
        except (OSError, HTTPException, ValueError) as broken:
            raise TemporarilyUnavailable(f"{url}: {_reason(broken)}") from broken
        finally:
            connection.close()

    def post(self, url: str, document: bytes, *, limit: int) -> tuple[int, bytes]:
        """Status and body of the answer to a JSON document.

        Raises:
            TemporarilyUnavailable: there is no answer, or it is larger than *limit*.
        """
        deadline = time.monotonic() + self._patience
        connection, _ = self._connect(url)
        try:
            fields = {"Accept": "application/json", "Content-Type": "application/json"}
            response = _ask(connection, "POST", url, fields, document)
            return response.status, _read(response, url, limit, deadline)
        except (OSError, HTTPException, ValueError) as broken:
            raise TemporarilyUnavailable(f"{url}: {_reason(broken)}") from broken
        finally:
            connection.close()

    def events(
        self,
        url: str,
        *,
        limit: int,
        last_id: str | None,
        secret: str | None = None,
        timeout: float | None = None,
        silence: Callable[[], float] = lambda: math.inf,
    ) -> Iterator[Event]:
        """The events of a stream until it breaks off; ends without an error when ``hang_up`` was called.

        It must begin within *timeout* seconds, and each event within as many as *silence* says.

        Raises:
            TemporarilyUnavailable: it cannot be opened, falls silent, or sends an event larger than *limit*.
        """
        connection, stream = self._connect(url, timeout)
        self._stream = stream

        def wait(seconds: float) -> None:
            stream.settimeout(max(min(seconds, self._timeout), _LEAST))

        try:
            headers = {"Accept": "text/event-stream", "Cache-Control": "no-store", **_shown(secret)}
            response = _send(connection, url, headers | ({"Last-Event-ID": last_id} if last_id else {}))
            if (response.getheader("Content-Type") or "").split(";")[0].strip() != "text/event-stream":
                raise TemporarilyUnavailable(f"{url} is not a stream of events")
            yield from read_events(
                response.read1, limit=limit, patience=self._patience, silence=silence, wait=wait
            )
        except (OSError, HTTPException, ValueError) as broken:
            raise TemporarilyUnavailable(f"{url}: {_reason(broken)}") from broken
        finally:
            self._stream = None
            connection.close()

    def hang_up(self) -> None:
        """Wake whoever waits for the stream, from another thread."""
        stream = self._stream
        if stream is not None:
            with suppress(OSError):
                # The plain shutdown: that of a TLS socket would pull the state from under its reader.
                socket.socket.shutdown(stream, socket.SHUT_RDWR)

    def forked(self) -> None:
        """Forget the parent's stream in a child process: hanging up there would hang up here."""
        self._stream = None

    def _connect(self, url: str, timeout: float | None = None) -> tuple[HTTPConnection, socket.socket]:
        parts = urlsplit(url)
        host = parts.hostname
        if not host or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))):
            raise ConfigurationError(f"{url} is not an https URL")
        connection: HTTPConnection
        seconds = self._timeout if timeout is None else min(timeout, self._timeout)
        if parts.scheme == "https":
            if self._tls is None:
                self._tls = ssl.create_default_context()
            connection = HTTPSConnection(host, parts.port, timeout=seconds, context=self._tls)
        else:
            connection = HTTPConnection(host, parts.port, timeout=seconds)
        try:
            connection.connect()
        except (OSError, HTTPException, ValueError) as broken:
            connection.close()
            raise TemporarilyUnavailable(f"{url}: {_reason(broken)}") from broken
        return connection, connection.sock


def _shown(secret: str | None) -> dict[str, str]:
    return {} if secret is None else {"Authorization": f"Bearer {secret}"}


def _ask(
    connection: HTTPConnection, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
) -> HTTPResponse:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    fields = {"User-Agent": _AGENT, "Accept-Encoding": "identity", "Connection": "close", **headers}
    connection.request(method, target, body, headers=fields)
    return connection.getresponse()


def _read(response: HTTPResponse, url: str, limit: int, deadline: float) -> bytes:
    body = bytearray()
    while chunk := response.read1(_CHUNK):
        body += chunk
        if len(body) > limit:
            raise UnusableAnswer(f"{url} answered more than {limit} bytes")
        if time.monotonic() > deadline:
            raise TemporarilyUnavailable(f"{url} answers too slowly")
    if response.length:
        raise TemporarilyUnavailable(f"the answer of {url} broke off")
    return bytes(body)


def _send(connection: HTTPConnection, url: str, headers: Mapping[str, str]) -> HTTPResponse:
    response = _ask(connection, "GET", url, headers)
    if response.status != 200:
        # A redirect, too: who may move the issuer's documents is the issuer's metadata, nobody on the way.
        raise UnusableAnswer(f"{url} answered {response.status}")
    return response


def _reason(broken: BaseException) -> str:
    return f"{type(broken).__name__}: {broken}" if str(broken) else type(broken).__name__
