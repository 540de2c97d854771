"""What becomes of a refresh token: on, again, or the end of its session (RFC 9700 4.14.2)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from msgspec.structs import replace

from tests.server.store.conformance.exam import CLIENT, ORIGIN, RULES, Case, Exam
from watchword.server.store.records import Advanced, Live, Refused, Replayed, TokenFacts, UserChange

__all__ = ["CASES"]


async def _facts(exam: Exam, session: str) -> TokenFacts:
    """What a token rests on, as it is read by itself."""
    live = await exam.store.sessions.live(session)
    assert isinstance(live, Live)
    return live.facts


async def the_current_counter_moves_on(exam: Exam) -> None:
    """By one, in place; the session was used now and its idle time starts anew, its absolute end stays."""
    session = await exam.session(await exam.user())
    before = await exam.store.sessions.get(session)
    exam.clock.forward(days=1)
    advanced = await exam.advance(session, 0)
    assert isinstance(advanced, Advanced)
    assert not advanced.repeated
    row = await exam.store.sessions.get(session)
    assert advanced.facts == await _facts(exam, session)
    assert before is not None
    assert row is not None
    assert (row.counter, row.last_used_at) == (1, exam.clock.now())
    assert row.idle_expires_at == exam.clock.now() + RULES.idle
    assert row.expires_at == before.expires_at
    assert [await exam.counter(session, counter) for counter in range(1, 9)] == list(range(2, 10))


async def it_reads_every_fact_again(exam: Exam) -> None:
    """Roles, scope, API and key of the next token are those of now."""
    await exam.ring()
    await exam.store.roles.set("payer", ("pay",), ORIGIN)
    ada = await exam.user()
    session = await exam.session(ada)
    changed = await exam.store.users.update(ada.id, UserChange(roles=("payer",)), ORIGIN)
    await exam.store.apis.add("api", ("pay",), ORIGIN)
    await exam.store.keys.activate("k2", exam.key("k3"), ORIGIN)
    advanced = await exam.advance(session, 0)
    assert isinstance(advanced, Advanced)
    facts = advanced.facts
    assert changed is not None
    assert (facts.subject.version, facts.granted, facts.api_scope) == (changed.version, ("pay",), ("pay",))
    assert facts.kid == "k2"
    assert facts == await _facts(exam, session)


async def one_of_the_last_four_within_the_grace_gives_the_head_again(exam: Exam) -> None:
    """Three tabs and a lost answer end no session; both addresses are in the audit log."""
    session = await exam.session(await exam.user())
    for counter in range(5):
        await exam.counter(session, counter)
    exam.clock.forward(seconds=9.999)
    for counter in (4, 3, 2, 1):
        advanced = await exam.advance(session, counter)
        assert isinstance(advanced, Advanced), counter
        assert advanced.repeated
        assert advanced.facts == await _facts(exam, session)
        assert advanced.facts.session is not None
        assert advanced.facts.session.counter == 5
    events = await exam.events("refresh_token.repeated")
    assert [event.detail["behind"] for event in events] == [4, 3, 2, 1]
    assert {(event.address, event.detail["first_address"]) for event in events} == {
        ("192.0.2.1", "192.0.2.1")
    }
    assert await exam.counter(session, 5) == 6


async def the_fifth_before_the_head_is_a_replay(exam: Exam) -> None:
    """However fast: nobody has so many tabs."""
    session = await exam.session(await exam.user())
    for counter in range(5):
        await exam.counter(session, counter)
    await _replayed(exam, session, 0, "refresh_token_replayed")


async def past_the_grace_it_is_a_replay(exam: Exam) -> None:
    """Counted from its first use: a repeat does not prolong it."""
    session = await exam.session(await exam.user())
    await exam.counter(session, 0)
    exam.clock.forward(seconds=6)
    await exam.counter(session, 0)
    exam.clock.forward(seconds=4)
    await _replayed(exam, session, 0, "refresh_token_replayed")


async def without_a_grace_the_second_use_is_a_replay(exam: Exam) -> None:
    """A grace of zero is none."""
    strict = replace(RULES, grace=timedelta(0))
    session = await exam.session(await exam.user())
    await exam.advance(session, 0, rules=strict)
    assert isinstance(await exam.advance(session, 0, rules=strict), Replayed)
    assert await exam.why_dead(session) == "ended"


async def a_clock_set_back_a_little_ends_nothing(exam: Exam) -> None:
    """A spent token of the near future is a repeat; one of the far future is a replay."""
    session = await exam.session(await exam.user())
    await exam.counter(session, 0)
    exam.clock.forward(seconds=-9)
    assert await exam.counter(session, 0) == 1
    exam.clock.forward(seconds=-9)
    await _replayed(exam, session, 0, "refresh_token_replayed")


async def a_counter_ahead_tells_of_a_store_that_was_rolled_back(exam: Exam) -> None:
    """A genuine token the row does not know of: a backup was put back in silence."""
    session = await exam.session(await exam.user())
    await _replayed(exam, session, 1, "store_rolled_back")


async def in_other_hands_it_is_stolen(exam: Exam) -> None:
    """Another client's use ends the session, before anything is spent."""
    session = await exam.session(await exam.user())
    outcome = await exam.advance(session, 0, client_id="cli_other")
    assert outcome == Replayed(session_id=session, reason="refresh_token_stolen")
    assert await exam.why_dead(session) == "ended"
    assert [entry.id for entry in await exam.entries("session")] == [session]


