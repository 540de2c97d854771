"""Links to choose another password by: whom they are kept for, what kills them, who spends them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from tests.server.store.conformance.exam import ORIGIN, Case, Exam
from watchword.server.store.records import LinkLimit, Origin, User, UserChange

__all__ = ["CASES", "RACES"]

_LIFE: Final = timedelta(minutes=30)
_LIMIT: Final = LinkLimit(links=3, window=timedelta(hours=1))
_ANYBODY: Final = Origin(actor="anonymous", address="192.0.2.7")


async def _offer(exam: Exam, email: str, digest: bytes, limit: LinkLimit = _LIMIT) -> User | None:
    return await exam.store.password_resets.offer(email, digest, _LIFE, limit, _ANYBODY)


async def a_link_replaces_the_password_once(exam: Exam) -> None:
    """Sessions end with an entry, version and floor rise, an event tells; the second use is none; others live."""
    ada, bob, resets = await exam.user(), await exam.user(), exam.store.password_resets
    await resets.grant(bob.id, b"bob's", _LIFE, ORIGIN)
    session = await exam.session(ada)
    offered_to = await _offer(exam, ada.email, b"link")
    assert offered_to is not None
    assert offered_to.id == ada.id
    assert await resets.owner(b"link") == offered_to
    changed = await resets.complete(b"link", "another", ORIGIN)
    assert changed is not None
    assert changed.password_digest == "another"
    assert changed.version == changed.floor > ada.version
    assert await exam.why_dead(session) in ("ended", "below_floor")
    (entry,) = await exam.entries("user")
    assert (entry.id, entry.below) == (ada.id, changed.version)
    assert await resets.owner(b"link") is None
    assert await resets.complete(b"link", "a third", ORIGIN) is None
    assert await exam.store.users.get(ada.id) == changed
    assert [event.user_id for event in await exam.events("user.password_reset")] == [ada.id]
    assert await resets.owner(b"bob's") == bob
    offered, _ = await exam.events("password_reset.offered")
    assert (offered.user_id, offered.actor, offered.address) == (ada.id, "anonymous", "192.0.2.7")


async def no_link_for_nobody(exam: Exam) -> None:
    """An unknown address and a banned user get none; the audit log knows why."""
    ada = await exam.user()
    await exam.store.users.ban(ada.id, None, None, ORIGIN)
    assert await _offer(exam, ada.email, b"banned") is None
    assert await _offer(exam, "nobody@example.com", b"unknown") is None
    assert await exam.store.password_resets.grant(ada.id, b"banned", _LIFE, ORIGIN) is None
    assert await exam.store.password_resets.grant("usr_nobody", b"unknown", _LIFE, ORIGIN) is None
    for digest in (b"banned", b"unknown", b"never"):
        assert await exam.store.password_resets.owner(digest) is None
        assert await exam.store.password_resets.complete(digest, "x", ORIGIN) is None
    refused = [
        (event.user_id, event.detail["reason"]) for event in await exam.events("password_reset.refused")
    ]
    assert refused == [(None, "unknown"), (ada.id, "banned")]


async def the_newest_link_alone_works(exam: Exam) -> None:
    """Whether it was sent or handed over."""
    ada, resets = await exam.user(), exam.store.password_resets
    await _offer(exam, ada.email, b"first")
    await resets.grant(ada.id, b"second", _LIFE, ORIGIN)
    assert await resets.owner(b"first") is None
    assert await resets.owner(b"second") == ada
    await _offer(exam, ada.email, b"third")
    assert await resets.complete(b"second", "x", ORIGIN) is None
    assert await resets.complete(b"third", "x", ORIGIN) is not None


async def a_link_grows_old(exam: Exam) -> None:
    """At the end of its life to the millisecond."""
    ada = await exam.user()
    await _offer(exam, ada.email, b"link")
    exam.clock.forward(minutes=29, seconds=59.999)
    assert await exam.store.password_resets.owner(b"link") is not None
    exam.clock.forward(seconds=0.001)
    assert await exam.store.password_resets.owner(b"link") is None
    assert await exam.store.password_resets.complete(b"link", "x", ORIGIN) is None


async def what_opens_the_account_otherwise_kills_the_link(exam: Exam) -> None:
    """Another password, another address, a ban that is over, the end of the user; another name does not."""
    users = exam.store.users

    async def lift(ada: User) -> None:
        await users.ban(ada.id, None, None, ORIGIN)
        await users.unban(ada.id, ORIGIN)

    kills: list[Callable[[User], Awaitable[object]]] = [
        lambda ada: users.set_password(ada.id, "digest", ORIGIN),
        lambda ada: users.update(ada.id, UserChange(email=f"x{ada.id}@a", email_key=f"x{ada.id}@a"), ORIGIN),
        lift,
        lambda ada: users.delete(ada.id, ORIGIN),
    ]
    for number, kill in enumerate(kills):
        ada, digest = await exam.user(), f"link {number}".encode()
        await _offer(exam, ada.email, digest)
        await users.update(ada.id, UserChange(name="Ada"), ORIGIN)
        assert await exam.store.password_resets.owner(digest) is not None
        await kill(ada)
        assert await exam.store.password_resets.owner(digest) is None
        assert await exam.store.password_resets.complete(digest, "x", ORIGIN) is None


async def a_new_epoch_kills_every_link(exam: Exam) -> None:
    """A restored backup may hold one that was spent since."""
    await exam.ring()
    ada = await exam.user()
    await _offer(exam, ada.email, b"link")
    head = await exam.store.revocations.head()
    keys = [exam.key("e1", "active"), exam.key("e2")]
    await exam.store.revocations.open_epoch((head.epoch, head.sequence), keys, ORIGIN)
    assert await exam.store.password_resets.owner(b"link") is None


async def nobody_is_flooded(exam: Exam) -> None:
    """Three an hour, whoever asks; the newest goes on working; what an administrator hands over is not counted."""
    ada, bob = await exam.user(), await exam.user()
    sent = [await _offer(exam, ada.email, f"link {n}".encode()) is not None for n in range(5)]
    assert sent == [True, True, True, False, False]
    assert await exam.store.password_resets.owner(b"link 2") == ada
    assert await _offer(exam, bob.email, b"bob's") is not None
    assert await exam.store.password_resets.grant(ada.id, b"by hand", _LIFE, ORIGIN) is not None
    assert await _offer(exam, ada.email, b"again") is None
    exam.clock.forward(minutes=20)
    sent = [await _offer(exam, ada.email, f"later {n}".encode()) is not None for n in range(2)]
    assert sent == [True, False]
    assert await _offer(exam, ada.email, b"free", LinkLimit(links=0, window=timedelta(hours=1))) is not None
    reasons = [event.detail["reason"] for event in await exam.events("password_reset.refused")]
    assert reasons == ["limited"] * 4


async def what_is_over_is_cleared(exam: Exam) -> None:
    """A link that works and one that counts stay."""
    ada, bob, eve = await exam.user(), await exam.user(), await exam.user()
    for user, digest in ((ada, b"a"), (bob, b"b")):
        await _offer(exam, user.email, digest)
    assert await exam.store.password_resets.complete(b"b", "x", ORIGIN) is not None
    exam.clock.forward(minutes=19)
    assert await exam.store.password_resets.sweep(10) == 0
    exam.clock.forward(minutes=1)
    assert await exam.store.password_resets.sweep(10) == 1
    assert await exam.store.password_resets.owner(b"a") is not None
    await exam.store.password_resets.grant(eve.id, b"e", _LIFE, ORIGIN)
    exam.clock.forward(hours=1)
    assert await exam.store.password_resets.sweep(1) == 1
    assert await exam.store.password_resets.sweep(10) == 1
    assert await exam.store.password_resets.sweep(10) == 0


async def a_link_has_one_winner(exam: Exam) -> None:
    """Fifty at once, one of them; whoever asks for the next or is banned meanwhile, nothing is half done."""
    for number in range(exam.rounds):
        ada, digest = await exam.user(), f"race {number}".encode()
        await _offer(exam, ada.email, digest)
        won = await asyncio.gather(
            *(exam.node(n).password_resets.complete(digest, f"p{n}", ORIGIN) for n in range(50))
        )
        (winner,) = [user for user in won if user is not None]
        assert await exam.store.users.get(ada.id) == winner


async def no_link_survives_a_ban(exam: Exam) -> None:
    """Either it was spent before, or it never is; and never is a password set after the ban."""
    for number in range(exam.rounds):
        ada, digest = await exam.user(), f"ban {number}".encode()
        await _offer(exam, ada.email, digest)
        outcomes: tuple[User | None, User | None, User | None] = await asyncio.gather(
            exam.node(0).password_resets.complete(digest, "new", ORIGIN),
            exam.node(1).users.ban(ada.id, None, None, ORIGIN),
            exam.node(2).password_resets.offer(ada.email, digest + b"!", _LIFE, _LIMIT, ORIGIN),
        )
        changed, banned, _ = outcomes
        assert banned is not None
        assert (banned.password_digest == "new") == (changed is not None)
        await exam.store.users.unban(ada.id, ORIGIN)
        for one in (digest, digest + b"!"):
            assert await exam.store.password_resets.owner(one) is None


CASES: Final[tuple[Case, ...]] = (
    a_link_replaces_the_password_once,
    no_link_for_nobody,
    the_newest_link_alone_works,
    a_link_grows_old,
    what_opens_the_account_otherwise_kills_the_link,
    a_new_epoch_kills_every_link,
    nobody_is_flooded,
    what_is_over_is_cleared,
)

RACES: Final[tuple[Case, ...]] = (a_link_has_one_winner, no_link_survives_a_ban)
