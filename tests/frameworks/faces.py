"""Every face, under the name its cells of the table bear."""

from __future__ import annotations

from importlib import import_module

from tests.frameworks.wire import Send, ask_asgi
from watchword import Guard

FACES = ("asgi", "starlette", "fastapi")
SOCKETS = ("asgi", "starlette", "fastapi")

CANNOT: dict[tuple[str, str], str] = {}
"""What a framework cannot carry: (face, path) → why."""


def load(name: str) -> tuple[Guard, Send]:
    """A face's guard, and how its application is asked."""
    module = import_module(f"tests.frameworks.face_{name}")
    guard: Guard = module.GUARD
    return guard, ask_asgi(module.app)