async def a_token_that_is_none_touches_nothing(exam: Exam) -> None:
    """Another secret, an epoch that is over, an unknown session: refused, and the session lives on."""
    session = await exam.session(await exam.user())
    assert await exam.advance(session, 0, secret_digest=bytes(32)) == Refused(reason="unknown")
    assert await exam.advance(session, 0, secret_digest=b"") == Refused(reason="unknown")
    assert await exam.advance(session, 5, secret_digest=bytes(32)) == Refused(reason="unknown")
    assert await exam.advance("ses_nobody", 0) == Refused(reason="unknown")
    assert await exam.advance(session, 0, epoch=-1) == Refused(reason="epoch")
    assert not await exam.entries()
    assert await exam.counter(session, 0) == 1


async def a_dead_session_says_why(exam: Exam) -> None:
    """Ended, expired, idle, banned, below the floor: refused, and not mistaken for a replay."""
    ada, bob, eve = await exam.user(), await exam.user(), await exam.user()
    ended = await exam.session(ada)
    idle = await exam.session(ada, replace(RULES, idle=timedelta(minutes=30)))
    expired = await exam.session(ada, replace(RULES, lifetime=timedelta(minutes=30)))
    banned, everywhere = await exam.session(bob), await exam.session(eve)
    await exam.store.sessions.end(ended, "logout", ORIGIN)
    await exam.store.users.ban(bob.id, None, exam.clock.now() + timedelta(days=1), ORIGIN)
    await exam.store.users.log_out_everywhere(eve.id, "logout", ORIGIN)
    exam.clock.forward(minutes=30)
    logged = len(await exam.entries())
    for session, reason in (
        (ended, "ended"),
        (idle, "idle"),
        (expired, "expired"),
        (banned, "ended"),
        (everywhere, "ended"),
    ):
        for counter in (0, 1):
            assert await exam.advance(session, counter) == Refused(reason=reason)  # type: ignore[arg-type]
    assert len(await exam.entries()) == logged


async def use_keeps_it_alive_to_its_absolute_end(exam: Exam) -> None:
    """Twenty-nine days and again, and not a moment past the lifetime."""
    session = await exam.session(await exam.user())
    for counter in range(6):
        exam.clock.forward(days=29)
        assert await exam.counter(session, counter) == counter + 1
    exam.clock.forward(days=6)
    assert await exam.advance(session, 6) == Refused(reason="expired")


async def a_repeat_s_token_is_remembered_too(exam: Exam) -> None:
    """The token a repeat handed out outlives the first one, so ending the session still needs an entry."""
    session = await exam.session(await exam.user())
    await exam.counter(session, 0)
    exam.clock.forward(seconds=9)
    await exam.counter(session, 0)
    exam.clock.forward(minutes=10, seconds=55)
    await exam.store.sessions.end(session, "logout", ORIGIN)
    assert [entry.id for entry in await exam.entries()] == [session]


async def a_later_epoch_tells_of_a_roll_back_too(exam: Exam) -> None:
    """The token knows of a restore that the row does not: its store was put back to before it."""
    session = await exam.session(await exam.user())
    later = (await exam.store.revocations.head()).epoch + 1
    await _replayed(exam, session, 0, "store_rolled_back", epoch=later)


async def a_disabled_client_rests_its_sessions(exam: Exam) -> None:
    """Nothing is handed out while it is disabled; its tokens are dead for good, its sessions are not."""
    ada = await exam.user()
    session = await exam.session(ada)
    disabled = await exam.store.clients.disable(CLIENT, ORIGIN)
    assert disabled is not None
    assert disabled.version == disabled.floor > 0
    assert await exam.store.clients.disable(CLIENT, ORIGIN) == disabled
    assert await exam.advance(session, 0) == Refused(reason="client_disabled")
    opened = await exam.store.sessions.open(exam.new_session(ada), RULES, ORIGIN)
    assert opened == Refused(reason="client_disabled")
    assert await exam.why_dead(session) == "client_disabled"
    (entry,) = await exam.entries()
    assert (entry.kind, entry.id, entry.below) == ("client", CLIENT, disabled.floor)
    await exam.store.clients.disable(CLIENT, ORIGIN, disabled=False)
    advanced = await exam.advance(session, 0)
    assert isinstance(advanced, Advanced)
    assert advanced.facts.client_version >= entry.below
    assert await exam.store.clients.disable("cli_nobody", ORIGIN) is None


async def _replayed(exam: Exam, session: str, counter: int, reason: str, **members: Any) -> None:
    """That token ends the session, for everybody, in one transaction with its entry and its event."""
    outcome = await exam.advance(session, counter, **members)
    assert outcome == Replayed(session_id=session, reason=reason)  # type: ignore[arg-type]
    row = await exam.store.sessions.get(session)
    assert row is not None
    assert row.end_reason == reason
    assert await exam.advance(session, row.counter) == Refused(reason="ended")
    assert [(entry.kind, entry.id) for entry in await exam.entries()] == [("session", session)]
    (event,) = await exam.events(reason)
    assert event.session_id == session


CASES: Final[tuple[Case, ...]] = (
    the_current_counter_moves_on,
    it_reads_every_fact_again,
    one_of_the_last_four_within_the_grace_gives_the_head_again,
    the_fifth_before_the_head_is_a_replay,
    past_the_grace_it_is_a_replay,
    without_a_grace_the_second_use_is_a_replay,
    a_clock_set_back_a_little_ends_nothing,
    a_counter_ahead_tells_of_a_store_that_was_rolled_back,
    in_other_hands_it_is_stolen,
    a_token_that_is_none_touches_nothing,
    a_dead_session_says_why,
    use_keeps_it_alive_to_its_absolute_end,
    a_repeat_s_token_is_remembered_too,
    a_later_epoch_tells_of_a_roll_back_too,
    a_disabled_client_rests_its_sessions,
)
