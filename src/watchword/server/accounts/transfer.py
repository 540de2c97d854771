"""Users in bulk: read from CSV, JSON lines, Firebase and Keycloak exports; written as JSON lines.

An import can be run again: an account that exists is left as it is, so a broken run is finished by
the same command. Every row that was refused is told with its line and the reason.
"""

from __future__ import annotations

import asyncio
import csv
import io
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from watchword.errors import EmailTaken, InvalidInput, MalformedContent, UsernameTaken, WatchwordError
from watchword.jose.encoding import parse_json, parse_json_object
from watchword.server.accounts.foreign_hashes import is_foreign
from watchword.server.accounts.users import UserService
from watchword.server.store.records import Origin

__all__ = ["FirebaseHash", "ImportReport", "Row", "TransferService", "read_rows"]

_BATCH = 200
_MEMBERS = {"email", "name", "username", "roles", "password_hash", "email_verified"}


@dataclass(frozen=True, slots=True)
class FirebaseHash:
    """The project's hash parameters, as the Firebase console shows them."""

    signer_key: str = field(repr=False)
    salt_separator: str
    rounds: int
    mem_cost: int


@dataclass(frozen=True, slots=True)
class Row:
    """One line of an import: the members of a user, or why they cannot be read."""

    line: int
    members: Mapping[str, Any] = field(default_factory=dict, repr=False)
    fault: str | None = None


@dataclass(slots=True)
class ImportReport:
    """What became of an import."""

    added: int = 0
    present: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """How many rows were seen."""
        return self.added + self.present + len(self.refused)


@dataclass(frozen=True, slots=True)
class TransferService:
    """Brings users in and out."""

    users: UserService

    async def bring_in(
        self,
        rows: Iterable[Row],
        *,
        origin: Origin,
        dry_run: bool = False,
        progress: Callable[[ImportReport], None] = lambda report: None,
    ) -> ImportReport:
        """Add the users of *rows*; with *dry_run* only check them.

        Args:
            rows: from ``read_rows``.
            origin: who imports, for the audit log.
            dry_run: write nothing.
            progress: called after each batch.
        """
        report = ImportReport()
        batch: list[Row] = []
        for row in rows:
            batch.append(row)
            if len(batch) == _BATCH:
                await self._batch(batch, report, origin, dry_run)
                progress(report)
                batch = []
        await self._batch(batch, report, origin, dry_run)
        progress(report)
        return report

    async def take_out(self, *, with_hashes: bool = False) -> AsyncIterator[bytes]:
        """Every user as one JSON line; password hashes only *with_hashes*."""
        cursor = None
        while True:
            page = await self.users.list(cursor=cursor, limit=200)
            for user in page.items:
                members: dict[str, Any] = {
                    "email": user.email,
                    "name": user.name,
                    "username": user.username,
                    "roles": list(user.roles),
                    "email_verified": user.email_verified,
                }
                if with_hashes:
                    members["password_hash"] = user.password_digest
                yield msgspec.json.encode({k: v for k, v in members.items() if v is not None}) + b"\n"
            cursor = page.next
            if cursor is None:
                return

    async def _batch(self, rows: list[Row], report: ImportReport, origin: Origin, dry_run: bool) -> None:
        outcomes = await asyncio.gather(*(self._one(row, origin, dry_run) for row in rows))
        for row, outcome in zip(rows, outcomes, strict=True):
            if outcome is None:
                report.added += 1
            elif outcome == "":
                report.present += 1
            else:
                report.refused.append((row.line, outcome))

    async def _one(self, row: Row, origin: Origin, dry_run: bool) -> str | None:
        """``None``: added. An empty text: was there already. Else the reason of the refusal."""
        if row.fault is not None:
            return row.fault
        try:
            members = _members(row.members)
            if await self.users.find_by_email(members["email"]) is not None:
                return ""
            await self.users.take_over(**members, dry_run=dry_run, origin=origin)
        except EmailTaken:
            return ""
        except UsernameTaken as taken:
            return taken.description
        except InvalidInput as fault:
            return "; ".join(f"{name} {what}" for name, what in fault.errors) or fault.description
        return None


def read_rows(path: Path, *, firebase: FirebaseHash | None = None) -> Iterator[Row]:
    """Read users from a file: ``.csv`` with a header line, ``.jsonl``, or a Firebase or Keycloak ``.json`` export.

    Raises:
        InvalidInput: the file as a whole is of no known form.
    """
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8-sig") as file:
            yield from _csv(file)
    elif path.suffix == ".json":
        yield from _export(path.read_bytes(), firebase)
    else:
        with path.open("rb") as file:
            yield from _json_lines(file)


