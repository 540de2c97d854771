"""Users in bulk: brought in from rows of a file, taken out as JSON lines.

An import can be run again: an account that exists is left as it is, so a broken run is finished by
the same command. Every row that was refused is told with its line and the reason.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from watchword.errors import EmailTaken, InvalidInput, UsernameTaken
from watchword.server.accounts.foreign_hashes import can_verify, seconds_of
from watchword.server.accounts.foreign_users import says_no
from watchword.server.accounts.user_file import MEMBERS, Row
from watchword.server.accounts.users import UserService
from watchword.server.store.intentions.roles import Roles
from watchword.server.store.records import NewUser, Origin, User

__all__ = ["ImportReport", "TransferService", "members_of"]

_BATCH = 200
_SLOW = 0.5
"""Seconds from which on a check of a hash is told to be slow."""


@dataclass(slots=True)
class ImportReport:
    """What became of an import."""

    added: int = 0
    present: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)
    incomplete: int = 0
    """How many of those added had members that aren't carried over."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Those members, each with the number of its users."""
    slow: int = 0
    """How many of those added have a hash that takes long to check."""
    slowest: float = 0.0
    """Seconds, about, of the slowest."""

    @property
    def rows(self) -> int:
        """How many rows were seen."""
        return self.added + self.present + len(self.refused)


@dataclass(frozen=True, slots=True)
class TransferService:
    """Brings users in and out."""

    users: UserService
    roles: Roles

    async def bring_in(
        self,
        rows: Iterable[Row],
        *,
        origin: Origin,
        dry_run: bool = False,
        progress: Callable[[ImportReport], None] = lambda report: None,
    ) -> ImportReport:
        """Add the users of *rows*; with *dry_run* only foresee what would become of them.

        Args:
            rows: from ``read_rows``.
            origin: who imports, for the audit log.
            dry_run: write nothing.
            progress: called after each batch.
        """
        report = ImportReport()
        rehearsal = _Rehearsal(frozenset(role.name for role in await self.roles.list())) if dry_run else None
        batch: list[Row] = []
        for row in rows:
            batch.append(row)
            if len(batch) == _BATCH:
                await self._batch(batch, report, origin, rehearsal)
                progress(report)
                batch = []
        await self._batch(batch, report, origin, rehearsal)
        progress(report)
        return report

    async def take_out(self, *, with_hashes: bool = False) -> AsyncIterator[bytes]:
        """Every user as one JSON line; password hashes only *with_hashes*."""
        cursor = None
        while True:
            page = await self.users.list(cursor=cursor, limit=200)
            for user in page.items:
                yield msgspec.json.encode(_shown(user, with_hashes)) + b"\n"
            cursor = page.next
            if cursor is None:
                return

    async def _batch(
        self, rows: list[Row], report: ImportReport, origin: Origin, rehearsal: _Rehearsal | None
    ) -> None:
        outcomes = await asyncio.gather(*(self._one(row, origin, rehearsal) for row in rows))
        for row, outcome in zip(rows, outcomes, strict=True):
            if outcome is None:
                report.added += 1
                report.incomplete += bool(row.left_out)
                report.left_out.update(set(row.left_out))
                if (seconds := seconds_of(str(row.members.get("password_hash")))) > _SLOW:
                    report.slow += 1
                    report.slowest = max(report.slowest, seconds)
            elif outcome == "":
                report.present += 1
            else:
                report.refused.append((row.line, outcome))

    async def _one(self, row: Row, origin: Origin, rehearsal: _Rehearsal | None) -> str | None:
        """``None``: added. An empty text: was there already. Else the reason of the refusal."""
        if row.fault is not None:
            return row.fault
        try:
            new = self.users.take_over(**members_of(row.members))
            if (existing := await self.users.find_by_email(new.email)) is not None:
                return _present(new, existing.banned)
            if rehearsal is None:
                await self.users.add(new, origin)
            else:
                await rehearsal.add(new, self.users)
        except EmailTaken:
            if rehearsal is not None:
                return _present(new, rehearsal.emails[new.email_key])
            existing = await self.users.find_by_email(new.email)
            return _present(new, existing is not None and existing.banned)
        except UsernameTaken as taken:
            return taken.description
        except InvalidInput as fault:
            return "; ".join(f"{name} {what}" for name, what in fault.errors) or fault.description
        return None


