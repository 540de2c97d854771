"""``watchword api-key``: keys with which a user's programs come to an API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from watchword.cli.output import say, show_json, show_table
from watchword.cli.store import Place, origin, place_options, require_user

if TYPE_CHECKING:
    from watchword.server.login.api_keys import NewKey
    from watchword.server.services import Services
    from watchword.server.store.records import Session

__all__ = ["api_key"]

_REASON = "revoked_by_administrator"


@click.group()
def api_key() -> None:
    """API keys: what a user's programs show in place of a log-in."""


@api_key.command()
@click.argument("who", metavar="EMAIL")
@click.option("--name", required=True, metavar="N", help="What the key is known by.")
@click.option("--scope", "scopes", multiple=True, metavar="S", help="What it may do; may be repeated.")
@click.option("--audience", metavar="A", help="The API it is for. Default: AUDIENCE.")
@click.option("--expires-in", metavar="SPAN", help="How long it lives: 30d. Default: API_KEY_TTL.")
@place_options
def create(
    place: Place,
    as_json: bool,
    who: str,
    name: str,
    scopes: tuple[str, ...],
    audience: str | None,
    expires_in: str | None,
) -> None:
    """Make a key of a user; stdout holds the key alone, which cannot be shown again."""
    from watchword.server.parsing import parse_span

    try:
        life = None if expires_in is None else parse_span(expires_in)
    except ValueError as fault:
        raise click.UsageError(f"--expires-in {fault}") from None

    async def act(services: Services) -> NewKey:
        user = await require_user(services, who)
        return await services.api_keys.create(
            user,
            name,
            version=user.version,
            audience=audience,
            scope=" ".join(scopes) if scopes else None,
            lifetime=life,
            origin=origin(),
        )

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

    async def act(services: Services) -> list[Session]:
        return list(await services.api_keys.list((await require_user(services, who)).id))

    from watchword.server.endpoints.api_keys import api_key_view

    keys = [api_key_view(one) for one in place.run(act)]
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
    place.run(lambda services: services.api_keys.revoke(key_id, _REASON, origin()))
    if as_json:
        show_json({"revoked": key_id})
    else:
        say(f"revoked {key_id}")
