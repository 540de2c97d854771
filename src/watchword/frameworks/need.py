"""A face without its framework says the one line that mends it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["needs"]


@contextmanager
def needs(package: str) -> Iterator[None]:
    """Around the imports of a framework: *package* is what ``pip install`` calls it.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        text = f"{missing.name} is not installed: pip install {package}"
        raise ModuleNotFoundError(text, name=missing.name) from missing
