"""Users as other programs export them: the form of a JSON file is recognised by what it must have.

Each form lists the members that it carries over and those that say nothing about a person. Every other member is
reported as left out, and one that may say "this person must not sign in" refuses its row.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from watchword.errors import InvalidInput, WatchwordError
from watchword.jose.encoding import parse_json_object

__all__ = ["UNREADABLE", "FirebaseHash", "Form", "Unusable", "form_of", "left_out", "says_no"]

UNREADABLE: Final = (
    WatchwordError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    IndexError,
    OverflowError,
)
"""What a converter may raise where an export has another shape than its program's."""

_POSITIVE: Final = frozenset("active enabled accountenabled approved".split())
_NEGATIVE: Final = frozenset(
    "disabled banned blocked locked lockedout suspended archived deleted removed deactivated inactive terminated"
    " accountlocked accountdisabled accountexpired lockout lockoutend lockoutenabled banreason deletiontime"
    " banexpires banexpiresat".split()
)
_VAGUE: Final = frozenset("status state userstatus accountstatus accountstate revoked expired".split())
"""Members that say it in most programs; inside another member, they are about something else."""
_NOTHING: Final[tuple[Any, ...]] = (None, False, "", [], {})
_OFF: Final = (None, False, 0, "", "false", "False", "0", "no", "active", "ACTIVE")
_ON: Final = (True, 1, "true", "True", "1", "yes")


class Unusable(Exception):
    """Why a user of an export can't be imported."""


@dataclass(frozen=True, slots=True)
class FirebaseHash:
    """The project's hash parameters, as the Firebase console shows them."""

    signer_key: str = field(repr=False)
    salt_separator: str
    rounds: int
    mem_cost: int


@dataclass(frozen=True, slots=True)
class Form:
    """A program's export: how a user of it is read, and which of its members are used or say nothing."""

    program: str
    needs: tuple[str, ...]
    read: Callable[[Mapping[str, Any]], dict[str, Any]]
    used: frozenset[str]
    plain: frozenset[str]
    """Members that are facts of that program only, such as its own ids."""

    def members(self, user: Any) -> dict[str, Any]:
        """The members of one user as a file of our own would have them.

        Raises:
            Unusable: they can't be imported, and why.
        """
        if not isinstance(user, dict):
            raise Unusable(f"is not in the form of a {self.program} export")
        if missing := [name for name in self.needs if name not in user]:
            raise Unusable(f"has no {missing[0]}, as every user in a {self.program} export has")
        for name, value in user.items():
            if name not in self.used | self.plain and (says_no(name, value) or _holds_no(value)):
                raise Unusable(
                    f"{name} may say that this person must not sign in, and that can't be carried over"
                )
        try:
            members = self.read(user)
        except UNREADABLE:
            raise Unusable(f"is not in the form of a {self.program} export") from None
        return {name: value for name, value in members.items() if value is not None}


def form_of(found: Any, firebase: FirebaseHash | None) -> tuple[Form | None, Sequence[Any]]:
    """The form of a JSON document and its users; no form: they have the members that our own export writes.

    Raises:
        InvalidInput: it holds no list of users, or isn't the Firebase export that parameters were given for.
    """
    users = found.get("users") if isinstance(found, dict) else found
    if not isinstance(users, list):
        raise InvalidInput('the file must be a list of users, or an object with such a list as "users"')
    realm = isinstance(found, dict) and isinstance(found.get("realm"), str)
    objects = [user for user in users if isinstance(user, dict)]
    if not realm and any("localId" in user for user in objects):
        return _firebase_form(firebase), users
    if firebase is not None and users:
        raise InvalidInput("hash parameters of Firebase are given, and no user of the file has a localId")
    if realm or any({"username", "enabled"} <= user.keys() for user in objects):
        return _keycloak_form(("username", "enabled") if not realm else ()), users
    return None, users


