"""One user who writes as much as they are let, by every route there is: what they ask next.

Nothing here knows how requests travel, so the same user attacks an application in this process and a server behind a
socket. While a refusal says when to come back, other routes are asked, so that every limit is used up.
"""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from tests.attacks.attacker import Attacker
from tests.attacks.moves import MOVES, Built, Move

__all__ = ["Ask", "Mixture"]

_ALL: Final = [(route, move) for route, moves in MOVES.items() for move in moves]
_SPARED: Final = {
    "refresh": 0.25,
    "register": 2.0,
    "register_own": 2.0,
    "forget_nobody": 6.0,
    "reset_by_made_up_link": 6.0,
    "confirm_by_made_up_link": 6.0,
    "forget_by_form": 6.0,
    "reset_by_form": 6.0,
    "confirm_by_form": 6.0,
    "leave": 31.0,
    "log_out_everywhere": 10.0,
}
"""Seconds before a move is made again that would use up what better moves need."""
_LATER: Final = {move: 20.0 for _, move in _ALL if move.__name__ in ("_leave", "_log_out_everywhere")}
"""Seconds from the beginning before a move that ends what was gained."""
_PROVING: Final = ("sign_in_wrongly", "leave_wrongly", "change_password_wrongly", "change_password")
"""A 401 there is about the password and not about the token."""
_EVERYWHERE: Final = "everywhere"


@dataclass(frozen=True)
class Ask:
    """One request.

    Attributes:
        kind: the media type of its body.
        bearer: the access token it bears.
        address: from where it comes, as a proxy says; empty: from the sender itself.
        heard: takes the answer's status, its body, and the seconds of its ``Retry-After``.
    """

    method: str
    path: str
    body: bytes
    kind: str
    bearer: str | None
    address: str
    heard: Callable[[int, bytes, float], None] = field(repr=False)


@dataclass
class Mixture:
    """The requests of one attacker.

    Attributes:
        networks: from which addresses the attacker asks, in turn.
        answers: how many there were, by move and status.
    """

    attacker: Attacker
    networks: Sequence[str] = ("",)
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    _closed: dict[tuple[Move, str], float] = field(default_factory=dict, repr=False)
    _begun: bool = False
    _places: Iterator[str] = field(init=False, repr=False)
    _order: Iterator[tuple[str, Move]] = field(default_factory=lambda: itertools.cycle(_ALL), repr=False)

    def __post_init__(self) -> None:
        self._places = itertools.cycle(self.networks)

    @property
    def accepted(self) -> int:
        return sum(count for (_, status), count in self.answers.items() if status < 300)

    def next(self, now: float, *, stubborn: bool = False) -> Ask | None:
        """The next request that may be let through; ``None``: each would be refused.

        Args:
            now: seconds.
            stubborn: rather than none, one that will be refused.
        """
        if not self._begun:
            self._begun = True
            for move, seconds in _LATER.items():
                self._closed[move, _EVERYWHERE] = now + seconds
        place = next(self._places)
        for closed in (now, math.inf) if stubborn else (now,):
            for _ in _ALL:
                route, move = next(self._order)
                if max(self._closed.get((move, each), 0.0) for each in (place, _EVERYWHERE)) > closed:
                    continue
                if (built := move(self.attacker)) is not None:
                    return self._ask(route, move, built, place, now)
        return None

    def _ask(self, route: str, move: Move, built: Built, place: str, now: float) -> Ask:
        method, path = route.split(" ")
        path = path.replace("{id}", built.id).replace("{audience:path}", "x")
        for part in ("{key}", "{kid}", "{name}"):
            path = path.replace(part, "x")
        body, kind = b"", "application/json"
        if built.form is not None:
            body, kind = urlencode(built.form).encode(), "application/x-www-form-urlencoded"
        elif built.json is not None:
            body = json.dumps(built.json).encode()
        name = move.__name__.strip("_")

        def heard(status: int, raw: bytes, wait: float) -> None:
            self.answers[name if name != "administer" else route, status] += 1
            if status in (429, 503):
                self._closed[move, place] = now + wait
            elif status >= 400:
                self._closed[move, place] = now + 1
                if status == 401 and name not in _PROVING:
                    self.attacker.forget(built.by)
            else:
                built.then(json.loads(raw) if raw[:1] == b"{" else {})

        if name in _SPARED:
            self._closed[move, _EVERYWHERE] = now + _SPARED[name]
        return Ask(method, path, body, kind, built.by.access if built.by else None, place, heard)
