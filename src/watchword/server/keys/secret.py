"""The master key's file: made once, readable by its owner alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from watchword.errors import ConfigurationError

__all__ = ["load_or_create_secret"]


def load_or_create_secret(path: Path, token_bytes: Callable[[int], bytes]) -> str:
    """Read the master key from *path*, or make one there with mode 0600.

    Raises:
        ConfigurationError: others may read the file, or it cannot be read or made.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _load(path)
    except OSError as broken:
        raise ConfigurationError(f"data_dir: cannot write {path.name}: {broken.strerror}") from None
    secret = token_bytes(32).hex()
    with os.fdopen(descriptor, "w") as file:
        file.write(secret + "\n")
        file.flush()
        os.fsync(file.fileno())
    return secret


def _load(path: Path) -> str:
    try:
        # A FIFO would be waited for forever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, encoding="utf-8-sig") as file:
            status = os.fstat(descriptor)
            text = file.read().strip() if stat.S_ISREG(status.st_mode) else ""
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(f"data_dir: cannot read {path.name}") from None
    if not stat.S_ISREG(status.st_mode):
        raise ConfigurationError(f"data_dir: {path.name} is not a file")
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise ConfigurationError(f"data_dir: {path.name} can be read by others; chmod 600 it")
    return text
