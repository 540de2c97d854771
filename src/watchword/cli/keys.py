"""``watchword key``: the signing keys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import click

from watchword.cli.output import show_json, show_record, show_table
from watchword.cli.store import Place, origin, place_options
from watchword.errors import NotFound

if TYPE_CHECKING:
    from watchword.server.keys.ring import Rotation
    from watchword.server.services import Services
    from watchword.server.store.records import SigningKey

__all__ = ["key"]

_KID: Final = re.compile(r"-[A-Za-z0-9_-]{42}")


class _KidCommand(click.Command):
    """A command whose argument may begin with a hyphen, as one kid in sixty-four does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, with what looks like a thumbprint (RFC 7638) behind everything that is an option."""
        kids = [] if "--" in args else [arg for arg in args if _KID.fullmatch(arg)]
        if kids:
            args = [*(arg for arg in args if arg not in kids), "--", *kids]
        return super().parse_args(ctx, args)


@click.group()
def key() -> None:
    """Signing keys: list, rotate, kill."""


@key.command("list")
@click.option("--feed", is_flag=True, help="The keys that sign the revocation feed.")
@place_options
def list_keys(place: Place, as_json: bool, feed: bool) -> None:
    """Show the keys and where each is in its life."""

    async def act(services: Services) -> list[SigningKey]:
        return list(await services.keys.list("feed" if feed else "token"))

    keys = place.run(act)
    if as_json:
        show_json([_view(one) for one in keys])
        return
    show_table(
        ("STATE", "FOR", "ALGORITHM", "KID", "CREATED", "ACTIVE", "RETIRED", "GONE"),
        [
            (
                one.state,
                one.audience or one.purpose,
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
@click.option(
    "--algorithm", metavar="A", help="ES256, RS256, PS256, Ed25519 or HS256. Default: as the waiting key."
)
@click.option(
    "--audience", metavar="A", help="The API whose keys are meant. Default: the one of a plain log-in."
)
@click.option("--feed", is_flag=True, help="The key that signs the revocation feed.")
@click.option("--now", is_flag=True, help="At once, for an incident: verifiers may not know the key yet.")
@place_options
def rotate(
    place: Place, as_json: bool, algorithm: str | None, audience: str | None, feed: bool, now: bool
) -> None:
    """Let the waiting key take over, and say when it does. Tokens of the old one stay good."""

    async def act(services: Services) -> Rotation:
        issuer = services.introspection.policy.issuer
        if audience not in (None, issuer) and await services.store.apis.get(audience) is None:
            raise NotFound(f"there is no API {audience}")
        return await services.keys.rotate(
            purpose="feed" if feed else "token",
            audience=audience,
            algorithm=algorithm,
            immediately=now,
            origin=origin(),
        )

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


@key.command(cls=_KidCommand)
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
