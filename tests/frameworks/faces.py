"""Every face, under the name its cells of the table bear."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

from tests.frameworks.wire import Send, ask_asgi, ask_wsgi
from watchword import Guard

FACES = (
    "asgi",
    "starlette",
    "fastapi",
    "litestar",
    "wsgi",
    "flask",
    "django",
    "django-asgi",
    "rest_framework",
    "rest_framework-asgi",
)
SOCKETS = ("asgi", "starlette", "fastapi", "litestar")

CANNOT: dict[tuple[str, str], str] = {
    ("wsgi", "/later"): "a WSGI application is a synchronous function",
    ("rest_framework", "/later"): "Django REST framework has no asynchronous views",
    ("rest_framework-asgi", "/later"): "Django REST framework has no asynchronous views",
    (
        "litestar",
        "/socket",
    ): "a guard of Litestar can close a websocket and has no way to answer its handshake",
}
"""What a framework cannot carry: (face, path) → why."""


def load(name: str) -> tuple[Guard, Send]:
    """A face's guard, and how its application is asked."""
    face, _, _ = name.partition("-")
    if face in ("django", "rest_framework"):
        import tests.frameworks.django_project  # noqa: F401

        guard: Guard = import_module(f"tests.frameworks.face_{face}").GUARD
        return guard, _django(name)
    module = import_module(f"tests.frameworks.face_{face}")
    guard = module.GUARD
    return guard, ask_wsgi(module.app) if face in ("wsgi", "flask") else ask_asgi(module.app)


def _django(name: str) -> Send:
    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.wsgi import WSGIHandler

    prefix = "/rest" if name.startswith("rest") else ""
    send = ask_asgi(ASGIHandler()) if name.endswith("asgi") else ask_wsgi(WSGIHandler())
    return lambda request: send(replace(request, path=prefix + request.path))
