"""The table of what is dead: any order, any repetition, the same verdicts; death by both clocks."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.guard.stage import Clock, kill, mint
from tests.guard.test_knowledge import Ear
from watchword import InvalidToken
from watchword.guard.revocations import Table
from watchword.protocol.revocation_list import Entry

IDS = ("a", "b")
SESSIONS = ("", "s1", "s2", "s3")

entries = st.builds(
    lambda kind, name, below, excepted, sequence: kill(
        sequence,
        kind,
        name,
        below=below,
        excepted=excepted,
        at=100,
        exp=100 + 600,
        claims={"roles": [str(sequence)]},
    ),
    st.sampled_from(["session", "token", "user", "client", "claims", "issuer"]),
    st.sampled_from(IDS),
    st.integers(0, 6),
    st.sampled_from(SESSIONS),
    st.integers(1, 50),
)


def table(*merged: Entry, clock: Clock | None = None) -> Table:
    clock = clock or Clock()
    found = Table(clock=clock.time, monotonic=clock.monotonic)
    for entry in merged:
        found.merge(entry)
    return found


def verdicts(found: Table) -> list[object]:
    """Everything that can be asked of a table."""
    said: list[object] = [sorted(found.sessions), sorted(found.tokens), found.base]
    for kills in (found.users, found.clients):
        said.extend(
            name in kills and kills[name].hits(version, session)
            for name in IDS
            for version in range(8)
            for session in (None, "s1", "s2", "s3")
        )
    for name in IDS:
        overlay = found.overlays.get(name)
        said.append(overlay and (overlay.below, overlay.sequence, overlay.claims))
    return said


def by_definition(merged: list[Entry], kind: str, id: str, version: int, session: str | None) -> bool:
    """A token is dead when any one kill hits it: nothing folded, nothing remembered."""
    return any(
        entry.kind == kind and entry.id == id and version < entry.below and (entry.excepted or 0) != session
        for entry in merged
    )


class TestMerge:
    @settings(max_examples=150, deadline=None)
    @given(
        st.lists(entries, max_size=12).flatmap(
            lambda found: st.tuples(st.just(found), st.permutations(found))
        )
    )
    def test_order_and_repetition_make_no_difference(self, two: tuple[list[Entry], list[Entry]]) -> None:
        """Lost and come again, doubled, reordered: the same verdicts."""
        first, second = two
        assert verdicts(table(*first)) == verdicts(table(*second, *first))

    @settings(max_examples=150, deadline=None)
    @given(st.lists(entries, max_size=12))
    def test_kills_add_up(self, merged: list[Entry]) -> None:
        """The folded kills say exactly what all of them say one by one."""
        found = table(*merged)
        for kind, kills in (("user", found.users), ("client", found.clients)):
            for name in IDS:
                for version in range(8):
                    for session in (None, "s1", "s2", "s3"):
                        expected = by_definition(merged, kind, name, version, session)
                        assert (name in kills and kills[name].hits(version, session)) == expected

    @settings(max_examples=100, deadline=None)
    @given(st.lists(entries, max_size=12))
    def test_what_is_exported_merges_to_the_same(self, merged: list[Entry]) -> None:
        """A snapshot of the table is the table."""
        found = table(*merged)
        assert verdicts(table(*found.entries())) == verdicts(found)

    def test_a_spared_session_survives_its_own_kill_alone(self) -> None:
        """Two changes of password, each in another session: neither session outlives the other's."""
        found = table(
            kill(1, "user", "a", below=5, excepted="s1"), kill(2, "user", "a", below=9, excepted="s2")
        )
        user = found.users["a"]
        assert not user.hits(9, "s1")
        assert user.hits(8, "s1")
        assert user.hits(4, "s2")
        assert not user.hits(5, "s2")
        assert user.hits(8, None)


