"""The log stays short and says enough: entries fold, none ends before what it revokes, no fold hits a new token."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from msgspec.structs import replace

from tests.server.store.conformance.exam import CLIENT, ORIGIN, RULES, Case, Exam
from watchword.server.store.records import NewPair, Opened, UserChange

__all__ = ["CASES"]

_MARGIN: Final = 300
"""Seconds by which an entry outlives the newest token it revokes."""


async def f_s4_the_bound_counts_entries(exam: Exam) -> None:
    """One user who ends their sessions again and again moves the sequence, and adds nothing that lasts."""
    await exam.ring()
    ada, bob = await exam.user(), await exam.user()
    await exam.store.users.log_out_everywhere(bob.id, "logout", ORIGIN)
    base = (await exam.store.revocations.head()).base
    for _ in range(exam.longest_log + 20):
        await exam.store.users.log_out_everywhere(ada.id, "logout", ORIGIN)
    head, entries = await exam.store.revocations.since(0)
    assert (head.base, await exam.events("issuer.braked")) == (base, [])
    assert [(entry.kind, entry.id) for entry in entries] == [("key", ""), ("user", bob.id), ("user", ada.id)]


async def f_s4_an_entry_of_a_user_takes_the_place_of_what_it_outbids(exam: Exam) -> None:
    """Their earlier entries, those of their sessions and of these sessions' tokens; other people's stay."""
    revocations, sessions = exam.store.revocations, exam.store.sessions
    ada, bob = await exam.user(), await exam.user()
    over = exam.clock.now() + timedelta(minutes=5)
    for user in (ada, bob):
        ended, living = await exam.session(user), await exam.session(user)
        await sessions.end(ended, "logout", ORIGIN)
        await revocations.revoke_token(f"token of {user.id}", living, over, ORIGIN)
    await exam.store.users.log_out_everywhere(ada.id, "logout", ORIGIN)
    await exam.store.users.ban(ada.id, None, None, ORIGIN)
    assert [(entry.kind, entry.id) for entry in await exam.entries()] == [
        ("session", ended),
        ("token", f"token of {bob.id}"),
        ("user", ada.id),
    ]
    await exam.store.users.delete(bob.id, ORIGIN)
    assert [(entry.kind, entry.id) for entry in await exam.entries()] == [("user", ada.id), ("user", bob.id)]


async def f_s4_what_a_session_is_spared_is_not_more_than_before(exam: Exam) -> None:
    """An entry that excepts a session leaves the highest one that does not: it may revoke older tokens of it."""
    ada = await exam.user()
    rules = replace(RULES, maximum_per_user=100)
    kept = await exam.session(ada, rules)
    for session in [await exam.session(ada, rules) for _ in range(33)]:
        await exam.store.sessions.end(session, "logout", ORIGIN)
    (fold,) = await exam.entries("user")
    for _ in range(3):
        await exam.store.users.log_out_everywhere(ada.id, "logout", ORIGIN, keep_session=kept)
    older, newest = await exam.entries("user")
    assert (older.below, older.excepted) == (fold.below, "")
    assert (newest.below > fold.below, newest.excepted) == (True, kept)
    await exam.store.users.log_out_everywhere(ada.id, "logout", ORIGIN)
    assert len(await exam.entries("user")) == 1


async def f_n12_a_login_that_ends_another_session_keeps_its_own_token(exam: Exam) -> None:
    """The 33rd end folds into an entry for the user: the token of this very login bears a version above it."""
    rules = replace(RULES, maximum_per_user=1)
    for pair in (None, NewPair(jti="pair", life=timedelta(minutes=10))):
        ada, folds = await exam.user(), 0
        for number in range(70):
            given = None if pair is None else replace(pair, jti=f"pair-{number}")
            opened = await exam.store.sessions.open(exam.new_session(ada, pair=given), rules, ORIGIN)
            assert isinstance(opened, Opened)
            entries = [entry for entry in await exam.entries("user") if entry.id == ada.id]
            folds = max(folds, len(entries))
            assert all(entry.below <= opened.live.user.version for entry in entries)
        assert folds == 1


async def f_n8_an_entry_outlives_tokens_made_while_a_clock_was_ahead(exam: Exam) -> None:
    """Whatever revokes them: they are not valid yet when it is written, and must not be when their time comes."""
    store = exam.store
    await exam.ring()
    people = [await exam.user() for _ in range(5)]
    exam.clock.forward(hours=1)
    rules = replace(RULES, maximum_per_user=100)
    sessions = [await exam.session(user, rules) for user in people]
    many = [await exam.session(people[4], rules) for _ in range(33)]
    over = exam.clock.now() + RULES.access_lifetime
    exam.clock.forward(hours=-1)
    await store.sessions.end(sessions[0], "logout", ORIGIN)
    await store.users.ban(people[1].id, None, None, ORIGIN)
    await store.users.update(people[2].id, UserChange(roles=("user", "admin")), ORIGIN)
    await store.revocations.revoke_token("token", sessions[3], over, ORIGIN)
    for session in many:
        await store.sessions.end(session, "logout", ORIGIN)
    await store.clients.disable(CLIENT, ORIGIN)
    entries = [entry for entry in await exam.entries() if entry.kind != "key"]
    assert {entry.kind for entry in entries} == {"session", "user", "claims", "token", "client"}
    for entry in entries:
        assert entry.exp >= int(over.timestamp()) + _MARGIN, entry
    await store.users.delete(people[1].id, ORIGIN)
    deleted = (await exam.entries("user"))[-1]
    assert deleted.exp >= int(over.timestamp()) + _MARGIN


async def f_n8_time_in_the_head_never_runs_backward(exam: Exam) -> None:
    """What is issued after a clock was set back is issued at the log's time, until everything is revoked."""
    await exam.ring()
    ada = await exam.user()
    exam.clock.forward(hours=1)
    ahead = exam.clock.ms
    await exam.store.users.log_out_everywhere(ada.id, "logout", ORIGIN)
    exam.clock.forward(hours=-1)
    await exam.store.users.log_out_everywhere(ada.id, "logout", ORIGIN)
    assert (await exam.store.revocations.head()).clock_ms == ahead
    found = await exam.store.users.get(ada.id)
    assert found is not None
    opened = await exam.store.sessions.open(exam.new_session(found), RULES, ORIGIN)
    assert isinstance(opened, Opened)
    assert opened.live.clock_ms == ahead
    await exam.store.sessions.end(opened.live.session.id, "logout", ORIGIN)
    (entry,) = await exam.entries("session")
    assert entry.exp * 1000 >= ahead + RULES.access_lifetime // timedelta(milliseconds=1) + _MARGIN * 1000
    await exam.store.revocations.brake(ORIGIN)
    assert (await exam.store.revocations.head()).clock_ms == exam.clock.ms


CASES: Final[tuple[Case, ...]] = (
    f_s4_the_bound_counts_entries,
    f_s4_an_entry_of_a_user_takes_the_place_of_what_it_outbids,
    f_s4_what_a_session_is_spared_is_not_more_than_before,
    f_n12_a_login_that_ends_another_session_keeps_its_own_token,
    f_n8_an_entry_outlives_tokens_made_while_a_clock_was_ahead,
    f_n8_time_in_the_head_never_runs_backward,
)
