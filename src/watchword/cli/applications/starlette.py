"""Starlette: routes, mounts, endpoint classes, middleware."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from watchword.cli.applications.route import Found, demands_of, methods_of, name_of

__all__ = ["below", "routes_of", "routes_under"]

_METHODS: Final = ("get", "head", "post", "put", "patch", "delete", "options")


def routes_of(app: Any) -> Iterator[Found]:
    """Every route; middleware that protects does so for all of them."""
    outer = outer_demands(app)
    for route in routes_under(app.routes):
        yield replace(route, demands=route.demands or outer)


def outer_demands(app: Any) -> str | None:
    """What the application's own middleware demands."""
    return demands_of(*(one.cls for one in getattr(app, "user_middleware", ())))


def routes_under(routes: Iterable[Any], prefix: str = "", outer: str | None = None) -> Iterator[Found]:
    """The routes of a list, with what stands before all of them."""
    for route in routes:
        endpoint = getattr(route, "endpoint", None)
        if endpoint is None:
            yield from below(route, prefix, outer)
            continue
        path = prefix + route.path
        if not hasattr(route, "methods"):
            hears = [getattr(endpoint, name, None) for name in ("on_connect", "dispatch")]
            yield Found("WS", path, name_of(endpoint), demands_of(route.app, endpoint, *hears) or outer)
        elif isinstance(endpoint, type):
            for name in _METHODS:
                if (method := getattr(endpoint, name, None)) is not None:
                    demands = demands_of(route.app, method) or outer
                    yield Found(name.upper(), path, name_of(method), demands)
        else:
            for name in methods_of(route.methods):
                yield Found(name, path, name_of(endpoint), demands_of(route.app, endpoint) or outer)


def below(mount: Any, prefix: str = "", outer: str | None = None) -> Iterator[Found]:
    """What is mounted: an application that can be read, or one of which only the place is known."""
    from watchword.cli.applications.known import routes_of as routes_of_any
    from watchword.errors import ConfigurationError

    place = prefix + getattr(mount, "path", "")
    outer = demands_of(mount.app) or outer
    app = getattr(mount, "_base_app", mount.app)
    try:
        inner = list(routes_of_any(app))
    except ConfigurationError:
        inner = [Found("*", "/*", type(app).__qualname__, None)]
    for route in inner:
        yield replace(route, path=place + route.path, demands=route.demands or outer)
