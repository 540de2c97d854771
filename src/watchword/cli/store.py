"""Commands that work on the store directly, beside a running server: where it lies and how it is opened."""

from __future__ import annotations

import functools
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from watchword.cli.output import json_option
from watchword.errors import ConfigurationError, NotFound

if TYPE_CHECKING:
    from watchword.server.services import Services
    from watchword.server.settings import Settings
    from watchword.server.store.records import Origin, User

__all__ = ["Place", "origin", "place_options", "require_user"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the store lies, as the flags say."""

    data_dir: str | None
    database: str | None

    def settings(self) -> Settings:
        """The settings a server of this place would have.

        Raises:
            ConfigurationError: one of them is wrong.
        """
        from watchword.server.settings import Settings

        flags = {"data_dir": self.data_dir, "database": self.database}
        return Settings.load(flags, os.environ, Path.cwd())

    def run(self, action: Callable[[Services], Awaitable[T]], *, create: bool = False) -> T:
        """Open the store, do *action*, close it.

        Args:
            action: what to do.
            create: make the database when there is none. Without, a wrong folder is told and not filled.

        Raises:
            ConfigurationError: there is no database, or it cannot be opened.
        """
        import asyncio

        from watchword.server.services import open_services

        settings = self.settings()
        if not create:
            self.require_store(settings)

        async def act() -> T:
            async with open_services(settings, serving=False) as services:
                return await action(services)

        return asyncio.run(act())

    @staticmethod
    def require_store(settings: Settings) -> Path | str:
        """Where the data lies: the file, which must be there, or the URL of a server.

        Raises:
            ConfigurationError: there is no such file.
        """
        path = settings.database_path
        if settings.shares_database:
            return path
        if not isinstance(path, Path) or not path.is_file():
            raise ConfigurationError(f"database: there is none at {path}; `watchword serve` makes one")
        return path


def place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--data-dir``, ``--database`` and ``--json``: the arguments ``place`` and ``as_json``."""

    @functools.wraps(command)
    def with_place(*args: Any, data_dir: str | None, database: str | None, **kwargs: Any) -> Any:
        return command(*args, place=Place(data_dir, database), **kwargs)

    decorated = json_option(with_place)
    decorated = click.option("--database", metavar="URL", help="sqlite:///PATH or postgresql://…")(decorated)
    return click.option("--data-dir", metavar="DIR", help="The server's data folder.")(decorated)


def origin() -> Origin:
    """Who asks, for the audit log."""
    from watchword.server.store.records import Origin

    return Origin(actor="command-line")


async def require_user(services: Services, who: str) -> User:
    """The user with this e-mail address or id.

    Raises:
        NotFound: there is none.
    """
    user = await (services.users.get(who) if who.startswith("usr_") else services.users.find_by_email(who))
    if user is None:
        raise NotFound(f"there is no user {who}")
    return user
