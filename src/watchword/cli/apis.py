"""``watchword api``: protected APIs (RFC 8707 resources)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from watchword.cli.output import json_option, say, show_json, show_record, show_table
from watchword.cli.store import Place, origin, place_options
from watchword.cli.words import check_body, scope_of
from watchword.errors import InvalidInput, NotFound, WatchwordError

if TYPE_CHECKING:
    from watchword.server.services import Services
    from watchword.server.store.records import Api

__all__ = ["api"]


_encryption_jwks = click.option(
    "--encryption-jwks",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with its public key for encryption, a JWK Set: tokens for it alone are encrypted.",
)


@click.group()
def api() -> None:
    """Protected APIs: the audiences tokens may be for."""


@api.command()
@click.argument("audience")
@click.option("--scope", "words", multiple=True, metavar="S", help="A scope it knows. Default: takes any.")
@_encryption_jwks
@place_options
def create(
    place: Place, as_json: bool, audience: str, words: tuple[str, ...], encryption_jwks: Path | None
) -> None:
    """Add an API."""
    scope = scope_of(words)
    check_body("ApiBody", audience=audience, scope=scope)
    jwk = _encryption_jwk(encryption_jwks)

    async def act(services: Services) -> Api:
        if audience == services.introspection.policy.issuer:
            raise InvalidInput(errors=[("audience", "is the issuer; it needs no entry")])
        return await services.store.apis.add(audience, scope, origin(), encryption_jwk=jwk)

    found = place.run(act, create=True)
    if as_json:
        show_json(_view(found))
    else:
        show_record([("audience", found.audience), ("scope", found.scope or "any")])


@api.command()
@click.argument("audience")
@_encryption_jwks
@click.option("--off", is_flag=True, help="Encrypt no more.")
@place_options
def encrypt(place: Place, as_json: bool, audience: str, encryption_jwks: Path | None, off: bool) -> None:
    """Encrypt the tokens that are issued for an API alone from now on, or no more."""
    if (encryption_jwks is None) != off:
        raise click.UsageError("give one of --encryption-jwks and --off")
    jwk = _encryption_jwk(encryption_jwks)

    async def act(services: Services) -> Api:
        changed = await services.store.apis.set_encryption(audience, jwk, origin())
        if changed is None:
            raise NotFound(f"there is no API {audience}")
        return changed

    found = place.run(act)
    if as_json:
        show_json(_view(found))
    else:
        say(f"tokens for {audience} alone are encrypted" + (" no more" if off else ""))


@api.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@json_option
def keypair(file: Path, as_json: bool) -> None:
    """Make a key pair to encrypt an API's tokens: the private key into FILE, for the API; the public one is printed."""
    from watchword.jose.jwe import EncryptionKey

    key = EncryptionKey.generate()
    try:
        with open(file, "x", opener=lambda path, flags: os.open(path, flags, 0o600)) as private:
            json.dump({"keys": [key.private_jwk()]}, private)
    except OSError as broken:
        raise WatchwordError(f"{file}: {broken.strerror}") from None
    show_json({"keys": [key.public_jwk()]})


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
        ("AUDIENCE", "SCOPE", "BUILT IN", "ENCRYPTED", "CREATED"),
        [
            (one.audience, one.scope or "any", one.built_in, one.encryption_jwk is not None, one.created_at)
            for one in apis
        ],
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


def _encryption_jwk(file: Path | None) -> str | None:
    from watchword.server.admin.encryption import encryption_jwk

    return encryption_jwk(None if file is None else file.read_bytes())


def _view(found: Api) -> Any:
    from watchword.server.admin.views import api_view

    return api_view(found)
