"""Where the one process that writes to a SQLite file takes the intentions of the others that serve."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import msgspec

from watchword.errors import ConfigurationError, WatchwordError
from watchword.server.store.store import Store
from watchword.server.store.workers.messages import Ask, answered, frame, refused, taken

__all__ = ["Desk", "bind_desk"]

_NAME: Final = "writer.sock"
_WAITING: Final = 64
"""Processes that may wait to be let in while the one that writes is replaced."""


def bind_desk(folder: Path) -> tuple[socket.socket, Path]:
    """A socket in *folder* that only we may speak to; it outlives the process that answers there.

    Raises:
        ConfigurationError: the folder cannot hold one.
        WatchwordError: another server is at this desk.
    """
    path = folder / _NAME
    desk = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        if _is_answered(path):
            raise WatchwordError("data_dir: another server serves it with workers")
        path.unlink(missing_ok=True)
        desk.bind(str(path))
        desk.listen(_WAITING)
    except OSError as broken:
        desk.close()
        raise ConfigurationError(f"data_dir: workers cannot meet in it: {broken}") from None
    except BaseException:
        desk.close()
        raise
    finally:
        os.umask(mask)
    return desk, path


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as visitor:
        return visitor.connect_ex(str(path)) == 0


@dataclass(slots=True)
class Desk:
    """Carries out what the others hand in, on the store of this process."""

    store: Store
    _visits: set[asyncio.Task[None]] = field(default_factory=set)

    @classmethod
    @asynccontextmanager
    async def open(cls, store: Store, listener: socket.socket, patience: float) -> AsyncIterator[Self]:
        """Take intentions while the block runs, and after it until the others have gone, for *patience* seconds."""
        desk = cls(store)
        listener.setblocking(False)
        door = asyncio.create_task(desk._let_in(listener))
        try:
            yield desk
        finally:
            # Those who finish what they have begun still need us.
            if desk._visits:
                await asyncio.wait(desk._visits, timeout=patience)
            for task in (door, *desk._visits):
                task.cancel()
            await asyncio.gather(door, *desk._visits, return_exceptions=True)

    async def _let_in(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            visitor, _ = await loop.sock_accept(listener)
            if not _is_ours(visitor):
                visitor.close()
                continue
            visit = asyncio.create_task(self._hear(visitor))
            self._visits.add(visit)
            visit.add_done_callback(self._visits.discard)

    async def _hear(self, visitor: socket.socket) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=visitor)
        try:
            async with asyncio.TaskGroup() as asked:
                with suppress(asyncio.IncompleteReadError, OSError):
                    while True:
                        size = int.from_bytes(await reader.readexactly(4), "big")
                        ask = msgspec.msgpack.decode(await reader.readexactly(size), type=Ask)
                        asked.create_task(self._carry_out(ask, writer))
        finally:
            writer.close()

    async def _carry_out(self, ask: Ask, writer: asyncio.StreamWriter) -> None:
        try:
            answer = answered(ask.number, await taken(ask, self.store))
        except Exception as fault:
            answer = refused(ask.number, fault)
        writer.write(frame(answer))


def _is_ours(visitor: socket.socket) -> bool:
    """Whether the other side runs as the same user; where the system does not say, the file's mode has said it."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    told = visitor.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, user, _ = struct.unpack("3i", told)
    return bool(user == os.geteuid())
