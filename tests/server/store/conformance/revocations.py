"""The log of what died: whole, in order, bounded, and no older than it must be."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from tests.server.store.conformance.exam import CLIENT, ORIGIN, RULES, Case, Exam, refused, secret_of
from watchword.errors import EmailTaken
from watchword.server.store.records import Advanced, Live, PresentedRefreshToken, UserChange

__all__ = ["CASES"]


async def the_head_stands_at_the_start(exam: Exam) -> None:
    """An epoch that no earlier database had, an empty log, ten minutes."""
    head = await exam.store.revocations.head()
    assert (head.sequence, head.base, head.longest_life, head.kids) == (0, 0, timedelta(minutes=10), ())
    assert head.epoch == exam.clock.ms
    assert await exam.store.revocations.since(0) == (head, [])


async def sequence_has_no_holes(exam: Exam) -> None:
    """One more for each entry; an intention that is refused, or kills nothing, takes no number."""
    ada, bob = await exam.user(), await exam.user()
    await exam.store.users.ban(ada.id, None, None, ORIGIN)
    change = UserChange(email=ada.email, email_key=ada.email, roles=("user", "admin"))
    await refused(EmailTaken, exam.store.users.update(bob.id, change, ORIGIN))
    await exam.store.users.ban(ada.id, "again", None, ORIGIN)
    await exam.store.users.delete("usr_nobody", ORIGIN)
    await exam.store.users.update(bob.id, UserChange(roles=()), ORIGIN)
    await exam.store.users.delete(bob.id, ORIGIN)
    head, entries = await exam.store.revocations.since(0)
    assert [entry.sequence for entry in entries] == [1, 2, 3]
    assert head.sequence == 3


async def a_reader_goes_on_where_it_was(exam: Exam) -> None:
    """Entries past a cursor, no more than asked for, and none past the end."""
    for _ in range(5):
        await exam.store.users.delete((await exam.user()).id, ORIGIN)
    since = exam.store.revocations.since
    for after, limit, found in (
        (0, 100, [1, 2, 3, 4, 5]),
        (3, 100, [4, 5]),
        (1, 2, [2, 3]),
        (5, 9, []),
        (99, 9, []),
    ):
        head, entries = await since(after, limit)
        assert ([entry.sequence for entry in entries], head.sequence) == (found, 5)


async def many_entries_come_as_one(exam: Exam) -> None:
    """A reader far behind gets the same, whichever way a long read is carried out."""
    for number in range(300):
        await exam.store.revocations.revoke_token(f"t{number}", None, _soon(exam), ORIGIN)
    head, entries = await exam.store.revocations.since(0)
    assert [entry.sequence for entry in entries] == list(range(1, 301))
    assert head.sequence == 300


async def one_token_dies_once(exam: Exam) -> None:
    """With an entry and an event; again, or after its end, or with its session, it costs nothing."""
    ada = await exam.user()
    session = await exam.session(ada)
    revoke = exam.store.revocations.revoke_token
    for _ in range(2):
        await revoke("t1", session, _soon(exam), ORIGIN)
    await revoke("t2", session, exam.clock.now() - timedelta(minutes=65, seconds=1), ORIGIN)
    await revoke("t3", None, _soon(exam), ORIGIN)
    await exam.store.sessions.end(session, "logout", ORIGIN)
    await revoke("t4", session, _soon(exam), ORIGIN)
    assert [(entry.kind, entry.id) for entry in await exam.entries()] == [
        ("token", "t1"),
        ("token", "t3"),
        ("session", session),
    ]
    assert [event.detail["jti"] for event in await exam.events("token.revoked")] == ["t3", "t1"]


async def many_tokens_fold_into_their_session(exam: Exam) -> None:
    """The ninth ends the session, whose one entry takes the place of the eight; another session's stay."""
    ada = await exam.user()
    session, other = await exam.session(ada), await exam.session(ada)
    revoke = exam.store.revocations.revoke_token
    await revoke("other", other, _soon(exam), ORIGIN)
    for number in range(8):
        await revoke(f"t{number}", session, _soon(exam), ORIGIN)
    assert await exam.is_alive(session)
    await revoke("t8", session, _soon(exam), ORIGIN)
    assert await exam.why_dead(session) == "ended"
    assert [(entry.kind, entry.id) for entry in await exam.entries()] == [
        ("token", "other"),
        ("session", session),
    ]
    assert await exam.is_alive(other)


async def past_the_bound_everything_folds_into_the_brake(exam: Exam) -> None:
    """Loudly: one entry below which every token is dead. Sessions live, and refresh above it."""
    await exam.ring()
    ada = await exam.user()
    session = await exam.session(ada)
    for number in range(exam.longest_log + 1):
        await exam.store.revocations.revoke_token(f"t{number}", None, _soon(exam), ORIGIN)
    head, entries = await exam.store.revocations.since(0)
    assert [entry.kind for entry in entries] == ["key", "issuer"]
    brake = entries[-1]
    assert brake.below == head.base > ada.version
    assert brake.sequence == head.sequence
    (event,) = await exam.events("issuer.braked")
    assert event.detail == {"below": head.base}
    live = await exam.store.sessions.live(session)
    assert isinstance(live, Live)
    assert min(live.user.version, live.client.version) >= head.base
    newcomer = await exam.user()
    assert newcomer.version >= head.base


