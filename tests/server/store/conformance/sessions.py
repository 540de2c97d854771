"""Sessions: opened, listed, ended, swept. What becomes of their refresh tokens stands in ``refresh``."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from msgspec.structs import replace

from tests.server.store.conformance.exam import CLIENT, ORIGIN, RULES, Case, Exam, secret_of
from watchword.server.store.records import Live, NewPair, Opened, Refused

__all__ = ["CASES"]

TWO_A_USER: Final = replace(RULES, maximum_per_user=2)


async def a_session_opens_with_every_fact_its_tokens_rest_on(exam: Exam) -> None:
    """User, client, roles' scope, API and active key as they are now; the user's last log-in is now."""
    await exam.ring()
    await exam.store.roles.set("payer", ("pay", "see"), ORIGIN)
    await exam.store.apis.add("api", ("pay",), ORIGIN)
    ada = await exam.user("payer")
    asked = exam.new_session(ada, scope=("pay",), amr=("pwd", "otp"), device="laptop")
    opened = await exam.store.sessions.open(asked, RULES, ORIGIN)
    assert isinstance(opened, Opened)
    live, session = opened.live, opened.live.session
    assert live.user.last_login_at == exam.clock.now()
    assert replace(live.user, last_login_at=None) == ada
    assert (live.client.id, live.client.disabled) == (CLIENT, False)
    assert live.granted == ("profile", "email", "pay", "see")
    assert (live.api_scope, live.kid) == (("pay",), "k1")
    assert live.epoch == (await exam.store.revocations.head()).epoch
    assert (session.counter, session.version, session.scope) == (0, ada.version, ("pay",))
    assert (session.amr, session.device, session.address) == (("pwd", "otp"), "laptop", "192.0.2.1")
    assert session.expires_at == exam.clock.now() + RULES.lifetime
    assert session.idle_expires_at == exam.clock.now() + RULES.idle
    assert await exam.store.sessions.live(session.id) == live
    assert await exam.store.sessions.get(session.id) == session
    assert opened.evicted == ()
    (event,) = await exam.events("session.opened")
    assert (event.user_id, event.session_id, event.client_id) == (ada.id, session.id, CLIENT)


async def an_api_without_a_list_takes_any_scope(exam: Exam) -> None:
    """One of several audiences that knows no scope of its own lifts the bound; so does an unknown one."""
    await exam.store.apis.add("narrow", ("a", "b"), ORIGIN)
    await exam.store.apis.add("other", ("b", "c"), ORIGIN)
    await exam.store.apis.add("wide", (), ORIGIN)
    ada = await exam.user()
    for audience, scope in (
        (("narrow",), ("a", "b")),
        (("narrow", "other"), ("a", "b", "c")),
        (("narrow", "wide"), ()),
        (("nobody",), ()),
    ):
        live = await exam.store.sessions.live(await exam.session(ada, audience=audience))
        assert isinstance(live, Live)
        assert live.api_scope == scope


async def who_may_not_log_in_opens_nothing(exam: Exam) -> None:
    """An unknown user, a banned one, a password read below the floor, a client that is not there."""
    ada, bob = await exam.user(), await exam.user()
    await exam.store.users.ban(bob.id, None, None, ORIGIN)
    await exam.store.users.log_out_everywhere(ada.id, "logout", ORIGIN)
    fresh = await exam.store.users.get(ada.id)
    assert fresh is not None
    for asked, reason in (
        (exam.new_session(replace(ada, id="usr_nobody")), "unknown"),
        (exam.new_session(bob), "banned"),
        (exam.new_session(ada), "below_floor"),
        (exam.new_session(fresh, client_id="cli_nobody"), "client_disabled"),
    ):
        assert await exam.store.sessions.open(asked, RULES, ORIGIN) == Refused(reason=reason)  # type: ignore[arg-type]
        assert await exam.store.sessions.get(asked.id) is None
    assert not await exam.events("session.opened")


async def the_least_recently_used_makes_room(exam: Exam) -> None:
    """Beyond the maximum it ends, with its entry and its events, in the transaction of the new one."""
    ada = await exam.user()
    first = await exam.session(ada, TWO_A_USER)
    exam.clock.forward(seconds=1)
    second = await exam.session(ada, TWO_A_USER)
    exam.clock.forward(seconds=1)
    await exam.counter(first, 0)
    opened = await exam.store.sessions.open(exam.new_session(ada), TWO_A_USER, ORIGIN)
    assert isinstance(opened, Opened)
    assert opened.evicted == (second,)
    assert await exam.why_dead(second) == "ended"
    row = await exam.store.sessions.get(second)
    assert row is not None
    assert row.end_reason == "evicted"
    (entry,) = await exam.entries()
    assert (entry.kind, entry.id) == ("session", second)
    assert [event.session_id for event in await exam.events("session.evicted")] == [second]
    assert [session.id for session in await exam.store.sessions.list(ada.id)] == [
        opened.live.session.id,
        first,
    ]


async def a_lower_maximum_trims_all_at_once(exam: Exam) -> None:
    """Who may have one session has one after the next log-in, however many there were."""
    ada = await exam.user()
    old = [await exam.session(ada) for _ in range(4)]
    await exam.session(ada, replace(RULES, maximum_per_user=1))
    assert [await exam.is_alive(session) for session in old] == [False] * 4
    assert len(await exam.store.sessions.list(ada.id)) == 1


async def a_session_that_is_over_takes_no_room(exam: Exam) -> None:
    """Idle and expired ones do not count, so that nobody is evicted for them."""
    ada = await exam.user()
    await exam.session(ada, replace(TWO_A_USER, idle=timedelta(minutes=20)))
    kept = await exam.session(ada, TWO_A_USER)
    exam.clock.forward(minutes=20)
    opened = await exam.store.sessions.open(exam.new_session(ada), TWO_A_USER, ORIGIN)
    assert isinstance(opened, Opened)
    assert opened.evicted == ()
    assert await exam.is_alive(kept)


async def the_list_shows_the_living(exam: Exam) -> None:
    """Most recently used first; without those ended, idle, expired, or somebody else's."""
    ada, bob = await exam.user(), await exam.user()
    ended, idle = await exam.session(ada), await exam.session(ada, replace(RULES, idle=timedelta(minutes=1)))
    expired = await exam.session(ada, replace(RULES, lifetime=timedelta(minutes=1)))
    one, two = await exam.session(ada), await exam.session(ada)
    foreign = await exam.session(bob)
    await exam.store.sessions.end(ended, "logout", ORIGIN)
    exam.clock.forward(minutes=1)
    await exam.counter(one, 0)
    assert [session.id for session in await exam.store.sessions.list(ada.id)] == [one, two]
    assert [session.id for session in await exam.store.sessions.list(bob.id)] == [foreign]
    assert [await exam.why_dead(session) for session in (ended, idle, expired)] == [
        "ended",
        "idle",
        "expired",
    ]
    assert not await exam.store.sessions.list("usr_nobody")


