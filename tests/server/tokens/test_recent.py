"""A node that has not read the log for a while: it authenticates nobody by what it knew, and ends its streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from tests.server.feed.test_feed import event, feed_of
from tests.server.stage import Backup, Somebody, Stage, call, each_ground, open_stage, problem
from watchword.errors import TemporarilyUnavailable
from watchword.jose import jws
from watchword.server.store.open import open_store

pytestmark = pytest.mark.anyio

kind = each_ground
V1 = "/admin/v1"


@pytest.fixture
def backup(lasting: dict[str, str], tmp_path: Path) -> Backup:
    return Backup(lasting, tmp_path / "copy.db")


@pytest.fixture
async def nodes(lasting: dict[str, str]) -> AsyncIterator[tuple[Stage, Stage]]:
    """Two processes on one database."""
    async with AsyncExitStack() as opened:
        yield (
            await opened.enter_async_context(open_stage(**lasting)),
            await opened.enter_async_context(open_stage(**lasting)),
        )


async def active_kid(stage: Stage, root: Somebody) -> str:
    keys = (await call(stage, root, "GET", f"{V1}/keys", params={"purpose": "token"}))["items"]
    return next(str(key["kid"]) for key in keys if key["state"] == "active")


async def end_of(stream: AsyncIterator[bytes]) -> None:
    """Read what comes until the stream ends."""
    async with asyncio.timeout(10):
        async for _ in stream:
            pass


class TestAuthentication:
    async def test_f_n5_a_stopped_node_takes_no_key_that_was_compromised(
        self, nodes: tuple[Stage, Stage]
    ) -> None:
        """It was stopped for 40 s; a request that waited for it comes under a key that was compromised meanwhile."""
        acting, stopped = nodes
        root = await acting.administrator()
        await call(acting, root, "POST", f"{V1}/keys/{await active_kid(acting, root)}/compromise")
        stopped.clock.forward(seconds=40)
        body = {"email": "eve@example.com", "password": "eleven-slow-lanterns", "roles": ["admin"]}
        answer = await stopped.http.post(f"{V1}/users", json=body, headers=root.bearer)
        problem(answer, 401, "invalid_token")
        again = await stopped.login(root, audience=stopped.settings.issuer)
        await call(stopped, again, "GET", f"{V1}/users")

    async def test_f_n5_a_stopped_node_takes_no_token_that_was_revoked(
        self, nodes: tuple[Stage, Stage]
    ) -> None:
        """The same of a single token."""
        acting, stopped = nodes
        root, ada = await acting.administrator(), await acting.newcomer()
        body = {"token": ada.tokens["access_token"]}
        await call(acting, root, "POST", f"{V1}/tokens/revoke", json=body)
        stopped.clock.forward(seconds=3)
        problem(await stopped.http.get("/auth/me", headers=ada.bearer), 401, "invalid_token")

    async def test_f_n5_a_key_that_came_meanwhile_is_known(self, nodes: tuple[Stage, Stage]) -> None:
        """A good token under a new key is not refused by the node that was stopped."""
        acting, stopped = nodes
        root = await acting.administrator()
        await call(acting, root, "POST", f"{V1}/keys/{await active_kid(acting, root)}/compromise")
        stopped.clock.forward(seconds=40)
        ada = await acting.newcomer()
        assert (await stopped.http.get("/auth/me", headers=ada.bearer)).status_code == 200

    async def test_f_n5_a_stopped_node_signs_with_the_key_that_is_active_now(
        self, nodes: tuple[Stage, Stage]
    ) -> None:
        """A log-in and a refresh that waited for it get tokens that live."""
        acting, stopped = nodes
        root, ada = await acting.administrator(), await acting.newcomer()
        await call(acting, root, "POST", f"{V1}/keys/{await active_kid(acting, root)}/compromise")
        acting.clock.forward(seconds=40)
        stopped.clock.forward(seconds=40)
        body = {"refresh_token": ada.tokens["refresh_token"]}
        refreshed = (await stopped.http.post("/auth/token", json=body)).json()
        for token in (refreshed, (await stopped.login(ada)).tokens):
            bearer = {"Authorization": f"Bearer {token['access_token']}"}
            assert (await acting.http.get("/auth/me", headers=bearer)).status_code == 200

    async def test_f_n5_a_log_that_cannot_be_read_is_503(self, backup: Backup) -> None:
        """Nobody is authenticated by what was true a while ago."""
        async with open_stage(**backup.settings) as stage:
            ada = await stage.newcomer()
            other = await open_store(backup.place, now=stage.clock.now)
            stage.services.feed.log = other.revocations
            await other.close()
            assert (await stage.http.get("/auth/me", headers=ada.bearer)).status_code == 200
            stage.clock.forward(seconds=3)
            problem(await stage.http.get("/auth/me", headers=ada.bearer), 503, "temporarily_unavailable")


class TestStreams:
    async def test_f_n4_a_node_that_missed_a_heartbeat_ends_its_streams(self, backup: Backup) -> None:
        """Its guards see that at once and ask another node; here they get 503 until the log can be read again."""
        async with open_stage(**backup.settings) as stage:
            other = await open_store(backup.place, now=stage.clock.now)
            feed = feed_of(stage, log=other.revocations, heartbeat=timedelta(milliseconds=100))
            await feed.start()
            stream = feed.stream()
            await event(stream)
            running = asyncio.create_task(feed.run())
            await event(stream)
            await feed.ensure_speaking()
            await other.close()
            stage.clock.forward(seconds=1)
            await end_of(stream)
            assert not feed.listeners
            with pytest.raises(TemporarilyUnavailable):
                await feed.ensure_speaking()
            feed.log = stage.services.store.revocations
            await feed.poll()
            await feed.ensure_speaking()
            running.cancel()
            feed.close()

    async def test_f_n4_revocations_of_a_log_that_cannot_be_read_are_503(self, backup: Backup) -> None:
        """Snapshot, delta and stream: what a heartbeat could not say any more is not handed out."""
        async with open_stage(**backup.settings) as stage:
            other = await open_store(backup.place, now=stage.clock.now)
            stage.services.feed.log = other.revocations
            await other.close()
            paths = ("/revocations", "/revocations?after=1", "/revocations/stream")
            assert (await stage.http.get("/revocations")).status_code == 200
            stage.clock.forward(seconds=6)
            for path in paths:
                answer = await stage.http.get(path)
                problem(answer, 503, "temporarily_unavailable")
                assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize("kind", ["postgres"])
async def test_f_n4_a_log_that_hangs_ends_the_streams(stage: Stage) -> None:
    """The database answers nothing, neither yes nor no: the streams end all the same, and requests are not held."""
    feed = feed_of(stage, heartbeat=timedelta(milliseconds=100))
    await feed.start()
    stream = feed.stream()
    await event(stream)
    running = asyncio.create_task(feed.run())
    await event(stream)
    connection = await asyncpg.connect(stage.settings.values["DATABASE"])
    async with connection.transaction():
        await connection.execute("LOCK TABLE head IN ACCESS EXCLUSIVE MODE")
        stage.clock.forward(seconds=1)
        await end_of(stream)
        with pytest.raises(TemporarilyUnavailable):
            await feed.ensure_speaking()
    await connection.close()
    running.cancel()
    feed.close()


async def test_f_n4_messages_state_the_interval(stage: Stage) -> None:
    """A guard reads there how long a silence may be."""
    feed = feed_of(stage, heartbeat=timedelta(seconds=7))
    await feed.start()
    assert b'"interval":7' in jws.parse(feed.snapshot().body, max_size=10**7).payload
