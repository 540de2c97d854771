"""Signing keys: one waits, one signs, the rest are on their way out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from tests.server.store.conformance.exam import ORIGIN, Case, Exam
from watchword.server.store.records import SigningKey

__all__ = ["CASES"]


async def a_place_is_taken_once(exam: Exam) -> None:
    """A second active or waiting key of a purpose is not added; the two purposes do not meet."""
    await exam.ring()
    await exam.store.keys.add(exam.key("k9", "active"), ORIGIN)
    await exam.store.keys.add(exam.key("k1", "next"), ORIGIN)
    await exam.store.keys.add(exam.key("f1", "active", "feed"), ORIGIN)
    assert await _states(exam) == {"k1": "active", "k2": "next", "f1": "active"}
    k1 = await _one(exam, "k1")
    assert k1 == exam.key("k1", "active")
    assert "sealed" not in repr(k1)
    assert len(await exam.events("key.added")) == 3


async def the_log_tells_what_is_published(exam: Exam) -> None:
    """One entry that never ends, replaced with each change, and the live kids in the head; no feed keys."""
    await exam.ring()
    await exam.store.keys.add(exam.key("f1", "active", "feed"), ORIGIN)
    await _published(exam, "k1", "k2")
    await exam.store.keys.activate("k2", exam.key("k3"), ORIGIN)
    await _published(exam, "k1", "k2", "k3")
    await exam.store.keys.compromise("k1", exam.key("k4"), ORIGIN)
    await _published(exam, "k2", "k3")


async def the_waiting_key_takes_over(exam: Exam) -> None:
    """The active one retires until its last token is over, another waits; the second caller is too late."""
    await exam.ring()
    await exam.store.revocations.set_longest_life(timedelta(minutes=30))
    exam.clock.forward(minutes=1)
    assert await exam.store.keys.activate("k2", exam.key("k3"), ORIGIN)
    assert not await exam.store.keys.activate("k2", exam.key("k4"), ORIGIN)
    assert not await exam.store.keys.activate("k1", exam.key("k4"), ORIGIN)
    assert not await exam.store.keys.activate("nobody", exam.key("k4"), ORIGIN)
    assert await _states(exam) == {"k1": "retired", "k2": "active", "k3": "next"}
    retired, active = await _one(exam, "k1"), await _one(exam, "k2")
    assert active.active_at == retired.retired_at == exam.clock.now()
    assert retired.gone_at == exam.clock.now() + timedelta(minutes=35)
    exam.clock.forward(minutes=34, seconds=59)
    assert await exam.store.keys.sweep(["k1", "k2", "k3"]) == 0
    exam.clock.forward(seconds=1)
    assert await exam.store.keys.sweep(["k1", "k2", "k3"]) == 1
    await _published(exam, "k2", "k3")


async def a_rotation_is_announced(exam: Exam) -> None:
    """Only a waiting key can be told when."""
    await exam.ring()
    at = exam.clock.now() + timedelta(minutes=1)
    scheduled = await exam.store.keys.schedule("k2", at, ORIGIN)
    assert scheduled is not None
    assert (scheduled.active_at, scheduled.state) == (at, "next")
    assert await exam.store.keys.schedule("k1", at, ORIGIN) is None
    assert await exam.store.keys.schedule("nobody", at, ORIGIN) is None


async def another_key_may_wait_instead(exam: Exam) -> None:
    """The one that waited never signed, so it is gone without a trace but the event."""
    await exam.ring()
    assert await exam.store.keys.replace_waiting("k2", exam.key("k3"), ORIGIN)
    assert not await exam.store.keys.replace_waiting("k2", exam.key("k4"), ORIGIN)
    assert not await exam.store.keys.replace_waiting("k1", exam.key("k4"), ORIGIN)
    assert await _states(exam) == {"k1": "active", "k3": "next"}
    await _published(exam, "k1", "k3")


async def a_compromised_key_is_dead_for_good(exam: Exam) -> None:
    """The waiting key signs in the same transaction and another waits; it is never swept, never live again."""
    await exam.ring()
    killed = await exam.store.keys.compromise("k1", exam.key("k3"), ORIGIN)
    assert killed is not None
    assert (killed.state, killed.retired_at) == ("compromised", exam.clock.now())
    assert await _states(exam) == {"k1": "compromised", "k2": "active", "k3": "next"}
    assert await exam.store.keys.compromise("k1", exam.key("k4"), ORIGIN) is None
    assert await exam.store.keys.compromise("nobody", exam.key("k4"), ORIGIN) is None
    exam.clock.forward(days=1000)
    assert await exam.store.keys.sweep(["k1", "k2", "k3"]) == 0
    assert (await _states(exam))["k1"] == "compromised"


async def a_compromised_key_that_waits_or_rests_hands_nothing_over(exam: Exam) -> None:
    """The active one stays; only a waiting key needs a successor."""
    await exam.ring()
    await exam.store.keys.compromise("k2", exam.key("k3"), ORIGIN)
    assert await _states(exam) == {"k1": "active", "k2": "compromised", "k3": "next"}
    await exam.store.keys.activate("k3", exam.key("k4"), ORIGIN)
    await exam.store.keys.compromise("k1", exam.key("k5"), ORIGIN)
    assert await _states(exam) == {
        "k1": "compromised",
        "k2": "compromised",
        "k3": "active",
        "k4": "next",
    }


async def an_active_key_without_a_waiting_one_is_followed_at_once(exam: Exam) -> None:
    """Somebody must sign: the successor does."""
    await exam.store.keys.add(exam.key("f1", "active", "feed"), ORIGIN)
    await exam.store.keys.compromise("f1", exam.key("f2", purpose="feed"), ORIGIN)
    assert await _states(exam) == {"f1": "compromised", "f2": "active"}


async def _states(exam: Exam) -> dict[str, str]:
    return {key.kid: key.state for key in await exam.store.keys.list()}


async def _one(exam: Exam, kid: str) -> SigningKey:
    return next(key for key in await exam.store.keys.list() if key.kid == kid)


async def _published(exam: Exam, *kids: str) -> None:
    head = await exam.store.revocations.head()
    (entry,) = await exam.entries("key")
    public: list[Any] = [key["kid"] for key in entry.keys]
    assert (head.kids, public, entry.exp) == (kids, list(kids), 0)
    assert entry.sequence == head.sequence


CASES: Final[tuple[Case, ...]] = (
    a_place_is_taken_once,
    the_log_tells_what_is_published,
    the_waiting_key_takes_over,
    a_rotation_is_announced,
    another_key_may_wait_instead,
    a_compromised_key_is_dead_for_good,
    a_compromised_key_that_waits_or_rests_hands_nothing_over,
    an_active_key_without_a_waiting_one_is_followed_at_once,
)