async def an_entry_outlives_every_token(exam: Exam) -> None:
    """The longest life and five minutes; then it is swept, a few at a time. What concerns keys stays."""
    await exam.ring()
    await exam.store.revocations.set_longest_life(timedelta(hours=1))
    for number in range(3):
        await exam.store.revocations.revoke_token(f"t{number}", None, _soon(exam), ORIGIN)
    over = int(exam.clock.now().timestamp()) + 3900
    assert [entry.exp for entry in await exam.entries("token")] == [over] * 3
    exam.clock.forward(minutes=64, seconds=59)
    sweep = exam.store.revocations.sweep
    assert await sweep(10) == 0
    exam.clock.forward(seconds=1)
    assert [await sweep(2), await sweep(2), await sweep(2)] == [2, 1, 0]
    assert [entry.kind for entry in await exam.entries()] == ["key"]


async def the_longest_life_rises_at_once_and_falls_late(exam: Exam) -> None:
    """Down only when the tokens of the old length are gone; a second thought counts from then."""
    revocations = exam.store.revocations

    async def life() -> int:
        return int((await revocations.head()).longest_life.total_seconds() // 60)

    await revocations.set_longest_life(timedelta(hours=1))
    assert await life() == 60
    await revocations.set_longest_life(timedelta(minutes=5))
    exam.clock.forward(minutes=59)
    await revocations.sweep(10)
    await revocations.set_longest_life(timedelta(minutes=5))
    assert await life() == 60
    exam.clock.forward(minutes=1)
    await revocations.set_longest_life(timedelta(minutes=5))
    assert await life() == 5
    await revocations.set_longest_life(timedelta(hours=1))
    await revocations.set_longest_life(timedelta(minutes=5))
    await revocations.set_longest_life(timedelta(hours=1))
    exam.clock.forward(hours=2)
    await revocations.sweep(10)
    assert await life() == 60
    await revocations.set_longest_life(timedelta(minutes=7))
    exam.clock.forward(hours=1)
    await revocations.sweep(10)
    assert await life() == 7


async def a_watcher_is_woken(exam: Exam) -> None:
    """By a commit of any node, perhaps not only then; what it then reads is there."""
    for number in range(len(exam.stores)):
        watcher = exam.store.revocations.watch()
        woken = asyncio.ensure_future(anext(watcher))
        await asyncio.sleep(0)
        before = (await exam.store.revocations.head()).sequence
        await exam.node(number).revocations.revoke_token(f"t{number}", None, _soon(exam), ORIGIN)
        async with asyncio.timeout(10):
            await woken
            while (await exam.store.revocations.head()).sequence == before:
                await anext(watcher)
        await watcher.aclose()  # type: ignore[attr-defined]


async def a_fold_kills_what_it_replaced(exam: Exam) -> None:
    """The entry for the user is above every version a token of the ended sessions can bear."""
    ada = await exam.user()
    rules = replace(RULES, maximum_per_user=100)
    sessions = [await exam.session(ada, rules) for _ in range(33)]
    highest = 0
    for session in sessions:
        live = await exam.store.sessions.live(session)
        assert isinstance(live, Live)
        highest = max(highest, live.user.version)
    for session in sessions:
        await exam.store.sessions.end(session, "logout", ORIGIN)
    (entry,) = await exam.entries("user")
    assert entry.below > highest


async def the_brake_may_be_pulled(exam: Exam) -> None:
    """Every token dies by one entry, which takes the place of all but the keys'; sessions go on above it."""
    await exam.ring()
    ada = await exam.user()
    session, dead = await exam.session(ada), await exam.session(ada)
    await exam.store.sessions.end(dead, "logout", ORIGIN)
    await exam.store.revocations.brake(ORIGIN)
    head = await exam.store.revocations.head()
    assert [entry.kind for entry in await exam.entries()] == ["key", "issuer"]
    assert head.base > ada.version
    assert await exam.counter(session, 0) == 1


async def a_restored_store_opens_a_new_epoch(exam: Exam) -> None:
    """Above everything that was seen; tokens and keys die, sessions too unless they are kept; one caller does it."""
    await exam.ring()
    ada = await exam.user()
    for keep in (True, False):
        session = await exam.session(ada)
        before = await exam.store.revocations.head()
        old = PresentedRefreshToken(
            session_id=session, epoch=before.epoch, counter=0, secret_digest=secret_of(session)
        )
        seen = (before.epoch + 5, before.sequence + 50)
        fresh = (exam.key(f"{keep}1", "active"), exam.key(f"{keep}2"))
        opened = [
            await exam.node(n).revocations.open_epoch(seen, fresh, ORIGIN, keep_sessions=keep)
            for n in range(2)
        ]
        assert opened == [True, False]
        head = await exam.store.revocations.head()
        assert head.epoch > seen[0]
        assert head.sequence > seen[1]
        assert head.base > before.base
        assert head.kids == (f"{keep}1", f"{keep}2")
        assert [entry.kind for entry in await exam.entries()] == ["key", "issuer"]
        outcome = await exam.store.sessions.advance(old, CLIENT, RULES, ORIGIN)
        assert isinstance(outcome, Advanced) == keep
        assert await exam.is_alive(session) == keep


def _soon(exam: Exam) -> datetime:
    return exam.clock.now() + timedelta(minutes=5)


CASES: Final[tuple[Case, ...]] = (
    the_head_stands_at_the_start,
    sequence_has_no_holes,
    a_reader_goes_on_where_it_was,
    many_entries_come_as_one,
    one_token_dies_once,
    many_tokens_fold_into_their_session,
    past_the_bound_everything_folds_into_the_brake,
    an_entry_outlives_every_token,
    the_longest_life_rises_at_once_and_falls_late,
    a_watcher_is_woken,
    a_fold_kills_what_it_replaced,
    the_brake_may_be_pulled,
    a_restored_store_opens_a_new_epoch,
)
