"""``watchword session``: who is logged in, and throwing them out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from watchword.cli.output import say, show_json, show_table
from watchword.cli.store import Place, origin, place_options, require_user

if TYPE_CHECKING:
    from watchword.server.services import Services
    from watchword.server.store.records import Session

__all__ = ["session"]

_REASON = "revoked_by_administrator"


@click.group()
def session() -> None:
    """Who is logged in; throw them out."""


@session.command("list")
@click.argument("who", metavar="EMAIL")
@place_options
def list_sessions(place: Place, as_json: bool, who: str) -> None:
    """Show where a user is logged in."""

    async def act(services: Services) -> list[Session]:
        return list(await services.sessions.list((await require_user(services, who)).id))

    sessions = place.run(act)
    if as_json:
        from watchword.server.endpoints.views import session_view

        show_json([session_view(one) for one in sessions])
        return
    show_table(
        ("ID", "DEVICE", "ADDRESS", "CREATED", "LAST USED", "ENDS"),
        [
            (
                one.id,
                one.device,
                one.address,
                one.created_at,
                one.last_used_at,
                min(one.expires_at, one.idle_expires_at),
            )
            for one in sessions
        ],
        empty="not logged in anywhere",
    )


@session.command()
@click.argument("session_id", metavar="[ID]", required=False)
@click.option("--user", "who", metavar="EMAIL", help="All sessions of this user.")
@place_options
def revoke(place: Place, as_json: bool, session_id: str | None, who: str | None) -> None:
    """End one session, or all of a user; access tokens die with them."""
    if (session_id is None) == (who is None):
        raise click.UsageError("give one of ID and --user EMAIL")

    async def act(services: Services) -> int:
        if session_id is not None:
            await services.sessions.end(session_id, _REASON, origin())
            return 1
        found = await require_user(services, who or "")
        return await services.sessions.end_all(found.id, _REASON, origin())

    ended = place.run(act)
    if as_json:
        show_json({"ended": ended})
    else:
        say(f"ended {ended} session{'' if ended == 1 else 's'}")