def left_out(form: Form, user: Mapping[str, Any]) -> tuple[str, ...]:
    """The members of *user* that hold something and aren't carried over."""
    known = form.used | form.plain
    lost = [name for name, value in user.items() if name not in known and value not in _NOTHING]
    if form.program == "Keycloak":
        kinds = [entry.get("type") for entry in user.get("credentials", ())]
        lost += [f"credentials.{kind}" for kind in kinds if kind != "password"]
    return tuple(lost)


def says_no(name: str, value: Any) -> bool:
    """Whether a member that isn't ours may say that a person must not sign in."""
    return _is_no(name, value, _NEGATIVE | _VAGUE)


def _holds_no(value: Any) -> bool:
    """Whether an object of custom members (claims, attributes) says so."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            value = parse_json_object(value.encode())
        except UNREADABLE:
            return False
    return isinstance(value, dict) and any(_is_no(name, inner, _NEGATIVE) for name, inner in value.items())


def _is_no(name: str, value: Any, negative: frozenset[str]) -> bool:
    word = name.replace("_", "").replace("-", "").replace(" ", "").casefold().removeprefix("is")
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if word in _POSITIVE:
        return value not in _ON
    return (
        word in negative or word.removesuffix("at").removesuffix("until") in negative
    ) and value not in _OFF


def _firebase_form(parameters: FirebaseHash | None) -> Form:
    return Form(
        "Firebase",
        ("localId",),
        lambda user: _firebase(user, parameters),
        frozenset("email displayName emailVerified disabled passwordHash salt createdAt".split()),
        frozenset(
            "localId version passwordUpdatedAt validSince lastSignedInAt lastLoginAt lastRefreshAt tenantId".split()
        ),
    )


def _firebase(user: Mapping[str, Any], parameters: FirebaseHash | None) -> dict[str, Any]:
    members = {
        "email": user.get("email"),
        "name": user.get("displayName"),
        "email_verified": user.get("emailVerified", False),
        "banned": user.get("disabled", False),
        "created_at": _milliseconds(user.get("createdAt")),
    }
    if user.get("passwordHash"):
        if parameters is None:
            raise Unusable("has a password: the project's hash parameters are needed")
        members["password_hash"] = (
            f"$firebase-scrypt$ln={parameters.mem_cost},r={parameters.rounds}"
            f",ss={_plain_base64(parameters.salt_separator)},sk={_plain_base64(parameters.signer_key)}"
            f"${_plain_base64(user['salt'])}${_plain_base64(user['passwordHash'])}"
        )
    return members


def _keycloak_form(needs: tuple[str, ...]) -> Form:
    return Form(
        "Keycloak",
        needs,
        _keycloak,
        frozenset(
            "email firstName lastName username emailVerified enabled credentials createdTimestamp".split()
        ),
        frozenset(
            "id self origin access totp notBefore disableableCredentialTypes userProfileMetadata".split()
        ),
    )


def _keycloak(user: Mapping[str, Any]) -> dict[str, Any]:
    name = " ".join(part for part in (user.get("firstName"), user.get("lastName")) if part)
    username = user.get("username")
    enabled = user.get("enabled", True)
    if not isinstance(enabled, bool):
        raise Unusable("enabled is not true or false")
    members = {
        "email": user.get("email"),
        "name": name or None,
        "username": None if username is None or "@" in username else username,
        "email_verified": user.get("emailVerified", False),
        "banned": not enabled,
        "created_at": _milliseconds(user.get("createdTimestamp")),
    }
    for credential in user.get("credentials", ()):
        if credential.get("type") == "password":
            try:
                members["password_hash"] = _keycloak_hash(credential)
            except UNREADABLE:
                raise Unusable("has a password hash of an unknown form") from None
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


def _milliseconds(value: Any) -> str | None:
    """A time that a program writes as milliseconds since 1970, as our own files have it."""
    return None if value is None else datetime.fromtimestamp(int(value) / 1000, UTC).isoformat()


def _plain_base64(text: str) -> str:
    plain = text.replace("-", "+").replace("_", "/")
    return b64encode(b64decode(plain + "=" * (-len(plain) % 4), validate=True)).decode()


def _phc_base64(text: str) -> str:
    return b64encode(b64decode(text, validate=True)).decode().rstrip("=")