async def one_session_ends_once(exam: Exam) -> None:
    """With entry and event; the second call finds nothing, nor does somebody who is not its owner."""
    ada, bob = await exam.user(), await exam.user()
    session = await exam.session(ada)
    sessions = exam.store.sessions
    assert await sessions.end(session, "logout", ORIGIN, user_id=bob.id) is None
    assert await exam.is_alive(session)
    ended = await sessions.end(session, "logout", ORIGIN, user_id=ada.id)
    assert ended is not None
    assert (ended.ended_at, ended.end_reason) == (exam.clock.now(), "logout")
    assert await sessions.end(session, "again", ORIGIN) is None
    assert await sessions.end("ses_nobody", "logout", ORIGIN) is None
    assert [(entry.kind, entry.id) for entry in await exam.entries()] == [("session", session)]
    (event,) = await exam.events("session.ended")
    assert event.detail == {"reason": "logout"}
    assert await exam.why_dead("ses_nobody") == "unknown"


async def with_its_newest_token_expired_it_needs_no_entry(exam: Exam) -> None:
    """An entry stands only where a token could still be alive, leeway and wrong clocks counted in, idle or not."""
    ada = await exam.user()
    quiet, fresh = await exam.session(ada), await exam.session(ada)
    short = await exam.session(ada, replace(RULES, idle=timedelta(minutes=1)))
    exam.clock.forward(minutes=74, seconds=59)
    await exam.counter(fresh, 0)
    assert await exam.store.sessions.end(short, "logout", ORIGIN) is not None
    exam.clock.forward(seconds=1)
    for session in (quiet, fresh):
        await exam.store.sessions.end(session, "logout", ORIGIN)
    assert [entry.id for entry in await exam.entries()] == [short, fresh]
    gone = await exam.session(ada, replace(RULES, idle=timedelta(minutes=75)))
    exam.clock.forward(minutes=75)
    assert await exam.store.sessions.end(gone, "logout", ORIGIN) is None


async def many_ended_sessions_fold_into_their_user(exam: Exam) -> None:
    """The thirty-third entry in a row kills all older tokens of the user by one, and none of his other sessions."""
    ada = await exam.user()
    sessions = [await exam.session(ada, replace(RULES, maximum_per_user=100)) for _ in range(34)]
    for session in sessions[:33]:
        await exam.store.sessions.end(session, "logout", ORIGIN)
    (entry,) = await exam.entries()
    found = await exam.store.users.get(ada.id)
    assert found is not None
    assert (entry.kind, entry.id, entry.below) == ("user", ada.id, found.version)
    assert found.floor == ada.floor
    assert await exam.counter(sessions[33], 0) == 1


