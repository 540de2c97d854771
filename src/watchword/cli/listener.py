"""The socket that strangers connect to: how it is taken, and how it is given up without one of them being cut off.

The kernel connects strangers before we accept them. Those who are connected but not accepted when the last
copy of the socket is closed are reset, whatever they have sent. So the kernel is told first to let nobody
new in; who is in is accepted; and only then the socket is closed.
"""

from __future__ import annotations

import select
import socket
import struct
import sys
import time
from array import array
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from watchword.errors import ConfigurationError, WatchwordError

__all__ = ["bind", "take_in", "turn_away"]

_ON_THEIR_WAY: Final = 0.1
"""Seconds in which a TCP handshake that has begun comes to its end, over most distances."""
_PATIENCE: Final = 5.0
"""Seconds after which whoever still comes is left out: where the kernel goes on letting them in, they do not end."""
_EMPTY: Final = 3
"""Turns of the loop in which nobody waited: what one turn accepts, another makes a connection of."""

_SO_ATTACH_FILTER: Final = 26
_FILTER: Final = (
    (0x30, 0, 0, 13),  # the flags of the TCP header
    (0x54, 0, 0, 0x12),  # of them SYN and ACK
    (0x15, 0, 1, 0x02),  # SYN alone asks for a new connection:
    (0x06, 0, 0, 0),  # drop it
    (0x06, 0, 0, 0xFFFFFFFF),  # whatever else belongs to one that is under way: keep it, whole
)
"""What Linux does with each packet for the socket (classic BPF, ``socket(7)``)."""


def bind(host: str, port: int, *, setting: str = "port") -> socket.socket:
    """Take the address, before anything is opened: two servers on one port end here.

    Raises:
        WatchwordError: somebody has it, or it is not to be had.
        ConfigurationError: the host is no address of this machine.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError:
        raise ConfigurationError(
            f"{'host' if setting == 'port' else setting}: {host} is no address"
        ) from None
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as broken:
        listener.close()
        raise WatchwordError(f"{setting}: cannot listen on {host}:{port}: {broken.strerror}") from None
    return listener


def turn_away(listener: socket.socket) -> None:
    """Let the kernel connect nobody new, in whichever process: who asks hears nothing, asks again, and is refused.

    Linux alone can do it. Elsewhere whoever comes between the last look and the close is reset.
    """
    if sys.platform != "linux":
        return
    program = array("B", b"".join(struct.pack("HBBI", *step) for step in _FILTER))
    with suppress(OSError):
        listener.setsockopt(
            socket.SOL_SOCKET,
            _SO_ATTACH_FILTER,
            struct.pack("HP", len(_FILTER), program.buffer_info()[0]),
        )


async def take_in(listener: socket.socket, hurried: Callable[[], bool], *, handshake: float = 0) -> None:
    """Come back when the loop, which accepts, has accepted everybody who was let in.

    Args:
        listener: where they come.
        hurried: whether nobody wants to wait any more.
        handshake: seconds in which a TLS handshake may end that has begun: nobody hears of it before.
    """
    from asyncio import sleep  # here, as help needs none of it

    begun, empty = time.monotonic(), 0
    await sleep(_ON_THEIR_WAY)
    while empty < _EMPTY and not hurried() and time.monotonic() - begun < _PATIENCE:
        empty = 0 if select.select([listener], (), (), 0)[0] else empty + 1
        await sleep(0)
    for _ in range(round(handshake / _ON_THEIR_WAY)):
        if hurried():
            return
        await sleep(_ON_THEIR_WAY)
