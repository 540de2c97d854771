"""Many ended sessions of one user: the log folds them into one entry, and guards forget what it covers."""

from __future__ import annotations

import pytest

from tests.server.hearing import Hearing
from tests.server.stage import Stage, each_ground, open_stage
from watchword.jose import jws
from watchword.server.store.records import Origin
from watchword.server.store.sql.sessions import SESSIONS_PER_USER

pytestmark = pytest.mark.anyio

kind = each_ground


async def end_many(stage: Stage, api: Hearing) -> list[str]:
    """One user's sessions, one after another; each one's token, which the API has heard the end of."""
    ada, tokens = await stage.somebody(), []
    for _ in range(SESSIONS_PER_USER + 8):
        signed_in = await stage.login(ada)
        tokens.append(str(signed_in.tokens["access_token"]))
        await stage.services.sessions.end(signed_in.session_id, "ended", Origin())
        await api.update()
    return tokens


async def test_f_s4_a_guard_forgets_the_sessions_that_one_entry_covers(stage: Stage) -> None:
    """Its table stays as small as the log, and every token stays refused."""
    api = Hearing(stage)
    await api.update()
    tokens = await end_many(stage, api)
    assert len(api.known.table) <= 12
    assert all(api.refuses(token) for token in tokens)


async def test_f_s4_strangers_do_not_read_whose_sessions_they_were(ground: dict[str, str]) -> None:
    """An open feed says that tokens ended, not which sessions were one user's."""
    async with open_stage(**ground, feed="open", feed_secret="s" * 32) as stage:
        api = Hearing(stage)
        await api.update()
        await end_many(stage, api)
        assert (
            b"replaces"
            not in jws.parse((await stage.http.get("/revocations")).content, max_size=10**7).payload
        )
