"""Framing: where a request begins and ends, and the forms of HTTP that this server doesn't speak (RFC 9112).

If two readers of a connection disagree about the end of a request, one of them takes a body for the next
request, and its answer goes to somebody else. So a request whose end isn't certain is refused, and the
connection is closed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from watchword.errors import InvalidRequest

__all__ = ["check_head", "check_scope", "without_upgrade"]

Field = tuple[bytes, bytes]

_FOREIGN: Final = frozenset(
    b"CONNECT PRI SOURCE DESCRIBE ANNOUNCE SETUP PLAY PAUSE TEARDOWN GET_PARAMETER SET_PARAMETER REDIRECT"
    b" RECORD FLUSH".split()
)
"""Methods that turn the connection into something else, or belong to protocols that only look like HTTP."""
_VERSIONS: Final = frozenset(("1.0", "1.1"))
_ESCAPES: Final = 2_048
"""Percent signs in a path, each of which takes a step to read; no part of ours has more than 255 characters."""
_CODINGS: Final = [b"chunked"]


def check_head(
    method: bytes, url: bytes, version: str, names: Sequence[bytes], fields: Sequence[Field]
) -> None:
    """Check a head that the parser has read. *names* are those of *fields*, in lower case.

    Raises:
        InvalidRequest: readers could disagree about the request, or it takes long to read.
    """
    if b"%" in url and url.partition(b"?")[0].count(b"%") > _ESCAPES:
        raise InvalidRequest("the path has too many escapes")
    if version not in _VERSIONS:
        raise InvalidRequest("this is not HTTP/1.1")
    if method in _FOREIGN:
        raise InvalidRequest("this server does not speak that protocol")
    hosts = names.count(b"host")
    if hosts != 1 and (hosts or version == "1.1"):
        # Nothing is made of the host here; a request that two readers may take for two hosts is no request.
        raise InvalidRequest("a request names one host")
    if b"transfer-encoding" in names:
        _check_codings(version, fields)


def check_scope(scope: Any) -> None:
    """Check what another server has read, before its reading of the body is trusted.

    Some servers take the body of a request with ``Upgrade`` for the beginning of another protocol, or for
    the next request.

    Raises:
        InvalidRequest: the body may not be what the client meant by it. Close the connection.
    """
    version = scope.get("http_version", "1.1")
    if version not in _VERSIONS:
        return  # HTTP/2 and HTTP/3 frame each request by themselves
    fields: Sequence[Field] = scope["headers"]
    if scope["method"] == "CONNECT":
        raise InvalidRequest("this server does not speak that protocol")
    lengths = [value.strip(b" \t") for name, value in fields if name == b"content-length"]
    chunked = any(name == b"transfer-encoding" for name, _ in fields)
    if chunked:
        _check_codings(version, fields)
    if len(lengths) > 1 or (lengths and (chunked or not lengths[0].isdigit())):
        raise InvalidRequest("the length of the body is not certain")
    if (chunked or lengths not in ([], [b"0"])) and any(
        name == b"upgrade" and value for name, value in fields
    ):
        raise InvalidRequest("a request with a body cannot change the protocol: leave out Upgrade")


def without_upgrade(method: bytes, target: bytes, version: str, fields: Collection[Field]) -> bytes:
    """The head of a request, without its offer to change the protocol, which a server may ignore (RFC 9110 7.8)."""
    lines = [b"%b %b HTTP/%b" % (method, target, version.encode())]
    lines += [b"%b: %b" % field for field in fields if field[0] != b"upgrade"]
    return b"\r\n".join((*lines, b"", b""))


def _check_codings(version: str, fields: Sequence[Field]) -> None:
    # HTTP/1.0 has no chunks, and a proxy that speaks it would take them for the body (RFC 9112 6.1).
    codings = [value.strip(b" \t").lower() for name, value in fields if name == b"transfer-encoding"]
    if version == "1.0" or codings != _CODINGS:
        raise InvalidRequest('the only transfer coding is "chunked"')
