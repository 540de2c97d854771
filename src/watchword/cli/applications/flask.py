"""Flask: rules and their views; functions before every request, of the application or of a blueprint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from watchword.cli.applications.route import Found, demands_of, methods_of, name_of

__all__ = ["routes_of"]


def routes_of(app: Any) -> Iterator[Found]:
    """Every rule."""
    outer = demands_of(app.wsgi_app)
    for rule in app.url_map.iter_rules():
        view = app.view_functions.get(rule.endpoint)
        for method in methods_of(rule.methods):
            demands = demands_of(view, *_before(app, rule.endpoint), *_of_class(view, method)) or outer
            yield Found(method, rule.rule, name_of(view), demands)


def _before(app: Any, endpoint: str) -> Iterator[Any]:
    """What runs before a request to *endpoint*: the application's functions and those of its blueprints."""
    parts = endpoint.split(".")[:-1]
    for name in (None, *(".".join(parts[: length + 1]) for length in range(len(parts)))):
        yield from app.before_request_funcs.get(name, ())


def _of_class(view: Any, method: str) -> Iterator[Any]:
    kind = getattr(view, "view_class", None)
    if kind is not None:
        # `as_view` has applied the class's decorators to the view already; its methods have their own.
        yield getattr(kind, method.lower(), None)
        yield getattr(kind, "dispatch_request", None)