@dataclass(slots=True)
class _Rehearsal:
    """A dry run foresees what the store would refuse, of the rows before as well."""

    roles: frozenset[str]
    emails: dict[str, bool] = field(default_factory=dict)
    """Whether each is banned."""
    usernames: set[str] = field(default_factory=set)

    async def add(self, new: NewUser, users: UserService) -> None:
        """Raise what adding *new* would."""
        if unknown := [role for role in new.roles if role not in self.roles]:
            raise InvalidInput(errors=[("roles", f"unknown: {' '.join(unknown)}")])
        taken = new.username is not None and await users.find_by_username(new.username) is not None
        # From here on nothing waits, so that of two rows that are one user the first wins.
        if new.email_key in self.emails:
            raise EmailTaken
        if taken or new.username_key in self.usernames:
            raise UsernameTaken
        self.emails[new.email_key] = new.banned
        if new.username_key is not None:
            self.usernames.add(new.username_key)


def _present(new: NewUser, banned: bool) -> str:
    """The outcome for a row whose user exists: no import bans or unbans them, and a ban is never passed over."""
    if new.banned and not banned:
        return "is banned in this file, but exists here and isn't: use `watchword user ban` or leave the line out"
    return ""


def _shown(user: User, with_hashes: bool) -> dict[str, Any]:
    members: dict[str, Any] = {
        "email": user.email,
        "name": user.name,
        "username": user.username,
        "roles": list(user.roles),
        "email_verified": user.email_verified,
        "created_at": user.created_at,
    }
    if user.banned:
        members |= {"banned": True, "ban_reason": user.ban_reason, "banned_until": user.banned_until}
    if with_hashes:
        members["password_hash"] = user.password_digest
    return {name: value for name, value in members.items() if value is not None}


def members_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """The members of one row with their types checked, as ``take_over`` asks for them.

    Raises:
        InvalidInput: one is unknown or of the wrong type.
    """
    faults = [(name, "is not a member of a user" + _cure(name)) for name in found if name not in MEMBERS]
    for name, kind, what in _KINDS:
        if not isinstance(found.get(name), kind | None):
            faults.append((name, f"is not {what}"))
    if found.get("email") is None:
        faults.append(("email", "is missing"))
    roles = ["user"] if found.get("roles") is None else found["roles"]
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        faults.append(("roles", "is not a list of texts"))
    digest = found.get("password_hash")
    if isinstance(digest, str) and not can_verify(digest):
        faults.append(("password_hash", "is of no known form, torn, or costs too much to verify"))
    until = _moment("banned_until", found.get("banned_until"), faults)
    created = _moment("created_at", found.get("created_at"), faults)
    banned = found.get("banned")
    if banned is None and until is not None:
        banned = True
    elif not banned and (found.get("ban_reason") is not None or until is not None):
        faults.append(("banned", "must be true when a ban_reason or banned_until is given"))
    if faults:
        raise InvalidInput(errors=faults)
    return {
        "email": found["email"],
        "name": found.get("name"),
        "username": found.get("username"),
        "roles": tuple(roles),
        "password_digest": digest,
        "email_verified": found.get("email_verified") is True,
        "banned": banned is True,
        "ban_reason": found.get("ban_reason"),
        "banned_until": until,
        "created_at": created,
    }


_KINDS = (
    *(
        (name, str, "a text")
        for name in ("email", "name", "username", "password_hash", "ban_reason", "banned_until", "created_at")
    ),
    *((name, bool, "true or false") for name in ("email_verified", "banned")),
)


def _cure(name: str) -> str:
    return ": write banned, true for those who must not sign in" if says_no(name, "?") else ""


def _moment(name: str, text: Any, faults: list[tuple[str, str]]) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    faults.append((name, "is not a time with a zone"))
    return None
