"""An API's ear on the server of a stage: what its guard knows, fed over HTTP, by the same clock."""

from __future__ import annotations

from tests.server.stage import ISSUER, Stage
from watchword.errors import InvalidToken
from watchword.guard.derived_key import RootSecrets
from watchword.guard.knowledge import Knowledge
from watchword.guard.principal import Principal
from watchword.guard.verifier import Verifier
from watchword.guard.view import View
from watchword.jose.algorithms import ALGORITHMS
from watchword.protocol.metadata import REVOCATIONS_JWKS

LEEWAY = 240
"""The most that a guard may forgive."""


class Hearing:
    """The guard of one audience, without its thread: it hears when a test says so."""

    def __init__(self, stage: Stage, audience: str = "api", secrets: tuple[str, ...] = ()) -> None:
        self.stage = stage
        roots = RootSecrets.parse(secrets, issuer=ISSUER, audience=audience) if secrets else None
        self.known = Knowledge(
            ISSUER, roots=roots, clock=lambda: stage.clock.now().timestamp(), monotonic=stage.clock.monotonic
        )
        self.verifier = Verifier(
            self,
            issuer=ISSUER,
            audience=audience,
            algorithms=ALGORITHMS,
            leeway=LEEWAY,
            cache_size=100,
            clock=lambda: stage.clock.now().timestamp(),
        )

    @property
    def view(self) -> View:
        return self.known.view

    def want(self, kid: str) -> None:
        """Keys are read with every update."""

    async def update(self) -> str:
        """Hear what the server says now."""
        http = self.stage.http
        await self.stage.services.feed.poll()
        metadata = (await http.get("/.well-known/oauth-authorization-server")).json()
        self.known.set_feed_keys(metadata[REVOCATIONS_JWKS]["keys"])
        self.known.add_keys((await http.get("/.well-known/jwks.json")).json()["keys"])
        answer = await http.get("/revocations", params={"after": self.known.sequence})
        outcome = self.known.accept(answer.content)
        if outcome == "gap":
            outcome = self.known.accept((await http.get("/revocations")).content)
        return outcome

    def principal(self, token: str) -> Principal:
        """What the API sees."""
        return self.verifier.verify(token)

    def refuses(self, token: str) -> bool:
        """Whether the API turns *token* down."""
        try:
            self.verifier.verify(token)
        except InvalidToken:
            return True
        return False
