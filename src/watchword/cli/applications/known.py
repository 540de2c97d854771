"""Which reader an application takes: told by its class, so that no framework is imported that it does not use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any, Final

from watchword.cli.applications.route import Found, demands_of
from watchword.errors import ConfigurationError

__all__ = ["routes_of"]

_READERS: Final[Mapping[str, str]] = {
    "fastapi.applications.FastAPI": "fastapi",
    "starlette.applications.Starlette": "starlette",
    "starlette.routing.Router": "starlette",
    "flask.app.Flask": "flask",
    "django.core.handlers.base.BaseHandler": "django",
    "litestar.app.Litestar": "litestar",
}
"""Class of an application -> the module of this package that reads it."""

_WRAPPERS: Final = ("watchword.frameworks.asgi.Protected", "watchword.frameworks.wsgi.Protected")


def routes_of(app: Any) -> Iterator[Found]:
    """Every route of *app*.

    Raises:
        ConfigurationError: it is of no framework that is known here.
    """
    names = [f"{kind.__module__}.{kind.__qualname__}" for kind in type(app).__mro__]
    if any(name in _WRAPPERS for name in names):
        yield from behind(app)
        return
    reader = next((_READERS[name] for name in names if name in _READERS), None)
    if reader is None:
        raise ConfigurationError(f"application: {names[0]} is of no framework that is known here")
    read: Callable[[Any], Iterator[Found]] = import_module(f"watchword.cli.applications.{reader}").routes_of
    yield from read(app)


def behind(wrapper: Any) -> Iterator[Found]:
    """The routes behind a wrapper: all of them demand what it demands."""
    outer = demands_of(wrapper)
    try:
        inner = list(routes_of(wrapper.app))
    except ConfigurationError:
        inner = [Found("*", "/*", type(wrapper.app).__qualname__, None)]
    for route in inner:
        yield replace(route, demands=route.demands or outer)
