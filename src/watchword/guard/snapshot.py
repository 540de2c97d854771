"""The snapshot file: what a guard knew, so that an API starts with the authorization server down.

It holds public keys and revocations, nothing secret; but who can write it decides what is revoked,
so it is for its owner alone, and one that others may write is not read.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from watchword.errors import ConfigurationError
from watchword.protocol.revocation_list import Received, RevocationList

__all__ = ["Kept", "Read", "SnapshotFile"]


_MALFORMED: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What reading a line may raise."""


_SKEW: Final = 30.0
"""Seconds that a shorter log must have been said later: servers' clocks differ a little."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """The second line of the file, as it is written: all of it."""

    message: RevocationList
    keys: tuple[dict[str, Any], ...] = ()
    retired_feed_kids: tuple[str, ...] = ()
    cursor: str = ""


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """The second line, as it is read."""

    message: Received
    keys: tuple[dict[str, Any], ...] = ()
    retired_feed_kids: tuple[str, ...] = ()
    cursor: str = ""


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    """The first line: enough to know whether another snapshot is newer."""

    issuer: str
    epoch: int
    sequence: int
    iat: float
    mark: str = ""
    proven: bool = False
    """Whether it holds the issuer's text for a position, which shows an issuer that was rolled back what it lost."""

    def is_newer(self, other: _Head) -> bool:
        """Whether this says more than *other*.

        A lower sequence said later is of another past: the log was rolled back, and this is what stands.
        """
        if self.epoch != other.epoch:
            return self.epoch > other.epoch
        if self.mark and other.mark and self.sequence <= other.sequence and self.mark != other.mark:
            return self.iat > other.iat + _SKEW
        return (self.sequence, self.iat, self.proven) > (other.sequence, other.iat, other.proven)


@dataclass(frozen=True, slots=True)
class SnapshotFile:
    """One file of one issuer; several processes may share it."""

    path: Path
    issuer: str

    def read(self) -> Read | None:
        """What was kept; ``None`` when there is no file.

        Raises:
            ConfigurationError: others may write it, it is another issuer's, or it is no snapshot.
        """
        try:
            with self._open() as file:
                if os.name == "posix":
                    self._check_owner(os.fstat(file.fileno()))
                head = msgspec.json.decode(file.readline(), type=_Head)
                if head.issuer != self.issuer:
                    raise ConfigurationError(f"snapshot: {self.path} belongs to {head.issuer}")
                kept = msgspec.json.decode(file.readline(), type=Read)
        except FileNotFoundError:
            return None
        except (OSError, *_MALFORMED) as broken:
            raise ConfigurationError(f"snapshot: {self.path} cannot be read: {broken}") from None
        if kept.message.iss != self.issuer:
            raise ConfigurationError(f"snapshot: {self.path} belongs to {kept.message.iss}")
        return kept

    def _check_owner(self, status: os.stat_result) -> None:
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise ConfigurationError(f"snapshot: others may write {self.path}")
        if status.st_uid not in (0, os.geteuid()):
            raise ConfigurationError(f"snapshot: {self.path} belongs to another user")

    def write(self, kept: Kept) -> bool:
        """Replace the file, unless it already says as much or more; returns whether it was replaced.

        Raises:
            OSError: it cannot be written.
        """
        message = kept.message
        head = _Head(
            issuer=self.issuer,
            epoch=message.epoch,
            sequence=message.sequence,
            iat=message.iat,
            mark=message.mark,
            proven=bool(kept.cursor),
        )
        with self._locked():
            there = self._head()
            if there is not None and there.issuer == self.issuer and not head.is_newer(there):
                return False
            handle, name = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(msgspec.json.encode(head) + b"\n")
                    file.write(msgspec.json.encode(kept) + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(name, self.path)
            except BaseException:
                with suppress(OSError):
                    os.unlink(name)
                raise
        return True

    def _open(self) -> BinaryIO:
        # A FIFO would be waited for, and waiting is all that some would want of us.
        handle = os.open(self.path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise OSError(errno.EINVAL, "is not a file", str(self.path))
            return os.fdopen(handle, "rb")
        except BaseException:
            os.close(handle)
            raise

    def _head(self) -> _Head | None:
        try:
            with self._open() as file:
                return msgspec.json.decode(file.readline(65536), type=_Head)
        except (OSError, *_MALFORMED):
            return None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            import fcntl
        except ImportError:  # no such lock on this system; the replacement itself is atomic
            yield
            return
        handle = _open_lock(self.path.with_name(self.path.name + ".lock"))
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            # Closing alone would not do: a child forked meanwhile has the file open, too, and would keep the lock.
            fcntl.flock(handle, fcntl.LOCK_UN)
            os.close(handle)


def _open_lock(path: Path) -> int:
    """The lock file, made if it isn't there: never through a link, and never one that another user could keep locked.

    Raises:
        OSError: it is a link, no file, or another user's.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    status = os.fstat(handle)
    if stat.S_ISREG(status.st_mode) and status.st_uid in (0, os.geteuid()):
        return handle
    os.close(handle)
    raise OSError(errno.EPERM, "is not a file of ours", str(path))
