"""What the commands of a user's keys have in common, of whatever kind."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from watchword.cli.output import say, show_json
from watchword.cli.store import Place, origin, require_user

if TYPE_CHECKING:
    from watchword.server.services import Services
    from watchword.server.store.records import Session, User
    from watchword.server.user_keys.keys import KeyKind, KeyTerms

__all__ = ["Terms", "keys_of", "revoke_key", "terms_options"]

Terms = Callable[["User"], "KeyTerms"]
"""The terms of a key of one user, which the version of his account is a part of."""

_REASON = "revoked_by_administrator"


def terms_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--name``, ``--scope``, ``--audience`` and ``--expires-in``: the argument ``terms``."""

    @functools.wraps(command)
    def with_terms(
        *args: Any,
        name: str,
        scopes: tuple[str, ...],
        audience: str | None,
        expires_in: str | None,
        **kwargs: Any,
    ) -> Any:
        from watchword.server.parsing import parse_span
        from watchword.server.user_keys.keys import KeyTerms

        try:
            lifetime = None if expires_in is None else parse_span(expires_in)
        except ValueError as fault:
            raise click.UsageError(f"--expires-in {fault}") from None

        def terms(user: User) -> KeyTerms:
            return KeyTerms(
                name=name,
                version=user.version,
                audience=audience,
                scope=" ".join(scopes) if scopes else None,
                lifetime=lifetime,
            )

        return command(*args, terms=terms, **kwargs)

    for option in (
        click.option("--expires-in", metavar="SPAN", help="How long it lives: 30d. Default: API_KEY_TTL."),
        click.option("--audience", metavar="A", help="The API it is for. Default: AUDIENCE."),
        click.option(
            "--scope", "scopes", multiple=True, metavar="S", help="What it may do; may be repeated."
        ),
        click.option("--name", required=True, metavar="N", help="What the key is known by."),
    ):
        with_terms = option(with_terms)
    return with_terms


def keys_of(place: Place, who: str, kind: KeyKind) -> list[Session]:
    """The living keys of a user."""

    async def act(services: Services) -> list[Session]:
        return list(await services.user_keys.list((await require_user(services, who)).id, kind))

    return place.run(act)


def revoke_key(place: Place, as_json: bool, key_id: str, kind: KeyKind) -> None:
    """End a key, and say so."""
    place.run(lambda services: services.user_keys.revoke(key_id, kind, _REASON, origin()))
    if as_json:
        show_json({"revoked": key_id})
    else:
        say(f"revoked {key_id}")
