"""Django: the URL configuration, views and classes; and the permissions of its REST framework."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.conf import settings
from django.urls import URLResolver, get_resolver

from watchword.cli.applications.route import Found, demands_of, name_of

__all__ = ["routes_of"]

_METHODS: Final = ("get", "post", "put", "patch", "delete")


def routes_of(_: Any) -> Iterator[Found]:
    """Every pattern of ``ROOT_URLCONF``."""
    yield from _patterns(get_resolver(settings.ROOT_URLCONF).url_patterns, "/")


def _patterns(patterns: Any, prefix: str) -> Iterator[Found]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _patterns(pattern.url_patterns, path)
        else:
            yield from _views(pattern.callback, path)


def _views(view: Any, path: str) -> Iterator[Found]:
    kind = getattr(view, "cls", None) or getattr(view, "view_class", None)
    if kind is None:
        yield Found("*", path, name_of(view), demands_of(view))
        return
    outer = [view, getattr(kind, "dispatch", None), *_permissions(kind)]
    actions = getattr(view, "actions", None)
    named = actions.items() if actions else ((name, name) for name in _METHODS if hasattr(kind, name))
    for method, attribute in named:
        if (handler := getattr(kind, attribute, None)) is not None:
            yield Found(method.upper(), path, f"{name_of(kind)}.{attribute}", demands_of(*outer, handler))


def _permissions(kind: Any) -> Iterator[Any]:
    """The permission classes of a REST framework's view; of two joined by ``&`` both count, by ``|`` neither."""
    waiting = list(getattr(kind, "permission_classes", ()))
    while waiting:
        one = waiting.pop()
        if type(one).__name__ == "OperandHolder":
            waiting += [one.op1_class, one.op2_class] if one.operator_class.__name__ == "AND" else []
        else:
            yield one
