"""One attacker: an account with two mailboxes of its own, and everything it was given so far."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["AGENT", "JWK", "KEPT", "LONG_NAME", "PASSWORDS", "Attacker", "Tokens"]

PASSWORDS: Final = ("nine-slow-lanterns", "eight-green-windows")
AGENT: Final = b"\xe9" * 400
"""A field of which each character that is kept takes two bytes."""
LONG_NAME: Final = "\U00010348" * 200
JWK: Final = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
KEPT: Final = 60
"""Sessions, keys and spent tokens that the attacker remembers."""


@dataclass(eq=False)
class Tokens:
    """The tokens of one session; its access token is for the server alone, so that it needs no password."""

    session: str
    access: str
    refresh: str


def _few() -> deque[Any]:
    return deque(maxlen=KEPT)


@dataclass
class Attacker:
    """What the attacker knows.

    Attributes:
        issuer: the audience of a token that opens the account without its password.
        mailboxes: the two that are the attacker's own; the first is the account's address to begin with.
        strangers: addresses of others: the first has an account, the last has none.
        mail: the token of the newest link that an address was sent, each once.
        wrong: wrong passwords since the last sign-in.
        registered: whether there is an account; one that was deleted is registered again.
        pending: whether a change to the other mailbox waits for its link.
        over: API keys that have ended.
    """

    issuer: str
    mailboxes: tuple[str, str]
    strangers: Sequence[str]
    mail: Callable[[str], str | None]
    password: str = PASSWORDS[0]
    wrong: int = 0
    registered: bool = True
    pending: bool = False
    tokens: deque[Tokens] = field(default_factory=_few)
    spent: deque[str] = field(default_factory=_few)
    api_keys: deque[tuple[str, str]] = field(default_factory=_few)
    signing_keys: deque[tuple[str, str]] = field(default_factory=_few)
    over: deque[str] = field(default_factory=_few)
    email: str = field(init=False)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False)

    def __post_init__(self) -> None:
        self.email = self.mailboxes[0]

    @property
    def newest(self) -> Tokens | None:
        return self.tokens[-1] if self.tokens else None

    @property
    def other_mailbox(self) -> str:
        return self.mailboxes[self.email == self.mailboxes[0]]

    @property
    def other_password(self) -> str:
        return PASSWORDS[self.password == PASSWORDS[0]]

    def number(self) -> int:
        return next(self._numbers)

    def address(self) -> str:
        """An address that nobody has."""
        return f"new{self.number()}@{self.mailboxes[0].rpartition('@')[2]}"

    def signed_in(self, answer: dict[str, Any]) -> None:
        self.wrong = 0
        if "refresh_token" in answer:
            self.tokens.append(Tokens(answer["session_id"], answer["access_token"], answer["refresh_token"]))

    def forget(self, tokens: Tokens | None) -> None:
        if tokens in self.tokens:
            self.tokens.remove(tokens)

    def forget_all(self, but: Tokens | None = None) -> None:
        """Every session is over, but one."""
        self.tokens.clear()
        self.spent.clear()
        if but is not None:
            self.tokens.append(but)
