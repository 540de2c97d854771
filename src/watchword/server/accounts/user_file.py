"""Files of users: CSV, JSON lines, Firebase and Keycloak exports, read row by row.

A row that cannot be read is told with its line; the rows after it are read all the same.
"""

from __future__ import annotations

import csv
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from watchword.errors import InvalidInput, MalformedContent, WatchwordError
from watchword.jose.encoding import parse_json, parse_json_object

__all__ = ["MEMBERS", "FirebaseHash", "Row", "count_rows", "read_rows"]

MEMBERS: Final = (
    "email", "name", "username", "roles", "password_hash", "email_verified", "banned", "ban_reason", "banned_until",
)  # fmt: skip
"""What a user has in a file."""

_BOOLEANS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_UNREADABLE: Final = (WatchwordError, ValueError, TypeError, KeyError, AttributeError, IndexError)
"""What a converter may raise where an export has another shape than its program's."""


@dataclass(frozen=True, slots=True)
class FirebaseHash:
    """The project's hash parameters, as the Firebase console shows them."""

    signer_key: str = field(repr=False)
    salt_separator: str
    rounds: int
    mem_cost: int


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a file: the members of a user, or why they cannot be read."""

    line: int
    members: Mapping[str, Any] = field(default_factory=dict, repr=False)
    fault: str | None = None


def read_rows(path: Path, *, firebase: FirebaseHash | None = None) -> Iterator[Row]:
    """Read users from a file: ``.csv`` with a header line, ``.jsonl``, or a Firebase or Keycloak ``.json`` export.

    Raises:
        InvalidInput: the file as a whole is of no known form.
    """
    match path.suffix.lower():
        case ".csv":
            # A byte that is no UTF-8 becomes a lone surrogate, which spoils its own row alone.
            with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
                yield from _csv(file)
        case ".jsonl" | ".ndjson":
            with path.open("rb") as lines:
                yield from _json_lines(lines)
        case ".json":
            yield from _export(path.read_bytes(), firebase)
        case _:
            raise InvalidInput(f"{path.name}: the name must end with .csv, .jsonl or .json")


def count_rows(path: Path) -> int:
    """About how many rows a file has, for a bar that shows how far it is."""
    with path.open("rb") as file:
        lines = sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
    return max(lines, 1)


def _csv(file: Iterable[str]) -> Iterator[Row]:
    reader = csv.DictReader(file, strict=True)
    try:
        names = reader.fieldnames or ()
    except csv.Error as broken:
        raise InvalidInput(f"the header is not CSV: {broken}") from None
    if set(names) - set(MEMBERS) or "email" not in names or len(set(names)) < len(names):
        raise InvalidInput(f"the header must name email, and may name {', '.join(MEMBERS[1:])}, each once")
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
        yield _csv_row(reader.line_num, {name: value for name, value in found.items() if value})


def _csv_row(line: int, texts: dict[str, str]) -> Row:
    members: dict[str, Any] = dict(texts)
    if "roles" in texts:
        members["roles"] = texts["roles"].replace(",", " ").split()
    for name in ("email_verified", "banned"):
        if name in texts:
            members[name] = _BOOLEANS.get(texts[name].lower())
            if members[name] is None:
                return Row(line, fault=f"{name} is neither true nor false")
    try:
        "".join(texts.values()).encode()
    except UnicodeEncodeError:
        return Row(line, fault="is not UTF-8")
    return Row(line, members)


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
        try:
            members = _firebase(user, firebase) if "localId" in user else _keycloak(user)
        except _Unusable as fault:
            yield Row(number, fault=str(fault))
        except _UNREADABLE:
            yield Row(number, fault="is not in the form of such an export")
        else:
            yield Row(number, {name: value for name, value in members.items() if value is not None})


class _Unusable(Exception):
    """Why a user of an export cannot be taken over."""


def _firebase(user: Mapping[str, Any], parameters: FirebaseHash | None) -> dict[str, Any]:
    members = {
        "email": user.get("email"),
        "name": user.get("displayName"),
        "email_verified": user.get("emailVerified", False),
        "banned": user.get("disabled", False),
    }
    if user.get("passwordHash"):
        if parameters is None:
            raise _Unusable("has a password: the project's hash parameters are needed")
        members["password_hash"] = (
            f"$firebase-scrypt$ln={parameters.mem_cost},r={parameters.rounds}"
            f",ss={_plain_base64(parameters.salt_separator)},sk={_plain_base64(parameters.signer_key)}"
            f"${_plain_base64(user['salt'])}${_plain_base64(user['passwordHash'])}"
        )
    return members


def _keycloak(user: Mapping[str, Any]) -> dict[str, Any]:
    name = " ".join(part for part in (user.get("firstName"), user.get("lastName")) if part)
    username = user.get("username")
    members = {
        "email": user.get("email"),
        "name": name or None,
        "username": None if username is None or "@" in username else username,
        "email_verified": user.get("emailVerified", False),
        "banned": not user.get("enabled", True),
    }
    for credential in user.get("credentials", ()):
        if credential.get("type") == "password":
            try:
                members["password_hash"] = _keycloak_hash(credential)
            except _UNREADABLE:
                raise _Unusable("has a password hash of an unknown form") from None
    return members


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


def _plain_base64(text: str) -> str:
    plain = text.replace("-", "+").replace("_", "/")
    return b64encode(b64decode(plain + "=" * (-len(plain) % 4), validate=True)).decode()


def _phc_base64(text: str) -> str:
    return b64encode(b64decode(text, validate=True)).decode().rstrip("=")
