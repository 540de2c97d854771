"""A database that fails in the middle of a flow, at every point of it: whole or not at all, and a retry heals (R-22).

SQLite itself is told to give up after n steps of its machine, for n from the first to the last step of a flow.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.server.stage import PASSWORD, Somebody, Stage, open_stage
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


FLOWS: dict[Flow, tuple[str, int]] = {
    register: ("user.created", 1),
    log_in: ("session.opened", 1),
    refresh: ("", 0),
    log_out: ("session.ended", 1),
    change_password: ("user.password_changed", 1),
    reset_password: ("user.password_reset", 1),
    ban: ("user.banned", 1),
    promote: ("user.roles_changed", 1),
    delete: ("user.deleted", 1),
    rotate: ("key.activated", 1),
}
"""Flow -> the audit event of its effect, and how many of it there are when it was done once."""


async def effects(stage: Stage, type: str) -> int:
    """How many events of *type* there are, on all pages."""
    count, cursor = 0, None
    while type:
        page = await stage.services.store.events.list(type=type, cursor=cursor, limit=200)
        count += len(page.items)
        cursor = page.next
        if cursor is None:
            break
    return count


async def people(stage: Stage) -> tuple[Somebody, Somebody]:
    """An hour later: somebody who has all that a flow may need, and an administrator.

    The keys that the last attempt retired are gone and the one that waits was seen long ago, so that each
    attempt takes as many steps as the first, and none has to wait.
    """
    stage.clock.forward(hours=1)
    await stage.services.keys.tick()
    user, admin = await stage.newcomer(), await stage.administrator()
    user.tokens["link"] = await stage.services.recovery.link(user.id, Origin())
    return user, admin


async def fail_at(stage: Stage, flow: Flow, at: int) -> bool:
    """Play *flow* with a fault at step *at*; whether it came so far."""
    event, once = FLOWS[flow]
    user, admin = await people(stage)
    before = await effects(stage, event)
    with Fault(stage, at) as fault:
        answer = await flow(stage, user, admin)
    assert answer.is_success or answer.status_code == 503, f"step {at}: {answer.status_code} {answer.text}"
    done = await effects(stage, event) - before
    assert done == (once if answer.is_success else 0), f"step {at}: {done} effects of {answer.status_code}"
    assert await stage.services.store.check() == []
    if answer.status_code == 503:
        assert "retry-after" in answer.headers
        again = await flow(stage, user, admin)
        assert again.is_success, f"step {at}, again: {again.text}"
        assert await effects(stage, event) - before == once
        assert await stage.services.store.check() == []
    return fault.steps >= at


async def walk(folder: Path, flow: Flow, points: int) -> int:
    """Play *flow* with a fault at *points* places spread over it; how many places that were."""
    place = f"sqlite:///{folder / 'faults.db'}"
    async with open_stage(database=place, registrations_per_address="0") as stage:
        user, admin = await people(stage)
        with Fault(stage, None) as counted:
            assert (await flow(stage, user, admin)).is_success
        number, stride = 0, max(1, counted.steps // points)
        while await fail_at(stage, flow, 1 + number * stride):
            number += 1
        return number


class TestFaults:
    @pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.__name__)
    async def test_a_flow_is_whole_or_not_at_all(self, tmp_path: Path, flow: Flow) -> None:
        """Wherever the database gives up: success with its one effect, or 503 with none, and then a retry has it."""
        assert await walk(tmp_path, flow, 20) >= 20

    @pytest.mark.long
    @pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.__name__)
    async def test_at_every_single_step(self, tmp_path: Path, flow: Flow) -> None:
        """The same at each step that SQLite takes."""
        assert await walk(tmp_path, flow, 1_000_000) > 100
