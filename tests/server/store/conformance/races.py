"""Races: many at once, over every node there is. An outcome answers each, and what was promised still holds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Any, Final

from msgspec.structs import replace

from tests.server.store.conformance.exam import ORIGIN, RULES, Case, Exam
from watchword.errors import EmailTaken, UsernameTaken
from watchword.protocol.revocation_list import Entry
from watchword.server.store.records import Advanced, NewUser, Opened, Refused, Replayed, User, UserChange
from watchword.server.store.store import Store

__all__ = ["CASES"]

AT_ONCE: Final = (2, 3, 5, 8, 16, 32, 64)


async def many_uses_of_one_refresh_token_leave_one_branch(exam: Exam) -> None:
    """One moves on, the others get the same head; the head works, and the session is one (RFC 9700 4.14.2)."""
    ada = await exam.user()
    for number in range(exam.rounds):
        crowd = AT_ONCE[number % len(AT_ONCE)]
        session = await exam.session(ada)
        outcomes = await asyncio.gather(*(exam.advance(session, 0, node=n) for n in range(crowd)))
        heads = [
            (o.facts.session.counter, o.repeated)
            for o in outcomes
            if isinstance(o, Advanced) and o.facts.session
        ]
        assert sorted(heads) == [(1, False)] + [(1, True)] * (crowd - 1)
        assert await exam.counter(session, 1) == 2
        await exam.store.sessions.end(session, "logout", ORIGIN)


async def many_replays_end_one_session_once(exam: Exam) -> None:
    """One tells of the replay, the owner and all the others find it ended; one entry says so."""
    ada = await exam.user()
    for number in range(exam.rounds):
        crowd = AT_ONCE[number % len(AT_ONCE)]
        session = await exam.session(ada)
        await exam.counter(session, 0)
        exam.clock.forward(seconds=10)
        logged = (await exam.store.revocations.head()).sequence
        outcomes = await asyncio.gather(
            *(exam.advance(session, n % 2, node=n // 2) for n in range(crowd)), return_exceptions=True
        )
        assert [o for o in outcomes if isinstance(o, BaseException)] == []
        replayed = [outcome for outcome in outcomes if isinstance(outcome, Replayed)]
        assert [outcome.reason for outcome in replayed] in ([], ["refresh_token_replayed"])
        assert (await exam.why_dead(session)) == "ended"
        assert len(replayed) == 1
        assert (await exam.store.revocations.head()).sequence == logged + 1


async def a_session_that_ends_beside_its_refresh_is_told_of(exam: Exam) -> None:
    """Its last token had long expired; the one that came a moment before the end is no less dead for it."""
    for _ in range(exam.rounds):
        sessions = [await exam.session(await exam.user()) for _ in range(8)]
        exam.clock.forward(hours=3)
        outcomes = await asyncio.gather(
            *(exam.advance(session, 0, node=0) for session in sessions),
            *(exam.node(1).sessions.end(session, "logout", ORIGIN) for session in sessions),
        )
        told = {entry.id for entry in await exam.entries("session")}
        for session, advanced in zip(sessions, outcomes, strict=False):
            assert not isinstance(advanced, Advanced) or session in told
        assert await exam.store.check() == []


async def the_maximum_holds_against_a_crowd(exam: Exam) -> None:
    """Log-ins at once never leave more sessions than allowed."""
    rules = replace(RULES, maximum_per_user=3)
    for _ in range(exam.rounds):
        ada = await exam.user()
        opened = await asyncio.gather(
            *(exam.node(n).sessions.open(exam.new_session(ada), rules, ORIGIN) for n in range(16))
        )
        assert all(isinstance(outcome, Opened) for outcome in opened)
        assert len(await exam.store.sessions.list(ada.id)) == 3


async def no_log_in_survives_a_kill(exam: Exam) -> None:
    """Whatever the order: after a ban, a password change, a deletion nobody who knew the old one is in."""
    kills: tuple[Callable[[Store, str], Awaitable[Any]], ...] = (
        lambda store, user_id: store.users.ban(user_id, None, None, ORIGIN),
        lambda store, user_id: store.users.set_password(user_id, "new", ORIGIN),
        lambda store, user_id: store.users.log_out_everywhere(user_id, "logout", ORIGIN),
        lambda store, user_id: store.users.delete(user_id, ORIGIN),
    )
    for number, kill in enumerate(kills * exam.rounds):
        ada = await exam.user()
        session = await exam.session(ada)
        asked = [exam.new_session(ada) for _ in range(6)]
        acts: list[Awaitable[Any]] = [
            exam.node(n).sessions.open(new, RULES, ORIGIN) for n, new in enumerate(asked)
        ]
        acts += [exam.advance(session, 0, node=n) for n in range(2)]
        acts.insert(number % len(acts), kill(exam.node(number), ada.id))
        outcomes = await asyncio.gather(*acts)
        for id_ in (session, *(new.id for new in asked)):
            assert not await exam.is_alive(id_)
        (entry,) = [entry for entry in await exam.entries("user") if entry.id == ada.id]
        _no_token_outlives(entry, outcomes)


async def a_changed_role_reaches_every_token(exam: Exam) -> None:
    """A token issued beside the change bears an older version than the overlay, or the new roles."""
    await exam.store.roles.set("payer", ("pay",), ORIGIN)
    for _ in range(exam.rounds * 3):
        ada = await exam.user("payer")
        session = await exam.session(ada)
        change = UserChange(roles=("user",))
        outcomes = await asyncio.gather(
            exam.advance(session, 0, node=1),
            exam.node(0).users.update(ada.id, change, ORIGIN),
            exam.node(1).sessions.open(exam.new_session(ada), RULES, ORIGIN),
        )
        (entry,) = [entry for entry in await exam.entries("claims") if entry.id == ada.id]
        for outcome in (outcomes[0], outcomes[2]):
            assert isinstance(outcome, Advanced | Opened)
            shown = outcome.facts
            assert shown.subject.version < entry.below or "pay" not in shown.granted


async def a_narrowed_role_reaches_every_token(exam: Exam) -> None:
    """The same when the role itself loses scope, and for people who are given it meanwhile."""
    for number in range(exam.rounds * 2):
        role = f"payer{number}"
        await exam.store.roles.set(role, ("pay",), ORIGIN)
        ada, bob = await exam.user(role), await exam.user()
        sessions = [await exam.session(user) for user in (ada, bob)]
        outcomes = await asyncio.gather(
            exam.advance(sessions[0], 0, node=1),
            exam.node(0).roles.set(role, (), ORIGIN),
            exam.node(1).users.update(bob.id, UserChange(roles=("user", role)), ORIGIN),
            exam.advance(sessions[1], 0, node=1),
        )
        last = {entry.id: entry for entry in await exam.entries("claims")}
        assert all(
            "pay" not in last[user.id].claims["scope"].split() for user in (ada, bob) if user.id in last
        )
        for outcome in (outcomes[0], outcomes[3]):
            assert isinstance(outcome, Advanced)
            user = outcome.facts.subject
            outdated = user.id in last and user.version < last[user.id].below
            assert outdated or "pay" not in outcome.facts.granted


async def no_session_outlives_its_api(exam: Exam) -> None:
    """Opened or refreshed while the API is deleted: ended with it, or refused."""
    for number in range(exam.rounds):
        api = f"rep{number}"
        await exam.store.apis.add(api, ("profile",), ORIGIN)
        ada, bob = await exam.user(), await exam.user()
        old, new = (
            await exam.session(ada, audience=(api,)),
            exam.new_session(bob, audience=(api,), apis=(api,)),
        )
        opened, advanced, _ = await asyncio.gather(
            exam.node(1).sessions.open(new, RULES, ORIGIN),
            exam.advance(old, 0, node=1),
            exam.node(0).apis.delete(api, ORIGIN),
        )
        assert opened == Refused(reason="api_deleted") or isinstance(opened, Opened)
        for outcome in (opened, advanced):
            if not isinstance(outcome, Refused):
                assert isinstance(outcome, Advanced | Opened)
                assert outcome.facts.api_scope == ("profile",)
        for session in (old, new.id):
            assert await exam.why_dead(session) in ("ended", "unknown")


async def a_name_has_one_owner(exam: Exam) -> None:
    """Of many who register one e-mail or one user name at once, one has it; nobody is half there."""
    for number in range(exam.rounds):
        before = await exam.store.users.count()
        outcomes = await asyncio.gather(
            *(_register(exam, number, n) for n in range(16)), return_exceptions=True
        )
        assert len([outcome for outcome in outcomes if isinstance(outcome, User)]) == 1
        lost = [outcome for outcome in outcomes if not isinstance(outcome, User)]
        assert all(isinstance(outcome, EmailTaken | UsernameTaken) for outcome in lost), lost
        assert await exam.store.users.count() == before + 1


async def _register(exam: Exam, number: int, n: int) -> User:
    email, name = f"r{number}.{n % 2}@example.com", f"r{number}"
    new = NewUser(id=f"usr_r{number}_{n}", email=email, email_key=email, username=name, username_key=name)
    return await exam.node(n).users.add(new, ORIGIN)


async def a_once_only_thing_has_one_winner(exam: Exam) -> None:
    """Fifty at once, one of them."""
    for number in range(exam.rounds):
        digest = f"digest {number}".encode()
        await exam.store.one_time.add(digest, "setup", None, exam.clock.now() + timedelta(minutes=1))
        before = await exam.store.users.count()
        won = await asyncio.gather(
            *(exam.node(n).one_time.spend(digest, "setup", exam.new_user(), ORIGIN) for n in range(50))
        )
        assert len([user for user in won if user is not None]) == 1
        assert await exam.store.users.count() == before + 1


async def a_fact_has_one_value(exam: Exam) -> None:
    """Everybody who brings one learns the one that stands."""
    told = await asyncio.gather(*(exam.node(n).meta.put_new("secret", str(n)) for n in range(16)))
    assert len(set(told)) == 1


async def keys_are_made_and_rotated_once(exam: Exam) -> None:
    """Nodes that start at once make one key of a kind; of two rotations at once one is carried out."""
    await asyncio.gather(
        *(exam.node(n).keys.add(exam.key(f"a{n}", "active"), ORIGIN) for n in range(6)),
        *(exam.node(n).keys.add(exam.key(f"n{n}"), ORIGIN) for n in range(6)),
    )
    for number in range(exam.rounds):
        keys = await exam.store.keys.list()
        states = [key.state for key in keys]
        assert (states.count("active"), states.count("next")) == (1, 1)
        waiting = next(key.kid for key in keys if key.state == "next")
        won = await asyncio.gather(
            *(exam.node(n).keys.activate(waiting, exam.key(f"k{number}.{n}"), ORIGIN) for n in range(6))
        )
        assert sum(won) == 1
        assert len(await exam.entries("key")) == 1
        exam.clock.forward(seconds=1)


async def a_reader_of_the_log_misses_nothing(exam: Exam) -> None:
    """Who goes on from the sequence he was told has read every entry, in whatever order the commits fell."""
    users = [await exam.user() for _ in range(12 * exam.rounds)]
    done = asyncio.Event()

    async def follow(store: Store) -> list[Entry]:
        read: list[Entry] = []
        while True:
            last = done.is_set()
            head, entries = await store.revocations.since(len(read))
            read += entries
            assert [entry.sequence for entry in read] == list(range(1, head.sequence + 1))
            if last:
                return read
            await asyncio.sleep(0)

    readers = [asyncio.ensure_future(follow(store)) for store in exam.stores]
    order = list(enumerate(users))
    random.Random(7).shuffle(order)
    await asyncio.gather(*(_kill(exam, number, user) for number, user in order))
    done.set()
    for read in await asyncio.gather(*readers):
        assert {entry.id for entry in read} == {user.id for user in users}


async def _kill(exam: Exam, number: int, user: User) -> None:
    store = exam.node(number)
    match number % 3:
        case 0:
            await store.users.ban(user.id, None, None, ORIGIN)
        case 1:
            await store.users.delete(user.id, ORIGIN)
        case _:
            await store.users.update(user.id, UserChange(roles=("user", "admin")), ORIGIN)


async def everything_at_once_leaves_nothing_half_done(exam: Exam) -> None:
    """Roles, users, sessions and tokens pulled about from all sides: no fault, no dead lock, a sound store."""
    chance = random.Random(11)
    await exam.ring()
    await exam.user("admin")  # who stays one
    users = [await exam.user("admin") for _ in range(4)]
    sessions = [await exam.session(user) for user in users for _ in range(3)]

    def act(n: int) -> Awaitable[Any]:
        store, user, session = exam.node(n), chance.choice(users), chance.choice(sessions)
        soon = exam.clock.now() + timedelta(minutes=5)
        return chance.choice(
            (
                lambda: exam.advance(session, chance.randrange(3), node=n),
                lambda: store.sessions.open(
                    exam.new_session(user), replace(RULES, maximum_per_user=2), ORIGIN
                ),
                lambda: store.sessions.end(session, "logout", ORIGIN),
                lambda: store.revocations.revoke_token(f"t{n}", session, soon, ORIGIN),
                lambda: store.users.log_out_everywhere(user.id, "logout", ORIGIN, keep_session=session),
                lambda: store.users.update(user.id, UserChange(roles=("user", "admin")[: n % 2 + 1]), ORIGIN),
                lambda: store.roles.set("admin", ("a",) * (n % 3 % 2), ORIGIN),
                lambda: store.keys.compromise(f"k{n}", exam.key(f"k{n}.1"), ORIGIN),
                lambda: store.revocations.sweep(10),
            )
        )()

    for turn in range(exam.rounds * 2):
        outcomes = await asyncio.gather(*(act(turn * 40 + n) for n in range(40)), return_exceptions=True)
        assert [outcome for outcome in outcomes if isinstance(outcome, BaseException)] == []
        assert await exam.store.check() == []


def _no_token_outlives(entry: Entry, outcomes: Iterable[Any]) -> None:
    """Every token that was issued beside the kill bears a version the kill names."""
    for outcome in outcomes:
        if isinstance(outcome, Advanced | Opened):
            assert outcome.facts.subject.version < entry.below
        else:
            assert isinstance(outcome, Refused | User | bool | int)


CASES: Final[tuple[Case, ...]] = (
    many_uses_of_one_refresh_token_leave_one_branch,
    many_replays_end_one_session_once,
    a_session_that_ends_beside_its_refresh_is_told_of,
    the_maximum_holds_against_a_crowd,
    no_log_in_survives_a_kill,
    a_changed_role_reaches_every_token,
    a_narrowed_role_reaches_every_token,
    no_session_outlives_its_api,
    a_name_has_one_owner,
    a_once_only_thing_has_one_winner,
    a_fact_has_one_value,
    keys_are_made_and_rotated_once,
    a_reader_of_the_log_misses_nothing,
    everything_at_once_leaves_nothing_half_done,
)
