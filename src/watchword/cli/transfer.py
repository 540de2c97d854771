"""``watchword user import`` and ``export``: people in bulk."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from watchword.cli.output import say, show_json
from watchword.cli.progress import progress
from watchword.cli.store import Place, origin, place_options

if TYPE_CHECKING:
    from watchword.server.accounts.transfer import ImportReport
    from watchword.server.accounts.user_file import FirebaseHash
    from watchword.server.services import Services

__all__ = ["bring_in", "take_out"]


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Foresee what would become of every row, and write nothing.")
@click.option(
    "--firebase-parameters",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON with signer_key, salt_separator, rounds, mem_cost of a Firebase project.",
)
@place_options
def bring_in(
    place: Place, as_json: bool, file: Path, dry_run: bool, firebase_parameters: Path | None
) -> None:
    """Take users over with the password hashes they have.

    FILE is .csv with a header line, .jsonl, or .json: what user export writes, or a Firebase or
    Keycloak export. It can be run again: accounts that exist stay as they are. Members of another
    program that can't be carried over are named. Exit 1 when a row was refused; the others are in.
    """
    from watchword.server.accounts.transfer import ImportReport, TransferService
    from watchword.server.accounts.user_file import count_rows, read_rows

    firebase = _firebase(firebase_parameters) if firebase_parameters else None
    report = ImportReport()

    async def act(services: Services) -> None:
        total = count_rows(file)
        with progress("rows", lines=True) as show:

            def tell(so_far: ImportReport) -> None:
                nonlocal report
                report = so_far
                show(so_far.rows, max(total, so_far.rows))

            await TransferService(services.users, services.store.roles).bring_in(
                read_rows(file, firebase=firebase), origin=origin(), dry_run=dry_run, progress=tell
            )

    try:
        place.run(act, create=not dry_run)
    except KeyboardInterrupt:
        say(f"stopped: {report.added} added so far; the same command goes on from here")
        click.get_current_context().exit(1)
    _tell(report, dry_run=dry_run, as_json=as_json)
    if report.refused:
        click.get_current_context().exit(1)


def _tell(report: ImportReport, *, dry_run: bool, as_json: bool) -> None:
    refused = [{"line": line, "reason": reason} for line, reason in sorted(report.refused)]
    if as_json:
        found = {"added": report.added, "present": report.present, "refused": refused, "dry_run": dry_run}
        if report.incomplete:
            found |= {"incomplete": report.incomplete, "left_out": dict(sorted(report.left_out.items()))}
        if report.slow:
            found["slow_hashes"] = {"users": report.slow, "seconds": round(report.slowest, 1)}
        show_json(found)
        return
    for fault in refused:
        say(f"line {fault['line']}: {fault['reason']}")
    verb = "would be added" if dry_run else "added"
    for member, users in sorted(report.left_out.items()):
        say(f"left out: {member} of {users} {'user' if users == 1 else 'users'}")
    if report.slow:
        say(
            f"slow hashes: up to {report.slowest:.1f} s to check, of {report.slow} "
            f"{'user' if report.slow == 1 else 'users'}; the first login of each replaces it"
        )
    told = [f"{report.added} {verb}", f"{report.present} already there"]
    if report.incomplete:
        told.insert(1, f"{report.incomplete} of them without all they had")
    if refused or not report.incomplete:
        told.append(f"{len(refused)} refused")
    click.echo(", ".join(told))


@click.command("export")
@click.option("--with-password-hashes", is_flag=True, help="Hashes too: keep such a file like a password.")
@place_options
def take_out(place: Place, as_json: bool, with_password_hashes: bool) -> None:
    """Write every user to stdout, one JSON object a line (with --json one array)."""
    from watchword.server.accounts.transfer import TransferService

    async def act(services: Services) -> None:
        stdout = sys.stdout.buffer
        count = 0
        transfer = TransferService(services.users, services.store.roles)
        async for line in transfer.take_out(with_hashes=with_password_hashes):
            if as_json:
                stdout.write(b"," if count else b"[")
                line = line.rstrip(b"\n")
            stdout.write(line)
            count += 1
        if as_json:
            stdout.write(b"]\n" if count else b"[]\n")
        stdout.flush()

    place.run(act)


def _firebase(path: Path) -> FirebaseHash:
    import msgspec

    from watchword.errors import InvalidInput
    from watchword.jose.encoding import without_mark
    from watchword.server.accounts.user_file import FirebaseHash

    try:
        return msgspec.json.decode(without_mark(path.read_bytes()), type=FirebaseHash)
    except (msgspec.MsgspecError, RecursionError) as fault:
        raise InvalidInput(f"{path.name}: {fault}") from None
