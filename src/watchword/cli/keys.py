"""``watchword key``: the signing keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from watchword.cli.output import show_json, show_record, show_table
from watchword.cli.store import Place, origin, place_options

if TYPE_CHECKING:
    from watchword.server.keys.ring import Rotation
    from watchword.server.services import Services
    from watchword.server.store.records import SigningKey

__all__ = ["key"]


@click.group()
def key() -> None:
    """Signing keys: list, rotate, kill."""


@key.command("list")
@place_options
def list_keys(place: Place, as_json: bool) -> None:
    """Show the keys and where each is in its life."""

    async def act(services: Services) -> list[SigningKey]:
        return list(await services.keys.list())

    keys = place.run(act)
    if as_json:
        show_json([_view(one) for one in keys])
        return
    show_table(
        ("STATE", "ALGORITHM", "KID", "CREATED", "ACTIVE", "RETIRED", "GONE"),
        [
            (
                one.state,
                one.algorithm,
                one.kid,
                one.created_at,
                one.active_at,
                one.retired_at,
                one.gone_at,
            )
            for one in keys
        ],
        empty="there are no keys yet; `watchword serve` makes them",
    )


@key.command()
@click.option("--algorithm", metavar="A", help="ES256, RS256, PS256 or EdDSA. Default: as the waiting key.")
@click.option("--now", is_flag=True, help="At once, for an incident: verifiers may not know the key yet.")
@place_options
def rotate(place: Place, as_json: bool, algorithm: str | None, now: bool) -> None:
    """Let the waiting key take over, and say when it does. Tokens of the old one stay good."""

    async def act(services: Services) -> Rotation:
        return await services.keys.rotate(algorithm=algorithm, immediately=now, origin=origin())

    rotation = place.run(act)
    if as_json:
        show_json(rotation)
        return
    show_record(
        [
            ("key", rotation.kid),
            ("algorithm", rotation.algorithm),
            ("active at", rotation.active_at),
            ("retires", rotation.retiring),
        ]
    )


@key.command()
@click.argument("kid")
@place_options
def compromise(place: Place, as_json: bool, kid: str) -> None:
    """Kill a key: every token under it dies, and the waiting key takes over."""

    async def act(services: Services) -> SigningKey:
        return await services.keys.compromise(kid, origin())

    killed = place.run(act)
    if as_json:
        show_json(_view(killed))
    else:
        show_record([("key", killed.kid), ("algorithm", killed.algorithm), ("state", killed.state)])


def _view(found: SigningKey) -> Any:
    from watchword.server.admin.views import key_view

    return key_view(found)
