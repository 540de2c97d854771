"""What the server's faces are tested on: a real store, a clock that stands still, and HTTP without a socket."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from watchword.server import policies
from watchword.server.app import App, create_app
from watchword.server.services import Services, open_services
from watchword.server.settings import Settings
from watchword.server.store.open import move_all
from watchword.server.store.records import Origin

ISSUER = "https://auth.example.com"
PASSWORD = "nine-slow-lanterns"
SECRET = "the-master-key-of-a-test-is-no-secret"
MOMENT = timedelta(milliseconds=20)

_numbers = itertools.count(1)


GROUNDS = ("sqlite", "postgres", "postgres+valkey")
"""What a server may stand on: its database, and beside it what counts attempts."""


async def ground_of(request: pytest.FixtureRequest, kind: str, place: str | None = None) -> dict[str, str]:
    """The settings of an empty database of this kind, at *place* if there is one for it already."""
    if kind == "sqlite":
        return {"database": "sqlite:///:memory:"}
    found = {"database": place or await request.getfixturevalue("postgres").place()}
    if kind == "postgres+valkey":
        found["redis"] = await request.getfixturevalue("valkey").place()
    return found


@pytest.fixture(params=GROUNDS)
def each_ground(request: pytest.FixtureRequest) -> str:
    """Every ground there is: ``kind = each_ground`` in a module runs its tests on each of them."""
    kind: str = request.param
    return kind


@dataclass
class Backup:
    """A database, and a copy of it from an hour ago."""

    settings: dict[str, str]
    copy: Path

    @property
    def place(self) -> Path | str:
        url = self.settings["database"]
        return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite") else url

    async def make(self) -> None:
        await move_all(self.place, self.copy, progress=lambda done, total: None, at_rest=False)

    async def put_back(self) -> None:
        if isinstance(self.place, Path):
            for suffix in ("", "-wal", "-shm"):
                self.place.with_name(self.place.name + suffix).unlink(missing_ok=True)
        await move_all(self.copy, self.place, progress=lambda done, total: None, at_rest=False, replace=True)


@dataclass
class Clock:
    """A clock that moves when told to, for both kinds of time."""

    at: datetime = datetime(2030, 1, 1, 12, tzinfo=UTC)
    seconds: float = 1000.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.seconds

    def forward(self, **span: float) -> None:
        step = timedelta(**span)
        self.at += step
        self.seconds += step.total_seconds()


@dataclass
class Somebody:
    """A user with an account and the tokens of his last log-in."""

    id: str
    email: str
    tokens: dict[str, Any] = field(default_factory=dict)

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens['access_token']}"}

    @property
    def session_id(self) -> str:
        return str(self.tokens["session_id"])


@dataclass
class Stage:
    """One server."""

    settings: Settings
    services: Services
    app: App
    clock: Clock
    http: httpx2.AsyncClient = field(init=False)

    def client(self, address: str = "192.0.2.1", base_url: str = ISSUER) -> httpx2.AsyncClient:
        """A client that calls from *address*."""
        transport = httpx2.ASGITransport(app=self.app, client=(address, 4711))
        return httpx2.AsyncClient(transport=transport, base_url=base_url)

    async def somebody(self, *roles: str, **members: str) -> Somebody:
        """A user who is not logged in."""
        email = f"user{next(_numbers)}@example.com"
        user = await self.services.users.create(
            email, PASSWORD, roles=("user", *roles), origin=Origin(), **members
        )
        return Somebody(user.id, email)

    async def verified(self) -> Somebody:
        """A user who is logged in and whose address was verified elsewhere, as an import says."""
        users, email = self.services.users, f"user{next(_numbers)}@example.com"
        digest = await self.services.passwords.hash(PASSWORD)
        new = users.take_over(email, digest, roles=("user",), email_verified=True)
        user = await users.add(new, Origin())
        return await self.login(Somebody(user.id, email))

    async def post_login(self, **members: Any) -> httpx2.Response:
        return await self.http.post("/auth/login", json=members)

    async def login(self, somebody: Somebody, **members: str) -> Somebody:
        """Log in; the tokens are his from now on."""
        answer = await self.post_login(email=somebody.email, password=PASSWORD, **members)
        assert answer.status_code == 200, answer.text
        return Somebody(somebody.id, somebody.email, answer.json())

    async def newcomer(self, **members: str) -> Somebody:
        """A user who is logged in."""
        return await self.login(await self.somebody(), **members)

    async def administrator(self) -> Somebody:
        """An administrator with a token for the issuer alone."""
        return await self.login(await self.somebody("admin"), audience=self.settings.issuer)

    async def events(self, type: str | None = None) -> list[Any]:
        """The audit log, newest first."""
        return list((await self.services.store.events.list(type=type, limit=200)).items)


class Brisk(Settings):
    """What waits by this machine's clock waits a moment: a letter for its first turn, an incident for a new key."""

    @property
    def mail(self) -> policies.MailPolicy:
        return replace(super().mail, pause=MOMENT)

    @property
    def keys(self) -> policies.KeyPolicy:
        return replace(super().keys, reach=MOMENT)


@asynccontextmanager
async def open_stage(**flags: str) -> AsyncIterator[Stage]:
    """A server of these settings, in memory unless they say otherwise."""
    settings = Brisk.load(
        {
            "issuer": ISSUER,
            "database": "sqlite:///:memory:",
            "secret": SECRET,
            "password_hash": "test",
            "log_requests": "false",
            "log_format": "json",
            "feed": "full",
            "metrics": "public",
            **flags,
        }
    )
    clock = Clock()
    async with open_services(settings, now=clock.now, monotonic=clock.monotonic) as services:
        app = create_app(settings, services)
        stage = Stage(settings, services, app, clock)
        async with stage.client() as stage.http:
            yield stage


def problem(answer: httpx2.Response, status: int, error: str) -> dict[str, Any]:
    """The problem document of a refusal, which must be this one (RFC 9457)."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert (document["status"], document["error"]) == (status, error), document
    assert {"type", "title", "detail"} <= document.keys()
    return document


async def call(stage: Stage, root: Somebody, method: str, path: str, status: int = 200, **more: Any) -> Any:
    """An answer of that status."""
    answer = await stage.http.request(method, path, headers=root.bearer, **more)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None
