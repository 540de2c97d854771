"""``watchword token revoke`` and ``client``: access tokens taken back, and programs shut out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import click

from watchword.cli.output import say, show_json
from watchword.cli.store import Place, origin, place_options
from watchword.errors import InvalidToken, NotFound

if TYPE_CHECKING:
    from watchword.protocol.access_token import AccessToken
    from watchword.server.services import Services
    from watchword.server.store.records import Client

__all__ = ["client", "revoke"]

_LONGEST: Final = 65_536


@click.command()
@click.argument("text", metavar="[TOKEN|-]", required=False)
@click.option("--all", "everything", is_flag=True, help="Every access token there is; sessions go on.")
@place_options
def revoke(place: Place, as_json: bool, text: str | None, everything: bool) -> None:
    """Kill one access token at every API; its session goes on and its client refreshes.

    `-` reads it from stdin. Exit 1 when it is no access token of this server.
    """
    if everything == (text is not None):
        raise click.UsageError("give one of TOKEN and --all")
    given = sys.stdin.read(_LONGEST).removeprefix("\ufeff") if text == "-" else text or ""

    async def act(services: Services) -> AccessToken | None:
        if not everything:
            return await services.withdrawal.token(given.strip(), origin())
        await services.withdrawal.everything(origin())
        return None

    try:
        token = place.run(act)
    except InvalidToken as fault:
        raise NotFound(f"no access token of this server: {fault.description}") from None
    if as_json:
        show_json({"all": True} if token is None else {"jti": token.jti, "session_id": token.sid})
    else:
        say("every access token is dead" if token is None else f"token {token.jti} is dead")


@click.group()
def client() -> None:
    """Programs that log people in: shut them out, let them in."""


@client.command()
@click.argument("client_id", metavar="ID")
@place_options
def disable(place: Place, as_json: bool, client_id: str) -> None:
    """Shut a client out: its access tokens die, its sessions rest, nobody logs in with it.

    `cli_first_party` is the client of the first-party API, the administrators' own included.
    """
    _set(place, as_json, client_id, disabled=True)


@client.command()
@click.argument("client_id", metavar="ID")
@place_options
def enable(place: Place, as_json: bool, client_id: str) -> None:
    """Let a client in again: its sessions go on, access tokens from before stay dead."""
    _set(place, as_json, client_id, disabled=False)


def _set(place: Place, as_json: bool, client_id: str, *, disabled: bool) -> None:
    async def act(services: Services) -> Client:
        found = await services.store.clients.disable(client_id, origin(), disabled=disabled)
        if found is None:
            raise NotFound(f"there is no client {client_id}")
        return found

    found = place.run(act)
    if as_json:
        show_json({"client_id": found.id, "name": found.name, "disabled": found.disabled})
    else:
        say(f"{found.id} is {'disabled' if found.disabled else 'enabled'}")
