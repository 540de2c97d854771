"""A database that fails in the middle of a flow, at every point of it: whole or not at all, and a retry heals (R-22).

SQLite itself is told to give up after n steps of its machine, for n from the first to the last step of a flow.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import httpx2
import pytest

from tests.server.stage import PASSWORD, Somebody, Stage, open_stage
from watchword.jose import jws
from watchword.server.store.records import Origin

pytestmark = pytest.mark.anyio

Flow = Callable[[Stage, Somebody, Somebody], Awaitable[httpx2.Response]]

OTHER = "eight-cold-teapots"


class Fault:
    """Interrupts the store's connections at step *at*, once; without *at* it only counts."""

    def __init__(self, stage: Stage, at: int | None) -> None:
        engine: Any = stage.services.store.engine
        self.connections = [engine.writer.connection, engine.reader]
        self.at = at
        self.steps = 0
        self.loop = threading.get_ident()

    def __enter__(self) -> Fault:
        for connection in self.connections:
            connection.set_progress_handler(self._step, 1)
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self.connections:
            with suppress(sqlite3.ProgrammingError):  # closed: the store opened the file anew
                connection.set_progress_handler(None, 1)

    def _step(self) -> bool:
        if threading.get_ident() != self.loop:
            return False  # the COMMIT: interrupted after its work it stands, and says that it failed
        self.steps += 1
        return self.steps == self.at


async def register(stage: Stage, user: Somebody, admin: Somebody) -> httpx2.Response:
    body = {"email": f"new.{user.email}", "password": OTHER, "username": user.email.partition("@")[0]}
    return await stage.http.post("/auth/register", json=body)


async def log_in(stage: Stage, user: Somebody, admin: Somebody) -> httpx2.Response:
    return await stage.post_login(email=user.email, password=PASSWORD)


async def refresh(stage: Stage, user: Somebody, admin: Somebody) -> httpx2.Response:
    return await stage.http.post("/auth/token", json={"refresh_token": user.tokens["refresh_token"]})


async def log_out(stage: Stage, user: Somebody, admin: Somebody) -> httpx2.Response:
    return await stage.http.post("/auth/logout", json={"refresh_token": user.tokens["refresh_token"]})


async def change_password(stage: Stage, user: Somebody, admin: Somebody) -> httpx2.Response:
    body = {"current_password": PASSWORD, "new_password": OTHER}
    return await stage.http.post("/auth/password", json=body, headers=user.bearer)


async def reset_password(stage: Stage, user: Somebody, admin: Somebody) -> httpx2.Response:
    body = {"token": user.tokens["link"].partition("?token=")[2], "password": OTHER}
    return await stage.http.post("/auth/password/reset", json=body)


async def ban(stage: Stage, user: Somebody, admin: Somebody) -> httpx2.Response:
    return await stage.http.post(f"/admin/v1/users/{user.id}/ban", json={}, headers=admin.bearer)


async def promote(stage: Stage, user: Somebody, admin: Somebody) -> httpx2.Response:
    body = {"roles": ["user", "admin"]}
    return await stage.http.patch(f"/admin/v1/users/{user.id}", json=body, headers=admin.bearer)


async def delete(stage: Stage, user: Somebody, admin: Somebody) -> httpx2.Response:
    return await stage.http.delete(f"/admin/v1/users/{user.id}", headers=admin.bearer)


async def rotate(stage: Stage, user: Somebody, admin: Somebody) -> httpx2.Response:
    return await stage.http.post("/admin/v1/keys/rotate", json={"now": True}, headers=admin.bearer)


async def compromise(stage: Stage, user: Somebody, admin: Somebody) -> httpx2.Response:
    kid = jws.parse(user.tokens["access_token"]).kid
    return await stage.http.post(f"/admin/v1/keys/{kid}/compromise", headers=admin.bearer)


async def revoke(stage: Stage, user: Somebody, admin: Somebody) -> httpx2.Response:
    body = {"token": user.tokens["access_token"]}
    return await stage.http.post("/admin/v1/tokens/revoke", json=body, headers=admin.bearer)


async def revoke_all(stage: Stage, user: Somebody, admin: Somebody) -> httpx2.Response:
    return await stage.http.post("/admin/v1/tokens/revoke-all", headers=admin.bearer)


async def end_sessions(stage: Stage, user: Somebody, admin: Somebody) -> httpx2.Response:
    return await stage.http.delete(f"/admin/v1/users/{user.id}/sessions", headers=admin.bearer)


async def make_api_key(stage: Stage, user: Somebody, admin: Somebody) -> httpx2.Response:
    body = {"name": "deploy", "current_password": PASSWORD}
    return await stage.http.post("/auth/api-keys", json=body, headers=user.bearer)


async def set_up(stage: Stage, user: Somebody, admin: Somebody) -> httpx2.Response:
    form = {"token": user.tokens["setup"], "email": "first@example.com", "password": OTHER}
    return await stage.http.post("/setup", data=form)


