"""Names and scopes given as arguments, held to the same rules as on the wire."""

from __future__ import annotations

from typing import Any

import click

from watchword.errors import InvalidInput, InvalidScope
from watchword.protocol.scope import parse_scope

__all__ = ["check_body", "scope_of"]


def scope_of(words: tuple[str, ...]) -> tuple[str, ...]:
    """The words of repeated ``--scope`` options, each once; one option may hold several.

    Raises:
        click.UsageError: a word is none by RFC 6749 3.3.
    """
    try:
        return parse_scope(" ".join(word for given in words for word in given.split()))
    except InvalidScope as fault:
        raise click.UsageError(fault.description) from None


def check_body(kind: str, **members: Any) -> None:
    """Check *members* against the body of that name of the admin API, so that both take the same.

    Raises:
        InvalidInput: one of them is not valid.
    """
    import msgspec

    from watchword.server.admin import views

    try:
        msgspec.convert(members, getattr(views, kind))
    except msgspec.ValidationError as fault:
        what, _, where = str(fault).partition(" - at `$.")
        member = where.strip("`").partition("[")[0] or "input"
        raise InvalidInput(errors=[(member, f"is not valid: {what[:1].lower()}{what[1:]}")]) from None
