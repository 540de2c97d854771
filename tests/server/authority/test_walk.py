"""S5: authority is checked where the write happens. Every route that writes × everything that ends authority."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from tests.server.authority.cases import ENDS, WRITING, Scene, name_of, scene, send, state_of
from tests.server.stage import Stage, open_stage, problem
from watchword.errors import NotFound
from watchword.server.app import create_app
from watchword.server.services import open_services
from watchword.server.store.records import Origin
from watchword.server.store.workers.server import Desk, bind_desk
from watchword.server.web.route import Route

pytestmark = pytest.mark.anyio

Stages = tuple[Stage, Stage]
Operator = Callable[[Scene], Awaitable[object]]

OPERATORS: Final[Mapping[str, Operator]] = {
    "ban": lambda s: s.there.services.users.ban(s.caller.id, None, None, Origin()),
    "demotion": lambda s: s.there.services.users.update(s.caller.id, roles=("user",), origin=Origin()),
    "session end": lambda s: s.there.services.sessions.end(s.caller.session_id, "ended", Origin()),
    "logout everywhere": lambda s: s.there.services.sessions.end_all(s.caller.id, "ended", Origin()),
    "token revoked": lambda s: s.there.services.withdrawal.token(s.caller.tokens["access_token"], Origin()),
    "key compromised": lambda s: s.there.services.keys.compromise(s.kid, Origin()),
}
"""The operator's ways to end a caller: nothing comes before their transaction."""


def pairs(routes: list[Route], ends: Mapping[str, Any]) -> list[tuple[Route, str]]:
    """Every route with everything that can end its caller's authority."""
    all_of_them = [(r, end) for r in routes for end in ends if r.auth == "admin" or end != "demotion"]
    # A token of a compromised key can't be read any more: that is told first, with a 422.
    unread = ("/admin/v1/tokens/revoke", "key compromised")
    return [(route, end) for route, end in all_of_them if (route.path, end) != unread]


def diagonal(of: list[tuple[Route, str]]) -> list[tuple[Route, str]]:
    """A few of them that name every route and every end."""
    ends = list(dict.fromkeys(end for _, end in of))
    found: list[tuple[Route, str]] = []
    for route in dict.fromkeys(name_of(route) for route, _ in of):
        mine = {end: (r, end) for r, end in of if name_of(r) == route}
        wanted = ends[len(found) % len(ends)]
        found.append(mine.get(wanted) or mine["ban"])
    named = {end for _, end in found}
    return found + [next(one for one in of if one[1] == end) for end in ends if end not in named]


def name(one: object) -> str | None:
    return name_of(one) if isinstance(one, Route) else None


SLOWLY: Final = pairs([route for route in WRITING if route.body is not None], ENDS)
AT_ONCE: Final = pairs(list(WRITING), OPERATORS)
IN_A_ROW: Final = [pair for pair in AT_ONCE if pair[1] != "key compromised"]  # which makes a new key first


@pytest.fixture
async def stages(kind: str, ground: dict[str, str], tmp_path: Path) -> AsyncIterator[Stages]:
    """Where the caller asks, and where they are ended: one server, two on one database, or two workers."""
    if kind in ("sqlite", "workers"):
        ground = {"database": f"sqlite:///{tmp_path / 'watchword.db'}"}
    async with AsyncExitStack() as opened:
        second = await opened.enter_async_context(open_stage(**ground))
        first = second
        if kind == "nodes":
            first = await opened.enter_async_context(open_stage(**ground))
        elif kind == "workers":
            first = await opened.enter_async_context(worker_of(second, tmp_path))
        yield first, second


@asynccontextmanager
async def worker_of(writing: Stage, folder: Path) -> AsyncIterator[Stage]:
    """Another process's part of the same server: it reads the file, and hands over what it would write."""
    listener, path = bind_desk(folder)
    clock = writing.clock
    with listener:
        async with (
            Desk.open(writing.services.store, listener, patience=0),
            open_services(
                writing.settings, now=clock.now, monotonic=clock.monotonic, hand_to=path
            ) as services,
        ):
            worker = Stage(writing.settings, services, create_app(writing.settings, services), clock)
            async with worker.client() as worker.http:
                yield worker