async def what_killed_the_user_killed_the_session(exam: Exam) -> None:
    """A session below the floor is refused, and a banned or deleted user's is gone."""
    ada, bob = await exam.user(), await exam.user()
    theirs = [await exam.session(user) for user in (ada, bob)]
    await exam.store.users.ban(ada.id, None, None, ORIGIN)
    await exam.store.users.delete(bob.id, ORIGIN)
    assert [await exam.why_dead(session) for session in theirs] == ["ended", "unknown"]
    late = await exam.store.sessions.open(exam.new_session(bob), RULES, ORIGIN)
    assert late == Refused(reason="unknown")


async def sessions_long_over_are_swept(exam: Exam) -> None:
    """After the retention, a few at a time, and never a living one."""
    ada = await exam.user()
    ended = [await exam.session(ada) for _ in range(3)]
    idle = await exam.session(ada, replace(RULES, idle=timedelta(days=1)))
    living = await exam.session(ada, replace(RULES, idle=timedelta(days=100)))
    for session in ended:
        await exam.store.sessions.end(session, "logout", ORIGIN)

    async def swept() -> int:
        before = exam.clock.now() - timedelta(days=30)
        return sum([await exam.store.sessions.sweep(before, 2) for _ in range(4)])

    exam.clock.forward(days=30)
    assert await swept() == 0
    exam.clock.forward(seconds=1)
    assert await swept() == 3
    exam.clock.forward(days=1)
    assert await swept() == 1
    assert await exam.store.sessions.get(idle) is None
    assert await exam.is_alive(living)


async def a_session_shows_no_secret(exam: Exam) -> None:
    """What is about to open keeps its digest to itself in print."""
    asked = exam.new_session(await exam.user())
    assert asked.secret_digest == secret_of(asked.id)
    assert "digest" not in repr(asked)


async def one_basic_pair_lives(exam: Exam) -> None:
    """The next pair kills the one before; a session that replaces too many has to wait; a dead one gets none."""
    sessions, ada = exam.store.sessions, await exam.user()
    session = await exam.session(ada)
    for n in range(9):
        assert isinstance(await sessions.give_pair(session, _pair(f"pair-{n}"), ORIGIN), Live)
    assert await _dead_tokens(exam) == [f"pair-{n}" for n in range(8)]
    crowded = await sessions.give_pair(session, _pair("pair-9"), ORIGIN)
    assert crowded == Refused(reason="crowded")
    other = await exam.session(ada)
    assert isinstance(await sessions.give_pair(other, _pair("other"), ORIGIN), Live)
    assert await sessions.end(session, "logged_out", ORIGIN) is not None
    ended = await sessions.give_pair(session, _pair("pair-10"), ORIGIN)
    assert ended == Refused(reason="ended")
    assert await sessions.give_pair("ses_none", _pair("x"), ORIGIN) == Refused(reason="unknown")


async def a_session_may_begin_with_a_basic_pair(exam: Exam) -> None:
    """Both are there at once, and the next pair takes the place of that one, too; where one is refused both are."""
    ada = await exam.user()
    session = await exam.session(ada, pair=_pair("first"))
    given = [(event.user_id, event.session_id) for event in await exam.events("basic_pair.given")]
    assert given == [(ada.id, session)]
    assert isinstance(await exam.store.sessions.give_pair(session, _pair("second"), ORIGIN), Live)
    assert await _dead_tokens(exam) == ["first"]
    await exam.store.users.ban(ada.id, None, None, ORIGIN)
    asked = exam.new_session(ada, pair=_pair("third"))
    assert await exam.store.sessions.open(asked, RULES, ORIGIN) == Refused(reason="banned")
    assert len(await exam.events("basic_pair.given")) == 2


def _pair(jti: str) -> NewPair:
    return NewPair(jti=jti, life=timedelta(minutes=20))


async def _dead_tokens(exam: Exam) -> list[str]:
    _, entries = await exam.store.revocations.since(0, 100)
    return [entry.id for entry in entries if entry.kind == "token"]


CASES: Final[tuple[Case, ...]] = (
    a_session_opens_with_every_fact_its_tokens_rest_on,
    an_api_without_a_list_takes_any_scope,
    who_may_not_log_in_opens_nothing,
    the_least_recently_used_makes_room,
    a_lower_maximum_trims_all_at_once,
    a_session_that_is_over_takes_no_room,
    the_list_shows_the_living,
    one_session_ends_once,
    with_its_newest_token_expired_it_needs_no_entry,
    many_ended_sessions_fold_into_their_user,
    what_killed_the_user_killed_the_session,
    sessions_long_over_are_swept,
    one_basic_pair_lives,
    a_session_may_begin_with_a_basic_pair,
    a_session_shows_no_secret,
)
