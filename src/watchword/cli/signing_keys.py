"""``watchword signing-key``: public keys whose signed requests are a user's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from watchword.cli.key_options import Terms, keys_of, revoke_key, terms_options
from watchword.cli.output import json_option, say, show_json, show_table
from watchword.cli.store import Place, origin, place_options, require_user
from watchword.errors import InvalidKey, WatchwordError

if TYPE_CHECKING:
    from watchword.server.services import Services
    from watchword.server.store.records import Session

__all__ = ["signing_key"]


@click.group()
def signing_key() -> None:
    """Signing keys: public keys whose signed requests are a user's."""


@signing_key.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--algorithm", type=click.Choice(["ES256", "ES384", "EdDSA"]), default="EdDSA", help="Default: EdDSA."
)
@json_option
def generate(as_json: bool, file: Path, algorithm: str) -> None:
    """Make a key: FILE gets the private one, stdout the public one, which is handed in."""
    import msgspec

    from watchword.jose.jwk import Key

    key = Key.generate(algorithm)
    try:
        # Never over another: the private part of a key is nowhere else.
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as fault:
        raise WatchwordError(f"{file}: {fault.strerror}") from None
    with os.fdopen(handle, "wb") as out:
        out.write(msgspec.json.encode(key.private_jwk()) + b"\n")
    show_json(key.public_jwk())


@signing_key.command()
@click.argument("who", metavar="EMAIL")
@terms_options
@click.option(
    "--jwk",
    "source",
    required=True,
    metavar="FILE",
    type=click.File("rb"),
    help="The public key; - is stdin.",
)
@place_options
def add(place: Place, as_json: bool, who: str, source: IO[bytes], terms: Terms) -> None:
    """Take in a user's public key; stdout holds its id alone, which is the keyid of its signatures."""
    jwk = _read(source)

    async def act(services: Services) -> Session:
        user = await require_user(services, who)
        return await services.signing_keys.create(user, jwk, terms(user), origin())

    made = place.run(act)
    if as_json:
        from watchword.server.endpoints.signing_keys import signing_key_view

        show_json(signing_key_view(made))
        return
    say(f"a key of {who}, good until {made.expires_at:%Y-%m-%d %H:%M} UTC")
    click.echo(made.id)


@signing_key.command("list")
@click.argument("who", metavar="EMAIL")
@place_options
def list_keys(place: Place, as_json: bool, who: str) -> None:
    """Show a user's keys."""
    from watchword.server.endpoints.signing_keys import signing_key_view

    keys = [signing_key_view(one) for one in keys_of(place, who, "signing_key")]
    if as_json:
        show_json(keys)
        return
    show_table(
        ("ID", "NAME", "ALGORITHM", "AUDIENCE", "SCOPE", "CREATED", "LAST USED", "ENDS"),
        [
            (
                one.id,
                one.name,
                one.algorithm,
                one.audience,
                one.scope,
                one.created_at,
                one.last_used_at,
                one.expires_at,
            )
            for one in keys
        ],
        empty="no signing keys",
    )


@signing_key.command()
@click.argument("key_id", metavar="ID")
@place_options
def revoke(place: Place, as_json: bool, key_id: str) -> None:
    """End a key; what it signs is refused at once."""
    revoke_key(place, as_json, key_id, "signing_key")


def _read(source: IO[bytes]) -> dict[str, Any]:
    from watchword.jose.encoding import parse_json_object, without_mark

    return parse_json_object(without_mark(source.read(65536)), error=InvalidKey)
