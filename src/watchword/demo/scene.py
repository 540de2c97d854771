"""Who is on stage, and one step of what happens there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from watchword.demo.exchange import Exchange, Party
from watchword.demo.process import ADMIN, Cast

__all__ = ["Misbehaved", "Scene", "Step"]


class Misbehaved(Exception):
    """An answer is not the one the story tells of."""


@dataclass(slots=True)
class Step:
    """One step: what was said, how long it took, and how it ended."""

    name: str
    title: str
    exchanges: list[Exchange] = field(default_factory=list)
    note: str = ""
    ok: bool = True
    ms: float = 0

    @property
    def status(self) -> int:
        """The HTTP status the step ended with."""
        return self.exchanges[-1].status if self.exchanges else 0

    def ask(self, party: Party, method: str, path: str, expect: int, **more: Any) -> Any:
        """Send a request; the answer's body when its status is the expected one.

        Raises:
            Misbehaved: it is another.
        """
        exchange = party.ask(method, path, **more)
        self.exchanges.append(exchange)
        self.ms += exchange.ms
        if exchange.status != expect:
            raise Misbehaved(f"{expect} was expected")
        return exchange.answer


@dataclass(slots=True)
class Scene:
    """Who is on stage, and what they hold."""

    cast: Cast
    server: Party = field(init=False)
    payrolls: tuple[Party, Party] = field(init=False)
    user: dict[str, Any] = field(default_factory=dict)
    admin: dict[str, Any] = field(default_factory=dict)
    _operator: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        self.server = Party("server", self.cast.server)
        first, second = self.cast.payrolls
        self.payrolls = Party("payroll-1", first), Party("payroll-2", second)

    @property
    def payroll(self) -> Party:
        """The first of the API's processes."""
        return self.payrolls[0]

    def operator(self, step: Step) -> str:
        """Ada's token for the administration of the server: for the server alone, so that no API ever sees it."""
        if not self._operator:
            self._operator = self.login(step, ADMIN, audience=self.server.address)["access_token"]
        return self._operator

    def login(self, step: Step, who: tuple[str, str], **more: str) -> dict[str, Any]:
        """Log in; the token set."""
        body = {"email": who[0], "password": who[1], **more}
        tokens: dict[str, Any] = step.ask(self.server, "POST", "/auth/login", 200, body=body)
        return tokens