def _csv(file: io.TextIOBase) -> Iterator[Row]:
    reader = csv.DictReader(file, strict=True)
    unknown = set(reader.fieldnames or ()) - _MEMBERS
    if unknown or "email" not in (reader.fieldnames or ()):
        raise InvalidInput(
            f"the header must name email and may name {', '.join(sorted(_MEMBERS - {'email'}))}"
        )
    while True:
        try:
            found = next(reader)
        except StopIteration:
            return
        except csv.Error as broken:
            yield Row(reader.line_num, fault=f"is not CSV: {broken}")
            continue
        if None in found or None in found.values():
            yield Row(reader.line_num, fault="has another number of fields than the header")
            continue
        members: dict[str, Any] = {name: value for name, value in found.items() if value}
        if "roles" in members:
            members["roles"] = members["roles"].replace(",", " ").split()
        if "email_verified" in members:
            members["email_verified"] = members["email_verified"].lower() in ("1", "true", "yes")
        yield Row(reader.line_num, members)


def _json_lines(file: Iterable[bytes]) -> Iterator[Row]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            yield Row(number, parse_json_object(line.strip(), error=MalformedContent))
        except WatchwordError as broken:
            yield Row(number, fault=broken.description)


def _export(raw: bytes, firebase: FirebaseHash | None) -> Iterator[Row]:
    found = parse_json(raw, max_depth=32, error=MalformedContent)
    users = found.get("users") if isinstance(found, dict) else found
    if not isinstance(users, list):
        raise InvalidInput("the file is neither a Firebase nor a Keycloak export")
    for number, user in enumerate(users, 1):
        if not isinstance(user, dict):
            yield Row(number, fault="is not an object")
        elif "localId" in user:
            yield _firebase(number, user, firebase)
        else:
            yield _keycloak(number, user)


def _firebase(number: int, user: Mapping[str, Any], parameters: FirebaseHash | None) -> Row:
    members = {
        "email": user.get("email"),
        "name": user.get("displayName"),
        "email_verified": user.get("emailVerified", False),
    }
    if user.get("passwordHash"):
        if parameters is None:
            return Row(number, fault="has a password: the project's hash parameters are needed")
        plain = {name: _plain_base64(user[name]) for name in ("salt", "passwordHash") if name in user}
        members["password_hash"] = (
            f"$firebase-scrypt$ln={parameters.mem_cost},r={parameters.rounds}"
            f",ss={_plain_base64(parameters.salt_separator)},sk={_plain_base64(parameters.signer_key)}"
            f"${plain.get('salt', '')}${plain['passwordHash']}"
        )
    return Row(number, {name: value for name, value in members.items() if value is not None})


def _keycloak(number: int, user: Mapping[str, Any]) -> Row:
    name = " ".join(part for part in (user.get("firstName"), user.get("lastName")) if part)
    members = {
        "email": user.get("email"),
        "name": name or None,
        "username": user.get("username") if "@" not in str(user.get("username")) else None,
        "email_verified": user.get("emailVerified", False),
    }
    for credential in user.get("credentials", ()):
        if credential.get("type") == "password":
            try:
                members["password_hash"] = _keycloak_hash(credential)
            except (KeyError, ValueError, TypeError, WatchwordError):
                return Row(number, fault="has a password hash of an unknown form")
    return Row(number, {key: value for key, value in members.items() if value is not None})


def _keycloak_hash(credential: Mapping[str, Any]) -> str:
    data = parse_json_object(credential["credentialData"].encode())
    secret = parse_json_object(credential["secretData"].encode())
    algorithm, iterations = data["algorithm"], int(data["hashIterations"])
    salt, value = _phc_base64(secret["salt"]), _phc_base64(secret["value"])
    match algorithm:
        case "pbkdf2-sha256" | "pbkdf2-sha512":
            return f"${algorithm}${iterations}${salt}${value}"
        case "pbkdf2":
            return f"$pbkdf2${iterations}${salt}${value}"
        case "argon2":
            extra = data["additionalParameters"]
            kind, memory, lanes = extra["type"][0], int(extra["memory"][0]), int(extra["parallelism"][0])
            return f"$argon2{kind}$v=19$m={memory},t={iterations},p={lanes}${salt}${value}"
        case _:
            raise ValueError(algorithm)


def _members(found: Mapping[str, Any]) -> dict[str, Any]:
    """The members of one row with their types checked.

    Raises:
        InvalidInput: one is unknown or of the wrong type.
    """
    faults = [(name, "is not a member of a user") for name in found.keys() - _MEMBERS]
    texts = ("email", "name", "username", "password_hash")
    faults += [
        (name, "is not a text") for name in texts if name in found and not isinstance(found[name], str)
    ]
    roles = found.get("roles", ["user"])
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        faults.append(("roles", "is not a list of texts"))
    if "email" not in found:
        faults.append(("email", "is missing"))
    digest = found.get("password_hash")
    if isinstance(digest, str) and not (
        is_foreign(digest) or digest.startswith(("$argon2id$", "$argon2i$", "$argon2d$"))
    ):
        faults.append(("password_hash", "is of a form that cannot be verified"))
    if faults:
        raise InvalidInput(errors=faults)
    return {
        "email": found["email"],
        "name": found.get("name"),
        "username": found.get("username"),
        "roles": tuple(roles),
        "password_digest": digest,
        "email_verified": found.get("email_verified") is True,
    }


def _plain_base64(text: str) -> str:
    return b64encode(b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4))).decode()


def _phc_base64(text: str) -> str:
    return b64encode(b64decode(text, validate=True)).decode().rstrip("=")