async def begin_basic(stage: Stage, user: Somebody, admin: Somebody) -> httpx2.Response:
    return await stage.http.post("/auth/basic", json={"email": user.email, "password": PASSWORD})


class Effect(NamedTuple):
    """The audit event of what a flow does, and whether the user's access token dies of it."""

    event: str | None
    kills: bool = False


FLOWS: dict[Flow, Effect] = {
    register: Effect("user.created"),
    log_in: Effect("session.opened"),
    refresh: Effect(None),
    log_out: Effect("session.ended", kills=True),
    change_password: Effect("user.password_changed"),
    reset_password: Effect("user.password_reset", kills=True),
    ban: Effect("user.banned", kills=True),
    promote: Effect("user.roles_changed"),
    delete: Effect("user.deleted", kills=True),
    rotate: Effect("key.activated"),
    compromise: Effect("key.compromised", kills=True),
    revoke: Effect("token.revoked", kills=True),
    revoke_all: Effect("issuer.braked", kills=True),
    end_sessions: Effect("user.logged_out_everywhere", kills=True),
    make_api_key: Effect("api_key.created"),
    set_up: Effect("user.created"),
    begin_basic: Effect("session.opened"),
}


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Stage]:
    """The server on the database in *folder*, an hour on: the key that waits was seen long ago, so nobody has to."""
    async with open_stage(database=f"sqlite:///{folder / 'faults.db'}") as stage:
        stage.clock.forward(hours=1)
        yield stage


@dataclass(frozen=True)
class Scene:
    """A database on which nothing has failed yet, and who is on it: every attempt gets a copy of its own."""

    flow: Flow
    folder: Path
    user: Somebody
    admin: Somebody

    @classmethod
    async def set(cls, flow: Flow, folder: Path) -> Scene:
        """Somebody who has all that a flow may need, and an administrator, but where the flow makes the first."""
        whole = folder / "whole"
        whole.mkdir()
        async with opened(whole) as stage:
            user = await stage.newcomer()
            user.tokens["link"] = await stage.services.recovery.link(user.id, Origin())
            user.tokens["setup"] = await stage.services.setup.offer()
            admin = user if flow is set_up else await stage.administrator()
        return cls(flow, folder, user, admin)

    async def walk(self, points: int) -> int:
        """Play the flow with a fault at *points* places spread over it; how many places that were."""
        async with self.copy() as stage:
            with Fault(stage, None) as counted:
                assert (await self.play(stage)).is_success
        number, stride = 0, max(1, counted.steps // points)
        while await self.fail_at(1 + number * stride):
            number += 1
        return number

    async def fail_at(self, at: int) -> bool:
        """Play the flow with a fault at step *at*; whether it came so far."""
        async with self.copy() as stage:
            before = await self.effects(stage)
            with Fault(stage, at) as fault:
                answer = await self.play(stage)
            told = f"step {at}: {answer.status_code} {answer.text}"
            assert answer.is_success or answer.status_code == 503, told
            done = await self.effects(stage) - before
            assert done == (self.once if answer.is_success else 0), f"{done} effects, {told}"
            assert await stage.services.store.check() == [], told
            if answer.status_code == 503:
                assert "retry-after" in answer.headers
                again = await self.play(stage)
                assert again.is_success, f"{told}, again: {again.text}"
                assert await self.effects(stage) - before == self.once, told
                assert await stage.services.store.check() == [], told
            await stage.services.feed.poll()
            seen = await stage.http.get("/auth/me", headers=self.user.bearer)
            assert seen.status_code == (401 if FLOWS[self.flow].kills else 200), told
        return fault.steps >= at

    @asynccontextmanager
    async def copy(self) -> AsyncIterator[Stage]:
        with TemporaryDirectory(dir=self.folder) as folder:
            shutil.copytree(self.folder / "whole", folder, dirs_exist_ok=True)
            async with opened(Path(folder)) as stage:
                yield stage

    async def play(self, stage: Stage) -> httpx2.Response:
        return await self.flow(stage, self.user, self.admin)

    @property
    def once(self) -> int:
        """How many events tell of the effect when it was done once."""
        return 1 if FLOWS[self.flow].event else 0

    async def effects(self, stage: Stage) -> int:
        """How many events tell of it."""
        event = FLOWS[self.flow].event
        return len(await stage.events(event)) if event else 0


class TestFaults:
    @pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.__name__)
    async def test_a_flow_is_whole_or_not_at_all(self, tmp_path: Path, flow: Flow) -> None:
        """Wherever the database gives up: success with its one effect, or 503 with none, and then a retry has it."""
        assert await (await Scene.set(flow, tmp_path)).walk(20) >= 20

    @pytest.mark.long
    @pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.__name__)
    async def test_at_every_single_step(
        self, tmp_path: Path, flow: Flow, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The same at each step that SQLite takes."""
        points = await (await Scene.set(flow, tmp_path)).walk(1_000_000)
        with capsys.disabled():
            print(f"\n{flow.__name__}: a fault at each of {points} steps")
        assert points > 100
