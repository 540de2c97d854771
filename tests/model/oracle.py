"""Who is dead, told without versions: from the order in which things were committed, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Position = tuple[int, int]
"""Epoch and sequence of the log."""


@dataclass(frozen=True)
class Happening:
    """Something that kills or changes, and where the log stood once it was committed."""

    kind: str
    subject: str
    at: Position
    spared: str = ""
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Issued:
    """A token, with what it vouches for and when that was read."""

    text: str = field(repr=False)
    jti: str
    kid: str
    user: str
    session: str
    client: str
    roles: tuple[str, ...]
    narrowed: bool
    exp: float
    facts: int
    """How many things had happened when its facts were read."""


class Oracle:
    """Keeps what happened in order."""

    def __init__(self) -> None:
        self.happened: list[Happening] = []
        self.tokens: list[Issued] = []
        self.unnoticed = False
        """Whether a store from the past is served that nobody has noticed yet."""
        self._proofs: dict[str | None, int] = {}
        self._facts: dict[str | None, int] = {}

    def note(self, kind: str, subject: str, at: Position, **more: Any) -> None:
        """It happened."""
        self.happened.append(Happening(kind, subject, at, **more))

    def proof_read(self, actor: str | None) -> None:
        """*actor* has read the hash that a password will be checked against."""
        self._proofs[actor] = len(self.happened)

    def facts_read(self, actor: str | None) -> None:
        """*actor* has read what a token will vouch for."""
        self._facts[actor] = len(self.happened)

    def facts_of(self, actor: str | None) -> int:
        """When *actor* last read facts."""
        return self._facts[actor]

    def check_opened(self, actor: str | None, user: str) -> None:
        """A session must not open when its user was killed between the reading of his hash and now."""
        for one in self.happened[self._proofs[actor] :]:
            assert not (one.kind == "user" and one.subject == user), f"dead on arrival, and let in: {one}"

    def killer(self, token: Issued, seen: Position) -> Happening | None:
        """What killed *token*, as far as somebody at *seen* must know."""
        for one in self.happened[token.facts :]:
            if one.at <= seen and _kills(one, token):
                return one
        return None

    def roles(self, token: Issued, seen: Position) -> set[tuple[str, ...]]:
        """Every set of roles that *token* may show to somebody at *seen*, who may have heard of later ones, too."""
        shown: set[tuple[str, ...]] = set()
        current = token.roles
        for one in self.happened[token.facts :]:
            if one.kind == "roles" and one.subject == token.user:
                if one.at > seen:
                    shown.add(_reduce(token, current))
                current = one.roles
        return shown | {_reduce(token, current)}


def _kills(one: Happening, token: Issued) -> bool:
    match one.kind:
        case "session":
            return one.subject == token.session
        case "user":
            return one.subject == token.user and one.spared != token.session
        case "token":
            return one.subject == token.jti
        case "client":
            return one.subject == token.client
        case "key":
            return one.subject == token.kid
        case "all":
            return True
        case _:
            return False


def _reduce(token: Issued, roles: tuple[str, ...]) -> tuple[str, ...]:
    """A token made to do less than its user may only loses."""
    if not token.narrowed:
        return roles
    return tuple(role for role in token.roles if role in roles)
