"""``watchword api-key``: keys with which a user's programs come to an API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from watchword.cli.key_options import Terms, keys_of, revoke_key, terms_options
from watchword.cli.output import say, show_json, show_table
from watchword.cli.store import Place, origin, place_options, require_user

if TYPE_CHECKING:
    from watchword.server.services import Services
    from watchword.server.user_keys.api_keys import NewKey

__all__ = ["api_key"]


@click.group()
def api_key() -> None:
    """API keys: what a user's programs show in place of a log-in."""


@api_key.command()
@click.argument("who", metavar="EMAIL")
@terms_options
@place_options
def create(place: Place, as_json: bool, who: str, terms: Terms) -> None:
    """Make a key of a user; stdout holds the key alone, which cannot be shown again."""

    async def act(services: Services) -> NewKey:
        user = await require_user(services, who)
        return await services.api_keys.create(user, terms(user), origin())

    made = place.run(act)
    if as_json:
        from watchword.server.endpoints.api_keys import new_api_key_view

        show_json(new_api_key_view(made))
        return
    say(f"{made.session.id} of {who}, good until {made.session.expires_at:%Y-%m-%d %H:%M} UTC")
    click.echo(made.text)


@api_key.command("list")
@click.argument("who", metavar="EMAIL")
@place_options
def list_keys(place: Place, as_json: bool, who: str) -> None:
    """Show a user's keys."""
    from watchword.server.endpoints.keys import key_view

    keys = [key_view(one) for one in keys_of(place, who, "api_key")]
    if as_json:
        show_json(keys)
        return
    show_table(
        ("ID", "NAME", "AUDIENCE", "SCOPE", "CREATED", "LAST USED", "ENDS"),
        [
            (one.id, one.name, one.audience, one.scope, one.created_at, one.last_used_at, one.expires_at)
            for one in keys
        ],
        empty="no API keys",
    )


@api_key.command()
@click.argument("key_id", metavar="ID")
@place_options
def revoke(place: Place, as_json: bool, key_id: str) -> None:
    """End a key; its access tokens die at once."""
    revoke_key(place, as_json, key_id, "api_key")
