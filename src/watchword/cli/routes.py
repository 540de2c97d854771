"""``watchword routes``: what of an application is open to everybody."""

from __future__ import annotations

import os
import sys
from fnmatch import fnmatchcase
from importlib import import_module
from typing import Any

import click

from watchword.cli.applications import known
from watchword.cli.applications.route import Found
from watchword.cli.output import json_option, say, show_json, show_table
from watchword.errors import ConfigurationError

__all__ = ["routes"]


@click.command()
@click.argument("application", metavar="MODULE:APP")
@click.option("--factory", is_flag=True, help="APP is a function that makes the application.")
@click.option("--public", multiple=True, metavar="PATH", help="Meant to be open; may end in *.")
@click.option("--all", "everything", is_flag=True, help="Show protected routes, too, and what they demand.")
@json_option
def routes(application: str, factory: bool, public: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """List the routes of an application that anybody may call.

    It is imported, not run: FastAPI, Starlette, Flask, Django, Litestar, or any of them behind a wrapper. Exit
    1 when a route is neither protected nor named by --public.
    """
    found = sorted(known.routes_of(_load(application, factory)), key=lambda route: (route.path, route.method))
    unmeant = [route for route in found if route.demands is None and not _is_meant(route, public)]
    shown = found if everything else unmeant
    if as_json:
        show_json([_view(route, public) for route in shown])
    else:
        rows = [(route.method, route.path, route.name, _told(route, public)) for route in shown]
        show_table(
            ("method", "path", "endpoint", "demands"), rows, empty="every route is protected or public"
        )
        say(f"{len(unmeant)} of {len(found)} routes: open, and not said to be")
    if unmeant:
        click.get_current_context().exit(1)


def _load(text: str, factory: bool) -> Any:
    module_name, colon, attribute = text.partition(":")
    if not colon or not module_name or not attribute:
        raise ConfigurationError("application: must be MODULE:APP")
    # As servers do: an application lies where one stands.
    sys.path.insert(0, os.getcwd())
    try:
        found: Any = import_module(module_name)
        for name in attribute.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError) as missing:
        raise ConfigurationError(f"application: {missing}") from None
    return found() if factory else found


def _is_meant(route: Found, public: tuple[str, ...]) -> bool:
    return any(fnmatchcase(route.path, pattern.replace("[", "[[]")) for pattern in public)


def _told(route: Found, public: tuple[str, ...]) -> str:
    if route.demands is None:
        return "public" if _is_meant(route, public) else "nothing"
    return route.demands


def _view(route: Found, public: tuple[str, ...]) -> dict[str, Any]:
    return {
        "method": route.method,
        "path": route.path,
        "endpoint": route.name,
        "protected": route.demands is not None,
        "public": route.demands is None and _is_meant(route, public),
        "demands": route.demands,
    }
