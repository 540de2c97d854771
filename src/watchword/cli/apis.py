"""``watchword api``: protected APIs (RFC 8707 resources)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from watchword.cli.output import say, show_json, show_record, show_table
from watchword.cli.store import Place, origin, place_options
from watchword.cli.words import check_body, scope_of
from watchword.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from watchword.server.services import Services
    from watchword.server.store.records import Api

__all__ = ["api"]


@click.group()
def api() -> None:
    """Protected APIs: the audiences tokens may be for."""


@api.command()
@click.argument("audience")
@click.option("--scope", "words", multiple=True, metavar="S", help="A scope it knows. Default: takes any.")
@place_options
def create(place: Place, as_json: bool, audience: str, words: tuple[str, ...]) -> None:
    """Add an API."""
    scope = scope_of(words)
    check_body("ApiBody", audience=audience, scope=scope)

    async def act(services: Services) -> Api:
        if audience == services.introspection.policy.issuer:
            raise InvalidInput(errors=[("audience", "is the issuer; it needs no entry")])
        return await services.store.apis.add(audience, scope, origin())

    found = place.run(act, create=True)
    if as_json:
        show_json(_view(found))
    else:
        show_record([("audience", found.audience), ("scope", found.scope or "any")])


@api.command("list")
@place_options
def list_apis(place: Place, as_json: bool) -> None:
    """Show every API."""

    async def act(services: Services) -> list[Api]:
        return list(await services.store.apis.list())

    apis = place.run(act)
    if as_json:
        show_json([_view(one) for one in apis])
        return
    show_table(
        ("AUDIENCE", "SCOPE", "BUILT IN", "CREATED"),
        [(one.audience, one.scope or "any", one.built_in, one.created_at) for one in apis],
        empty="there are no APIs",
    )


@api.command()
@click.argument("audience")
@place_options
def delete(place: Place, as_json: bool, audience: str) -> None:
    """Delete an API: its sessions end, its tokens die, and there are no new ones."""

    async def act(services: Services) -> None:
        if not await services.store.apis.delete(audience, origin()):
            raise NotFound(f"there is no API {audience}")

    place.run(act)
    if as_json:
        show_json({"deleted": audience})
    else:
        say(f"deleted {audience}")


def _view(found: Api) -> Any:
    from watchword.server.admin.views import api_view

    return api_view(found)
