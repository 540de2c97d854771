"""The command line's table: which command lives where. A module is imported when its command is called."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

import click

from watchword.cli.output import colourless, plain
from watchword.cli.signs import spell_out_signs
from watchword.errors import ConfigurationError, InvalidInput, WatchwordError

__all__ = ["COMMANDS", "cli", "main"]

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "serve": ("serve", "Run the authorization server."),
    "demo": ("demo", "Play the whole story on real HTTP, in seconds."),
    "user": ("users", "People: create, list, ban, import, export."),
    "role": ("roles", "Roles and the scope each may carry."),
    "api": ("apis", "Protected APIs: who tokens may be for."),
    "api-key": ("api_keys", "API keys: what a user's programs show in place of a log-in."),
    "signing-key": ("signing_keys", "Signing keys: public keys whose signed requests are a user's."),
    "session": ("sessions", "Who is logged in; throw them out."),
    "key": ("keys", "Signing keys: list, rotate, kill."),
    "client": ("revoke", "Programs that log people in: shut them out."),
    "token": ("inspect", "Read a token aloud, offline; kill one."),
    "routes": ("routes", "Which routes of an application are open to everybody."),
    "doctor": ("doctor", "What is unsafe or slow here, with the cure."),
    "db": ("database", "The schema and the health of the data."),
}
"""Name -> the module of this package that holds it, and what it does."""

_EXTRAS: Final = {
    "httpx2": "client",
    **dict.fromkeys(
        (
            "argon2",
            "bcrypt",
            "email_validator",
            "httptools",
            "jinja2",
            "prometheus_client",
            "rich",
            "starlette",
            "structlog",
            "uvicorn",
            "uvloop",
        ),
        "server",
    ),
}
"""Package -> the extra that brings it."""


class Failure(click.ClickException):
    """A refusal, as one line on stderr; exit code 1."""

    def show(self, file: Any = None) -> None:
        """Write the line."""
        name = "watchword:" if colourless() else click.style("watchword:", fg="red")
        click.echo(f"{name} {plain(self.message)}", err=True)


class Misuse(Failure):
    """A setting or an argument that cannot be; exit code 2."""

    exit_code = 2


class Table(click.Group):
    """The top of the command line: knows every command's name, and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"watchword.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, what) for name, (_, what) in COMMANDS.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the arguments; what is no text cannot be kept, looked up or printed, so it ends here."""
        if any("\ud800" <= letter <= "\udfff" for arg in args for letter in arg):
            raise click.UsageError("an argument is not UTF-8", ctx)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what it refuses becomes one line and an exit code."""
        if colourless():
            ctx.color = False
        try:
            return super().invoke(ctx)
        except ConfigurationError as fault:
            raise Misuse(fault.description) from None
        except InvalidInput as fault:
            told = "; ".join(f"{name} {what}" for name, what in fault.errors)
            raise Failure(told or fault.description) from None
        except WatchwordError as fault:
            raise Failure(fault.description) from None
        except UnicodeDecodeError:
            raise Failure("the input is not UTF-8") from None
        except OSError as refused:
            if refused.errno == errno.EPIPE:  # nobody reads any more: click ends without a word
                raise
            raise Failure(_told(refused)) from None
        except ModuleNotFoundError as missing:
            extra = _EXTRAS.get((missing.name or "").partition(".")[0])
            if extra is None:
                raise
            raise Failure(f'this command needs more: pip install "watchword[{extra}]"') from None


def _told(refused: OSError) -> str:
    """What the system refused, in one line."""
    if isinstance(refused, FileNotFoundError) and refused.filename is None:
        return "the folder this shell is in does not exist any more; change to another one"
    what = refused.strerror or str(refused) or type(refused).__name__
    return what if refused.filename is None else f"{refused.filename}: {what}"


def _print_version(ctx: click.Context, parameter: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"watchword {version('watchword')}")
        ctx.exit()


@click.command(
    cls=Table,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """JWTs you can take back: an authorization server, a guard for APIs, and this.

    Settings come from flags, WATCHWORD_... variables and watchword.toml, in that order.
    """


def main() -> None:
    """The entry point of ``watchword``."""
    spell_out_signs()
    cli(prog_name="watchword")
