"""Files of users: CSV, JSON lines, Firebase and Keycloak exports, read row by row.

A row that cannot be read is told with its line; the rows after it are read all the same.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from watchword.errors import InvalidInput, MalformedContent, WatchwordError
from watchword.jose.encoding import parse_json, parse_json_object, without_mark
from watchword.server.accounts.foreign_users import FirebaseHash, Unusable, form_of, left_out, says_no

__all__ = ["MEMBERS", "FirebaseHash", "Row", "count_rows", "read_rows"]

MEMBERS: Final = (
    "email", "name", "username", "roles", "password_hash", "email_verified", "banned", "ban_reason", "banned_until",
    "created_at",
)  # fmt: skip
"""What a user has in a file."""

_BOOLEANS: Final = {
    "true": True,
    "yes": True,
    "t": True,
    "1": True,
    "false": False,
    "no": False,
    "f": False,
    "0": False,
}
_OTHER_MARKS: Final = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
"""How UTF-16 and UTF-32 begin."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a file: the members of a user, or why they cannot be read."""

    line: int
    members: Mapping[str, Any] = field(default_factory=dict, repr=False)
    fault: str | None = None
    left_out: tuple[str, ...] = ()
    """Members of another program's user that aren't carried over."""


def read_rows(path: Path, *, firebase: FirebaseHash | None = None) -> Iterator[Row]:
    """Read users from a file: ``.csv`` with a header line, ``.jsonl``, or ``.json`` (ours, Firebase's, Keycloak's).

    Raises:
        InvalidInput: the file as a whole is of no known form.
    """
    with path.open("rb") as file:
        if file.read(4).startswith(_OTHER_MARKS):
            raise InvalidInput(f"{path.name}: is UTF-16, as some programs of Windows write; save it as UTF-8")
    match path.suffix.lower():
        case ".csv":
            # A byte that is no UTF-8 becomes a lone surrogate, which spoils its own row alone.
            with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
                yield from _csv(file)
        case ".jsonl" | ".ndjson":
            with path.open("rb") as lines:
                yield from _json_lines(lines)
        case ".json":
            yield from _document(without_mark(path.read_bytes()), firebase)
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
    if unknown := [name for name in names if name not in MEMBERS]:
        cure = " (write banned, true for those who must not sign in)" if says_no(unknown[0], "?") else ""
        raise InvalidInput(f"the header names {unknown[0]!a}{cure}; it may name {', '.join(MEMBERS)}")
    if "email" not in names or len(set(names)) < len(names):
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
            members[name] = _BOOLEANS.get(texts[name].strip().lower())
            if members[name] is None:
                return Row(line, fault=f"{name} is neither true nor false")
    try:
        "".join(texts.values()).encode()
    except UnicodeEncodeError:
        return Row(line, fault="is not UTF-8")
    return Row(line, members)


def _json_lines(file: Iterable[bytes]) -> Iterator[Row]:
    for number, line in enumerate(file, 1):
        if number == 1:
            line = without_mark(line)
        if not line.strip():
            continue
        try:
            yield Row(number, parse_json_object(line.strip(), error=MalformedContent))
        except WatchwordError as broken:
            yield Row(number, fault=broken.description)


def _document(raw: bytes, firebase: FirebaseHash | None) -> Iterator[Row]:
    form, users = form_of(parse_json(raw, max_depth=32, error=MalformedContent), firebase)
    for number, user in enumerate(users, 1):
        if form is None:
            yield Row(number, user) if isinstance(user, dict) else Row(number, fault="is not a JSON object")
            continue
        try:
            members = form.members(user)
        except Unusable as fault:
            yield Row(number, fault=str(fault))
        else:
            yield Row(number, members, left_out=left_out(form, user))