def check_refusal(answer: httpx2.Response, end: str) -> None:
    if end == "demotion":
        problem(answer, 403, "insufficient_scope")
    else:
        problem(answer, 401, "invalid_token")


async def during_the_body(stages: Stages, route: Route, end: str) -> None:
    """End the caller when the head and a part of the body were read, then send the rest."""
    act = await scene(*stages, route)
    states: list[Any] = []

    async def halfway() -> None:
        await ENDS[end](act)
        states.append(await state_of(act.there))

    check_refusal(await send(act, route, halfway), end)
    assert [await state_of(act.there)] == states


async def acts_of(act: Scene, actor: str) -> list[int]:
    return [event.id for event in await act.there.events() if event.actor == actor]


async def at_the_same_moment(stages: Stages, route: Route, end: str) -> bool:
    """End the caller while the request is between its authentication and its write; whether it was faster."""
    act = await scene(*stages, route)
    theirs, ours = await acts_of(act, act.caller.id), await acts_of(act, "system")
    ended, answer = await asyncio.gather(OPERATORS[end](act), send(act, route), return_exceptions=True)
    assert isinstance(answer, httpx2.Response)
    done = set(await acts_of(act, act.caller.id)) - set(theirs)
    if isinstance(ended, NotFound):  # the caller has just ended themselves
        assert answer.is_success
        return True
    assert not isinstance(ended, BaseException)
    if answer.is_success:
        assert max(done) < min(set(await acts_of(act, "system")) - set(ours))
        return True
    check_refusal(answer, end)
    assert done == set()
    return False


class TestWalk:
    @pytest.mark.parametrize("route", WRITING, ids=name)
    async def test_f_s5_the_walk_knows_every_route(self, stages: Stages, route: Route) -> None:
        """A request that nothing ends is granted: a refusal in the walk is not one of the request itself."""
        answer = await send(await scene(*stages, route), route)
        assert answer.status_code == route.status, answer.text

    @pytest.mark.parametrize(("route", "end"), diagonal(SLOWLY), ids=name)
    async def test_f_s5_nothing_lands_after_the_end(self, stages: Stages, route: Route, end: str) -> None:
        """The caller is ended while the body is read: 401 or 403, and no row, event or entry is written."""
        await during_the_body(stages, route, end)

    @pytest.mark.parametrize(("route", "end"), diagonal(IN_A_ROW), ids=name)
    async def test_f_s5_of_two_at_once_the_second_sees_the_first(
        self, stages: Stages, route: Route, end: str
    ) -> None:
        """The end is written first: the request, authenticated before, is refused and leaves nothing."""
        assert not await at_the_same_moment(stages, route, end)


class TestWorkers:
    @pytest.fixture
    def kind(self) -> str:
        return "workers"

    @pytest.mark.parametrize("end", ["ban", "password change", "token revoked"])
    async def test_f_s5_a_write_that_is_handed_over_is_checked_where_it_is_done(
        self, stages: Stages, end: str
    ) -> None:
        """The caller asks at one worker; another one writes."""
        (route,) = [route for route in WRITING if name_of(route) == "PATCH /auth/me"]
        await during_the_body(stages, route, end)


@pytest.mark.slow
class TestWholeWalk:
    @pytest.fixture(params=["sqlite", "workers", "postgres", "nodes"])
    def kind(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.mark.parametrize(("route", "end"), SLOWLY, ids=name)
    async def test_f_s5_nothing_lands_after_the_end_anywhere(
        self, stages: Stages, route: Route, end: str
    ) -> None:
        """Every route with a body × every end, on SQLite, on PostgreSQL and with the end at another node."""
        await during_the_body(stages, route, end)

    @pytest.mark.parametrize(("route", "end"), AT_ONCE, ids=name)
    async def test_f_s5_a_race_has_an_order(self, stages: Stages, route: Route, end: str) -> None:
        """Whichever is faster: nothing of a caller is written after the end of their authority."""
        await at_the_same_moment(stages, route, end)
