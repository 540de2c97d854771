"""Litestar: handlers and the guards of all the layers they lie in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from litestar.routes import HTTPRoute, WebSocketRoute

from watchword.cli.applications.route import Found, demands_of, methods_of, name_of

__all__ = ["routes_of"]


def routes_of(app: Any) -> Iterator[Found]:
    """Every handler; the answer to ``OPTIONS`` that Litestar adds by itself is none."""
    for route in app.routes:
        handlers = route.route_handlers if isinstance(route, HTTPRoute) else [route.route_handler]
        for handler in handlers:
            demands = demands_of(*handler.resolve_guards())
            if isinstance(route, HTTPRoute):
                methods = [name for name in methods_of(handler.http_methods) if name != "OPTIONS"]
            else:
                methods = ["WS" if isinstance(route, WebSocketRoute) else "*"]
            for method in methods:
                yield Found(method, route.path_format, name_of(handler.fn), demands)
