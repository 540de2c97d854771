"""A guard in the model: it hears what the network brings, by a clock that may be an hour off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from tests.server.stage import ISSUER, Clock
from watchword.errors import InvalidToken, TemporarilyUnavailable
from watchword.guard.knowledge import Knowledge
from watchword.guard.principal import Principal
from watchword.guard.verifier import Verifier
from watchword.guard.view import View
from watchword.jose.algorithms import ALGORITHMS
from watchword.protocol.revocation_list import Received
from watchword.server.services import Services

LEEWAY = 30


@dataclass
class Ear:
    """One API's guard."""

    clock: Clock
    offset: float
    cursor: str | None = None
    """The ``id`` of the last event of its stream."""
    known: Knowledge = field(init=False)
    verifier: Verifier = field(init=False)

    def __post_init__(self) -> None:
        self.known = Knowledge(ISSUER, clock=self.wall(), monotonic=self.clock.monotonic)
        self.verifier = Verifier(
            self,
            issuer=ISSUER,
            audience="api",
            algorithms=ALGORITHMS,
            leeway=LEEWAY,
            cache_size=64,
            clock=self.wall(),
        )

    def wall(self) -> Callable[[], float]:
        """Its wall clock: the true time, which nobody set, and its error."""
        began = self.clock.at.timestamp() - self.clock.seconds
        return lambda: began + self.clock.seconds + self.offset

    @property
    def view(self) -> View:
        return self.known.view

    @property
    def seen(self) -> tuple[int, int]:
        return self.known.epoch, self.known.sequence

    def want(self, kid: str) -> None:
        """Keys come with the feed."""

    def hear(self, message: bytes) -> str:
        """Take in one message, whatever it is."""
        try:
            return self.known.accept(message)
        except InvalidToken:
            return "refused"

    def update(self, services: Services) -> None:
        """Ask for what is new, as a guard does that polls."""
        self.known.set_feed_keys(services.keys.feed_jwks()["keys"])
        self.known.add_keys(services.keys.jwks()["keys"])
        if self.hear(services.feed.delta(self.known.sequence)) != "fresh":
            self.hear(services.feed.snapshot().body)

    def restart(self) -> None:
        """The process ends and begins again from its snapshot file."""
        old = self.known
        self.__post_init__()
        self.known.set_feed_keys([key.public_jwk() for key in old.feed_keys])
        kept = msgspec.json.decode(msgspec.json.encode(old.export()), type=Received)
        self.known.restore(kept, keys=old.published.values(), retired=old.retired_feed_kids)

    def verify(self, token: str) -> Principal | None:
        """The principal, ``None`` when it is refused."""
        try:
            return self.verifier.verify(token)
        except (InvalidToken, TemporarilyUnavailable):
            return None  # the second: every key it knew is dead and the new ones have not come yet
