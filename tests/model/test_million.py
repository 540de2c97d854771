"""A log as long as it may get, heard by a guard."""

from __future__ import annotations

import pytest

from tests.guard.stage import FEED_KEY, ISSUER, TOKEN_KEY, Clock, kill
from watchword.guard.knowledge import Knowledge
from watchword.protocol.revocation_list import RevocationList, sign
from watchword.server.store.sql.transaction import LONGEST_LOG

pytestmark = pytest.mark.long


class TestMillion:
    def test_each_of_them_counts_and_all_of_them_go(self) -> None:
        """The first, the last and one between are dead, another lives; when their time is over the table is empty."""
        clock = Clock()
        known = Knowledge(ISSUER, clock=clock.time, monotonic=clock.monotonic)
        known.set_feed_keys([FEED_KEY.public_jwk()])
        known.add_keys([TOKEN_KEY.public_jwk()])
        now = int(clock.wall)
        message = RevocationList(
            iss=ISSUER,
            epoch=1,
            after=0,
            sequence=LONGEST_LOG,
            iat=clock.wall,
            kids=(TOKEN_KEY.kid,),
            entries=tuple(
                kill(number + 1, "session", f"ses_{number}", at=now, exp=now + 900)
                for number in range(LONGEST_LOG)
            ),
        )
        assert known.accept(sign(message, FEED_KEY)) == "fresh"
        assert len(known.table) == LONGEST_LOG
        for number in (0, LONGEST_LOG // 2, LONGEST_LOG - 1):
            assert f"ses_{number}" in known.view.sessions
        assert f"ses_{LONGEST_LOG}" not in known.view.sessions
        clock.forward(1000)
        assert known.sweep() == LONGEST_LOG
        assert len(known.table) == 0