class TestDeath:
    @pytest.mark.parametrize(("wall", "steady"), [(10_000, 0), (0, 10_000)])
    def test_one_clock_is_not_enough(self, wall: float, steady: float) -> None:
        """A clock set forward by hours frees nobody, nor does one that stands still."""
        clock = Clock()
        now = int(clock.wall)
        found = table(kill(1, "session", "s1", at=now, exp=now + 900), clock=clock)
        clock.wall += wall
        clock.steady += steady
        assert found.sweep() == 0
        assert "s1" in found.sessions

    def test_both_clocks_end_it(self) -> None:
        """Every kind with an end is forgotten; what lasts, lasts."""
        clock = Clock()
        now = int(clock.wall)
        span = {"at": now, "exp": now + 900}
        found = table(
            kill(1, "session", "s1", **span),
            kill(2, "token", "t1", **span),
            kill(3, "user", "a", below=3, **span),
            kill(4, "client", "c", below=3, **span),
            kill(5, "claims", "a", below=4, **span),
            kill(6, "session", "s2"),
            kill(7, "issuer", below=7),
            clock=clock,
        )
        assert len(found) == 6
        clock.forward(899)
        assert found.sweep() == 0
        clock.forward(30)
        assert found.sweep() == 5
        assert (list(found.sessions), found.base) == (["s2"], 7)

    def test_hearing_of_it_again_does_not_make_it_younger(self) -> None:
        """A snapshot an hour does not keep an entry for ever."""
        clock = Clock()
        now = int(clock.wall)
        entry = kill(1, "session", "s1", at=now, exp=now + 900)
        found = table(entry, clock=clock)
        clock.forward(800)
        found.merge(entry)
        clock.forward(130)
        assert found.sweep() == 1

    def test_a_later_end_wins(self) -> None:
        """Two kills of one user die together, with the later one."""
        clock = Clock()
        now = int(clock.wall)
        found = table(
            kill(1, "user", "a", below=3, at=now, exp=now + 100),
            kill(2, "user", "a", below=2, at=now, exp=now + 900),
            clock=clock,
        )
        clock.forward(500)
        assert found.sweep() == 0
        assert found.users["a"].hits(2, None)


class TestReplaced:
    def test_f_s4_a_users_entry_drops_the_sessions_it_covers(self) -> None:
        """The table does not grow with each session of one user; their tokens are refused as before."""
        ear = Ear()
        ear.hear(*(kill(n, "session", f"ses_{n}", at=0, exp=int(ear.clock.wall) + 600) for n in (1, 2, 3)))
        token = mint(ear.clock.wall, sid="ses_1", uv=10)
        ear.hear(
            kill(
                4,
                "user",
                "usr_ada",
                below=11,
                at=0,
                exp=int(ear.clock.wall) + 600,
                replaces=("ses_1", "ses_2"),
            )
        )
        assert list(ear.known.table.sessions) == ["ses_3"]
        with pytest.raises(InvalidToken):
            ear.verifier.verify(token)

    def test_f_s4_what_outlives_it_or_is_spared_stays(self) -> None:
        """An entry that is kept longer than the one that covers it, and the session that it spares."""
        ear = Ear()
        end = int(ear.clock.wall) + 600
        ear.hear(
            kill(1, "session", "ses_long", at=0, exp=end + 3600),
            kill(2, "session", "ses_spared", at=0, exp=end),
            kill(3, "session", "ses_for_ever"),
            kill(
                4,
                "user",
                "usr_ada",
                below=11,
                at=0,
                exp=end,
                excepted="ses_spared",
                replaces=("ses_long", "ses_spared", "ses_for_ever", "ses_unknown"),
            ),
        )
        assert set(ear.known.table.sessions) == {"ses_long", "ses_spared", "ses_for_ever"}

    def test_f_s4_in_any_order_nobody_is_pardoned(self) -> None:
        """A session's entry that comes after the one that covers it stays until its time is over."""
        ear = Ear()
        ear.hear(kill(4, "user", "usr_ada", below=11, replaces=("ses_1",)))
        ear.hear(kill(1, "session", "ses_1"), sequence=4)
        assert list(ear.known.table.sessions) == ["ses_1"]
