"""Files that are made under a name of their own before they are put in place, where others may write beside them."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

__all__ = ["make_private", "remove_scratch", "scratch_beside"]


def scratch_beside(target: Path) -> Path:
    """A new empty file on the file system of *target*, in a folder that only we may enter.

    A name that can be foreseen could be there already, as a link to another file or with another's rights to it. The
    folder keeps the journals out of reach, too, which SQLite makes beside a database under names of its own.

    Raises:
        OSError: it cannot be made.
    """
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
    try:
        make_private(folder / target.name)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder / target.name


def remove_scratch(part: Path) -> None:
    """Remove what ``scratch_beside`` made, whatever became of it."""
    shutil.rmtree(part.parent, ignore_errors=True)


def make_private(path: Path) -> None:
    """Make the empty file *path*, mode 0600; it must not be there, not even as a link that leads nowhere.

    Raises:
        FileExistsError: it is there.
        OSError: it cannot be made.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
