"""FastAPI: routes whose dependencies, their own or those of router and application, protect them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import fastapi.routing

from watchword.cli.applications import starlette
from watchword.cli.applications.route import Found, demands_of, methods_of, name_of

__all__ = ["routes_of"]


def routes_of(app: Any) -> Iterator[Found]:
    """Every route; the documents and mounts are Starlette's."""
    outer = starlette.outer_demands(app)
    for route in _contexts(app.routes):
        dependant = getattr(route, "dependant", None)
        if dependant is None:
            found = starlette.routes_under([getattr(route, "original_route", route)])
        else:
            methods = methods_of(route.methods) if getattr(route, "methods", None) else ["WS"]
            demands = demands_of(*_calls(dependant))
            found = iter([Found(name, route.path, name_of(route.endpoint), demands) for name in methods])
        for one in found:
            yield replace(one, demands=one.demands or outer)


def _contexts(routes: Any) -> Iterator[Any]:
    """The routes with what their routers add; older releases have added it already."""
    iterate = getattr(fastapi.routing, "iter_route_contexts", iter)
    yield from iterate(routes)


def _calls(dependant: Any) -> Iterator[Any]:
    yield dependant.call
    for inner in dependant.dependencies:
        yield from _calls(inner)
