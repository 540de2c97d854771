"""What one reader of a stranger's bytes is, and how bytes become what it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

__all__ = ["Parser", "at_once", "fields", "latin", "scratch", "utf8"]

T = TypeVar("T")


@dataclass(frozen=True)
class Parser:
    """One reader: it may return, or raise an error of ours.

    Attributes:
        call: what reads an input.
        seeds: inputs that are good, or nearly.
        often: of a hundred inputs how many it must read without an error at least, so that it is seen inside.
    """

    call: Callable[[bytes], object]
    seeds: tuple[bytes, ...]
    often: int = 1


_FOLDER = TemporaryDirectory(prefix="watchword-fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
"""A million files are written there, so it is memory where there is such a place."""


def scratch(name: str, given: bytes) -> Path:
    """A file of this name that holds *given*; the next of the name takes its place."""
    path = Path(_FOLDER.name, name)
    path.write_bytes(given)
    return path


def latin(call: Callable[[str], object]) -> Callable[[bytes], object]:
    """*call* for a text, as header fields come: each byte a character."""
    return lambda given: call(given.decode("latin-1"))


def utf8(call: Callable[[str], object]) -> Callable[[bytes], object]:
    """*call* for a text, as JSON and files have it: every character there is, lone surrogates too."""
    return lambda given: call(given.decode("utf-8", "surrogateescape"))


def fields(given: bytes) -> list[tuple[bytes, bytes]]:
    """Header fields, one a line, as a server hands them on: names in lower case, values without space around."""
    pairs = (line.partition(b":") for line in given.split(b"\n"))
    return [(name.strip().lower(), value.strip()) for name, _, value in pairs]


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """What *work* returns, which has all it needs and so never waits."""
    try:
        work.send(None)
    except StopIteration as done:
        found: T = done.value
        return found
    work.close()
    raise asyncio.InvalidStateError("it waited")
