"""``watchword role``: roles and the scope each may carry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from watchword.cli.output import say, show_json, show_record, show_table
from watchword.cli.store import Place, origin, place_options
from watchword.cli.words import check_body, scope_of
from watchword.errors import NotFound

if TYPE_CHECKING:
    from watchword.server.services import Services
    from watchword.server.store.records import Role

__all__ = ["role"]


@click.group()
def role() -> None:
    """Roles and the scope each may carry. Built in: user, admin."""


@role.command("list")
@place_options
def list_roles(place: Place, as_json: bool) -> None:
    """Show every role."""

    async def act(services: Services) -> list[Role]:
        return list(await services.store.roles.list())

    roles = place.run(act)
    if as_json:
        show_json([_view(one) for one in roles])
        return
    show_table(
        ("ROLE", "SCOPE", "BUILT IN"),
        [(one.name, one.scope, one.built_in) for one in roles],
        empty="there are no roles",
    )


@role.command("set")
@click.argument("name")
@click.option("--scope", "words", multiple=True, metavar="S", help="A scope it may carry; may be repeated.")
@place_options
def set_role(place: Place, as_json: bool, name: str, words: tuple[str, ...]) -> None:
    """Make or change a role; scope taken away is taken from issued tokens, too."""
    scope = scope_of(words)
    check_body("RoleBody", name=name, scope=scope)

    async def act(services: Services) -> Role:
        return await services.store.roles.set(name, scope, origin())

    found = place.run(act, create=True)
    if as_json:
        show_json(_view(found))
    else:
        show_record([("role", found.name), ("scope", found.scope)])


@role.command()
@click.argument("name")
@place_options
def delete(place: Place, as_json: bool, name: str) -> None:
    """Delete a role and take it from everybody."""

    async def act(services: Services) -> None:
        if not await services.store.roles.delete(name, origin()):
            raise NotFound(f"there is no role {name}")

    place.run(act)
    if as_json:
        show_json({"deleted": name})
    else:
        say(f"deleted {name}")


def _view(found: Role) -> Any:
    from watchword.server.admin.views import role_view

    return role_view(found)
