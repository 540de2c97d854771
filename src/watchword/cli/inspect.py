"""``watchword token inspect``: a token read aloud, on this machine."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from watchword.cli.moment import words
from watchword.cli.output import json_option, plain, show_json
from watchword.cli.revoke import revoke

if TYPE_CHECKING:
    from watchword.cli.finding import Finding
    from watchword.cli.reading import Reading
    from watchword.cli.trust import Trust
    from watchword.guard.decryption import Open

__all__ = ["token"]

_MARKS: Final = {
    "error": ("✗", "red"),
    "warning": ("!", "yellow"),
    "note": ("·", "cyan"),
    "good": ("✓", "green"),
}
_TIMES: Final = ("exp", "nbf", "iat", "auth_time", "Exp", "Nbf", "Iat")
_LONGEST: Final = 65_536
_MEANINGS: Final = {
    "iss": "who issued it",
    "sub": "whom it speaks of",
    "aud": "whom it is for",
    "exp": "when it ends",
    "nbf": "when it begins",
    "iat": "when it was issued",
    "jti": "its own name",
    "client_id": "the program it was given to",
    "sid": "the session",
    "scope": "what it allows",
    "roles": "what the user is",
    "auth_time": "when the user logged in",
    "amr": "how the user logged in",
    "uv": "version of the user",
    "cv": "version of the client",
    "alg": "how it is signed",
    "kid": "which key signed",
    "typ": "what kind of token",
    "enc": "how it is encrypted",
}


@click.group()
def token() -> None:
    """Tokens: what one says and what is wrong with it; and killing one."""


token.add_command(revoke)


@token.command()
@click.argument("text", metavar="[TOKEN|-]", required=False)
@click.option("--jwks", metavar="URL|FILE", help="The key set to check the signature with.")
@click.option(
    "--secret-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The shared secret, for HS256 and its kin.",
)
@click.option(
    "--decryption-keys",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A JWK Set with the private key that an encrypted token is opened with.",
)
@json_option
def inspect(
    text: str | None, jwks: str | None, secret_file: Path | None, decryption_keys: Path | None, as_json: bool
) -> None:
    """Read a token aloud: header, claims, what is wrong with it.

    TOKEN may be any JWT; - or nothing reads it from stdin, which keeps it out of the shell's history.
    Nothing leaves this machine, but for fetching the key set when --jwks is a URL. Exit 0 only when
    the signature verifies with the keys given and nothing else is wrong.
    """
    from watchword.cli.reading import read_token

    if jwks is not None and secret_file is not None:
        raise click.UsageError("give one of --jwks and --secret-file")
    given = _read(text)
    now = time.time()
    reading = read_token(given, _trust(jwks, secret_file), now, _opening(decryption_keys))
    if as_json:
        show_json(
            {
                "kind": reading.kind,
                "verified": reading.verified,
                "header": _portable(reading.header),
                "claims": _portable(reading.claims),
                "findings": list(reading.findings),
            }
        )
    else:
        _show(reading, now)
    if not reading.verified:
        click.get_current_context().exit(1)


def _read(text: str | None) -> str:
    if text is not None and text != "-":
        return text
    if text is None and sys.stdin.isatty():
        raise click.UsageError("give a token, or - to read it from stdin")
    return sys.stdin.read(_LONGEST * 2).removeprefix("\ufeff")


def _trust(jwks: str | None, secret_file: Path | None) -> Trust | None:
    from watchword.cli.trust import load_keys, load_secret

    if jwks is not None:
        return load_keys(jwks)
    return load_secret(secret_file) if secret_file is not None else None


def _opening(file: Path | None) -> Open | None:
    if file is None:
        return None
    from watchword.guard.decryption import opening

    return opening(file.read_bytes(), required=False)


def _show(reading: Reading, now: float) -> None:
    for title, members in (("Header", reading.header), ("Claims", reading.claims)):
        if members is not None:
            _show_members(title, members, reading.findings, now)
    click.secho("Verdict", bold=True)
    for finding in reading.findings:
        mark, colour = _MARKS[finding.level]
        click.echo(f"  {click.style(mark, fg=colour, bold=True)} {plain(finding.message)}")
    if reading.verified:
        click.secho("\n  This token verifies.", fg="green", bold=True)
    else:
        unchecked = not any(finding.level == "error" for finding in reading.findings)
        text = (
            "Nothing is wrong that can be seen without a key." if unchecked else "This token does not verify."
        )
        click.secho(f"\n  {text}", fg="yellow" if unchecked else "red", bold=True)


def _show_members(title: str, members: Any, findings: Any, now: float) -> None:
    click.secho(title, bold=True)
    worst: dict[str | None, Finding] = {}
    for finding in reversed(findings):
        worst[finding.member] = finding
    width = max((len(plain(name)) for name in members), default=0)
    for name, value in members.items():
        shown = plain(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        flaw = worst.get(name)
        marked = flaw is not None and flaw.level in ("error", "warning")
        label = click.style(plain(name).ljust(width), fg=_MARKS[flaw.level][1] if flaw and marked else "cyan")
        meaning = _meaning(name, value, now)
        click.echo(f"  {label}  {shown}{click.style(f'  {meaning}', dim=True) if meaning else ''}")
    click.echo()


def _meaning(name: str, value: object, now: float) -> str:
    """What a member means, in words; of a time, how far away it is."""
    if name in _TIMES and isinstance(value, int | float) and not isinstance(value, bool):
        try:
            moment = datetime.fromtimestamp(value, UTC)
        except (OverflowError, OSError, ValueError):
            return "no time at all"
        said = f"{moment:%Y-%m-%d %H:%M:%S} UTC, {words(value, now)}"
        return f"{_MEANINGS[name]}: {said}" if name in _MEANINGS else said
    return _MEANINGS.get(name, "")


def _portable(members: Any) -> Any:
    """The members as JSON can carry them: numbers beyond it, which a lenient reader takes, become texts."""
    if members is None:
        return None
    found = json.loads(json.dumps(members), parse_constant=str)
    return _small(found)


def _small(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _small(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_small(one) for one in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return str(value)
    return value
