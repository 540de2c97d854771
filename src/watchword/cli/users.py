"""``watchword user``: people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from watchword.cli.moment import parse_until
from watchword.cli.output import say, show_json, show_record, show_table
from watchword.cli.password import password_options, read_password
from watchword.cli.store import Place, origin, place_options, require_user
from watchword.cli.transfer import bring_in, take_out

if TYPE_CHECKING:
    from datetime import datetime

    from watchword.server.services import Services
    from watchword.server.store.records import User

__all__ = ["user"]

WHO = click.argument("who", metavar="EMAIL")


@click.group()
def user() -> None:
    """People: create, list, ban, import, export. EMAIL may be a user's id."""


@user.command()
@click.argument("email")
@click.option("--role", "roles", multiple=True, metavar="R", help="A role; may be repeated. Default: user.")
@click.option("--name", metavar="N", help="The name to show.")
@click.option("--username", metavar="U", help="A name to log in with, beside the e-mail.")
@click.option("--no-password", is_flag=True, help="Nobody can log in until a password is set.")
@password_options
@place_options
def create(
    place: Place,
    as_json: bool,
    email: str,
    roles: tuple[str, ...],
    name: str | None,
    username: str | None,
    no_password: bool,
    password_stdin: bool,
    password_file: Path | None,
) -> None:
    """Make an account."""
    password = None if no_password else read_password(stdin=password_stdin, file=password_file)

    async def act(services: Services) -> User:
        return await services.users.create(
            email, password, roles=roles or ("user",), name=name, username=username, origin=origin()
        )

    _show(place.run(act, create=True), as_json)


@user.command("list")
@click.option("--search", metavar="TEXT", default="", help="Found in e-mail, user name or name.")
@place_options
def list_users(place: Place, as_json: bool, search: str) -> None:
    """Show everybody."""

    async def act(services: Services) -> list[User]:
        found: list[User] = []
        cursor = None
        while True:
            page = await services.users.list(q=search, cursor=cursor, limit=200)
            found += page.items
            cursor = page.next
            if cursor is None:
                return found

    users = place.run(act)
    if as_json:
        show_json([_view(one) for one in users])
        return
    show_table(
        ("E-MAIL", "NAME", "ROLES", "STATE", "LAST LOG-IN", "ID"),
        [
            (one.email, one.name, one.roles, "banned" if one.banned else "active", one.last_login_at, one.id)
            for one in users
        ],
        empty="there are no users",
    )


@user.command()
@WHO
@place_options
def show(place: Place, as_json: bool, who: str) -> None:
    """Show one user."""
    _show(place.run(lambda services: require_user(services, who)), as_json)


@user.command()
@WHO
@click.option("--reason", metavar="TEXT", help="Why, for the audit log and administrators.")
@click.option("--until", metavar="WHEN", help="When it ends: 7d, or 2030-12-31T00:00:00Z. Default: never.")
@place_options
def ban(place: Place, as_json: bool, who: str, reason: str | None, until: str | None) -> None:
    """Ban a user: no new tokens, and the ones he has die at every API."""

    async def act(services: Services) -> User:
        found = await require_user(services, who)
        end = parse_until(until, services.now()) if until is not None else None
        return await services.users.ban(found.id, reason, end, origin())

    _show(place.run(act), as_json)


@user.command()
@WHO
@place_options
def unban(place: Place, as_json: bool, who: str) -> None:
    """Lift a ban; the user logs in again."""

    async def act(services: Services) -> User:
        return await services.users.unban((await require_user(services, who)).id, origin())

    _show(place.run(act), as_json)


@user.group()
def role() -> None:
    """Roles of a user; a change acts on the tokens he already has."""


@role.command("add")
@WHO
@click.argument("roles", nargs=-1, required=True, metavar="ROLE...")
@place_options
def add_role(place: Place, as_json: bool, who: str, roles: tuple[str, ...]) -> None:
    """Give roles."""
    _show(_set_roles(place, who, lambda has: (*has, *(one for one in roles if one not in has))), as_json)


@role.command("remove")
@WHO
@click.argument("roles", nargs=-1, required=True, metavar="ROLE...")
@place_options
def remove_role(place: Place, as_json: bool, who: str, roles: tuple[str, ...]) -> None:
    """Take roles away."""
    _show(_set_roles(place, who, lambda has: tuple(one for one in has if one not in roles)), as_json)


@user.command()
@WHO
@password_options
@place_options
def set_password(
    place: Place, as_json: bool, who: str, password_stdin: bool, password_file: Path | None
) -> None:
    """Give a user another password; all his sessions end."""
    password = read_password(stdin=password_stdin, file=password_file)

    async def act(services: Services) -> User:
        found = await require_user(services, who)
        return await services.users.set_password(found.id, password, origin())

    _show(place.run(act), as_json)


@user.command()
@WHO
@place_options
def reset_link(place: Place, as_json: bool, who: str) -> None:
    """Make a link by which a user chooses another password; it works once, and an older one no more."""

    async def act(services: Services) -> tuple[str, datetime]:
        link = await services.recovery.link((await require_user(services, who)).id, origin())
        return link, services.now() + services.recovery.policy.lifetime

    link, expires_at = place.run(act)
    if as_json:
        show_json({"link": link, "expires_at": expires_at})
        return
    click.echo(link)
    say(f"works once, until {expires_at:%Y-%m-%d %H:%M:%S} UTC; whoever has it is this user")


@user.command()
@WHO
@click.option("--yes", is_flag=True, help="Do not ask.")
@place_options
def delete(place: Place, as_json: bool, who: str, yes: bool) -> None:
    """Delete a user, his sessions and his tokens."""
    found = place.run(lambda services: require_user(services, who))
    if not yes:
        click.confirm(f"Delete {found.email} ({found.id})?", abort=True, err=True)
    place.run(lambda services: services.users.delete(found.id, origin()))
    if as_json:
        show_json({"deleted": found.id})
    else:
        say(f"deleted {found.email} ({found.id})")


user.add_command(bring_in)
user.add_command(take_out)


def _set_roles(place: Place, who: str, change: Any) -> User:
    async def act(services: Services) -> User:
        found = await require_user(services, who)
        return await services.users.update(found.id, roles=change(found.roles), origin=origin())

    return place.run(act)


def _view(found: User) -> Any:
    from watchword.server.admin.views import admin_user_view

    return admin_user_view(found)


def _show(found: User, as_json: bool) -> None:
    if as_json:
        show_json(_view(found))
        return
    pairs: list[tuple[str, Any]] = [
        ("e-mail", found.email),
        ("id", found.id),
        ("user name", found.username),
        ("name", found.name),
        ("roles", found.roles),
        ("created", found.created_at),
        ("last log-in", found.last_login_at),
        ("banned", found.banned),
    ]
    if found.banned:
        pairs += [("reason", found.ban_reason), ("until", found.banned_until or "for good")]
    show_record(pairs)
