"""A route as it was found, and how a protection is recognised on whatever a framework keeps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from watchword.frameworks.protection import Protection, protection_of

__all__ = ["Found", "demands_of", "methods_of", "name_of", "told"]


@dataclass(frozen=True, slots=True)
class Found:
    """One method of one path.

    Attributes:
        method: the HTTP method; ``WS`` for a websocket, ``*`` for any.
        path: the path in the framework's own spelling.
        name: what answers.
        demands: what it demands of its caller; ``None``: nothing at all.
    """

    method: str
    path: str
    name: str
    demands: str | None


def demands_of(*things: Any) -> str | None:
    """What the protections on *things* demand together; ``None`` where there is none."""
    found = [protection for thing in things if (protection := protection_of(thing)) is not None]
    return told(found) if found else None


def told(protections: Iterable[Protection]) -> str:
    """What several protections demand, in words."""
    words: list[str] = []
    for one in protections:
        words += [f"scope {' '.join(one.scope)}"] if one.scope else []
        words += [f"role {' or '.join(one.role)}"] if one.role else []
        words += [f"fresh {one.fresh:g}"] if one.fresh is not None else []
        words += ["a token, if any, that is good"] if one.optional else []
    return ", ".join(dict.fromkeys(words)) or "a token"


def name_of(endpoint: Any) -> str:
    """What an endpoint is called in the source."""
    return str(getattr(endpoint, "__qualname__", type(endpoint).__qualname__))


def methods_of(methods: Iterable[str] | None) -> list[str]:
    """The methods to tell of: ``HEAD`` and ``OPTIONS`` come along with others by themselves."""
    found = sorted(methods or ("*",))
    return [name for name in found if name not in ("HEAD", "OPTIONS")] or found
