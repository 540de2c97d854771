"""API keys: begun, used, counted, ended with what ends sessions."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, Final

from msgspec.structs import replace

from tests.server.store.conformance.exam import ORIGIN, RULES, Case, Exam, secret_of
from watchword.server.store.records import Live, Refused, User

__all__ = ["CASES"]

LIFE: Final = timedelta(days=90)
TOKEN: Final = timedelta(minutes=10)


async def add(exam: Exam, user: User, *, maximum: int = 5, life: timedelta = LIFE, **members: Any) -> str:
    """A key of *user*; its id."""
    new = exam.new_session(user, kind="api_key", amr=("api_key",), device="deploy", **members)
    made = await exam.store.sessions.add_key(new, life, maximum, ORIGIN)
    assert isinstance(made, Live), made
    return made.session.id


async def use(exam: Exam, key: str, *, node: int = 0, secret: bytes | None = None) -> Live | Refused:
    return await exam.node(node).sessions.use_key(key, secret or secret_of(key), TOKEN, ORIGIN)


async def why_not(exam: Exam, key: str) -> str:
    refused = await use(exam, key)
    assert isinstance(refused, Refused), refused
    return refused.reason


async def a_key_begins_with_what_its_tokens_rest_on(exam: Exam) -> None:
    """A session of its own kind, unused, with an end; the user did not log in by making it."""
    await exam.ring()
    ada = await exam.user()
    key = await add(exam, ada, scope=("profile",))
    live = await use(exam, key)
    assert isinstance(live, Live)
    session = live.session
    assert (session.kind, session.device, session.scope) == ("api_key", "deploy", ("profile",))
    assert session.expires_at == session.idle_expires_at == exam.clock.now() + LIFE
    assert (live.user.id, live.granted, live.kid) == (ada.id, ("profile", "email"), "k1")
    assert live.user.last_login_at is None
    (event,) = await exam.events("api_key.created")
    assert (event.user_id, event.session_id, event.detail["name"]) == (ada.id, key, "deploy")


async def it_stands_apart_from_log_ins(exam: Exam) -> None:
    """Neither list shows the other, neither makes room for the other, and neither is ended as the other."""
    ada = await exam.user()
    key = await add(exam, ada)
    login = await exam.session(ada, RULES)
    assert [one.id for one in await exam.store.sessions.list(ada.id)] == [login]
    assert [one.id for one in await exam.store.sessions.list(ada.id, "api_key")] == [key]
    second = await exam.session(ada, replace(RULES, maximum_per_user=1))
    assert isinstance(await use(exam, key), Live)
    assert await exam.why_dead(login) == "ended"
    assert await exam.store.sessions.end(key, "x", ORIGIN, kind="login") is None
    assert await exam.store.sessions.end(second, "x", ORIGIN, kind="api_key") is None
    assert (await use(exam, second)) == Refused(reason="unknown")


async def only_its_own_secret_uses_it(exam: Exam) -> None:
    """Another secret, another id: unknown, and nothing is written."""
    ada = await exam.user()
    key = await add(exam, ada)
    assert await use(exam, key, secret=secret_of("other")) == Refused(reason="unknown")
    assert await use(exam, "ses_nobody") == Refused(reason="unknown")
    (standing,) = await exam.store.sessions.list(ada.id, "api_key")
    assert standing.counter == 0


async def a_signing_key_is_used_by_its_name(exam: Exam) -> None:
    """It has a public key and no secret; neither kind is used or ended as the other."""
    ada = await exam.user()
    key = await add(exam, ada)
    new = exam.new_session(ada, kind="signing_key", amr=("signing_key",), public_key='{"kty":"OKP"}')
    made = await exam.store.sessions.add_key(new, LIFE, 1, ORIGIN)
    assert isinstance(made, Live)
    signing = made.session.id
    live = await exam.store.sessions.use_key(signing, None, TOKEN, ORIGIN)
    assert isinstance(live, Live)
    assert (live.session.kind, live.session.public_key) == ("signing_key", '{"kty":"OKP"}')
    assert await exam.store.sessions.use_key(key, None, TOKEN, ORIGIN) == Refused(reason="unknown")
    assert await use(exam, signing) == Refused(reason="unknown")
    assert await exam.store.sessions.end(signing, "x", ORIGIN, kind="api_key") is None
    (standing,) = await exam.store.sessions.list(ada.id, "signing_key")
    assert (standing.id, standing.counter) == (signing, 1)
    (event,) = await exam.events("signing_key.created")
    assert event.session_id == signing


async def its_use_is_written_once_in_a_token_s_life(exam: Exam) -> None:
    """However often and at whichever node it is used; and it is never idle."""
    ada = await exam.user()
    key = await add(exam, ada)

    async def uses() -> int:
        for number in range(4):
            assert isinstance(await use(exam, key, node=number), Live)
        (standing,) = await exam.store.sessions.list(ada.id, "api_key")
        return standing.counter

    assert await uses() == 1
    exam.clock.forward(minutes=10)
    assert await uses() == 1
    exam.clock.forward(seconds=1)
    assert await uses() == 2
    exam.clock.forward(days=89)
    assert await uses() == 3
    exam.clock.forward(days=1)
    assert await why_not(exam, key) == "expired"


async def its_end_is_told_while_a_token_of_it_may_live(exam: Exam) -> None:
    """An entry for a key that was used of late, written down or not; none for one that never was."""
    ada = await exam.user()
    key, unused = await add(exam, ada), await add(exam, ada)
    assert isinstance(await use(exam, key), Live)
    exam.clock.forward(minutes=9, seconds=59)
    assert isinstance(await use(exam, key), Live)  # its token lives ten minutes more
    exam.clock.forward(minutes=74)
    for one in (key, unused):
        assert await exam.store.sessions.end(one, "revoked", ORIGIN, kind="api_key") is not None
    assert [entry.id for entry in await exam.entries("session")] == [key]
    assert await why_not(exam, key) == "ended"
    assert await exam.store.sessions.end(key, "revoked", ORIGIN, kind="api_key") is None


async def what_kills_its_user_kills_it(exam: Exam) -> None:
    """Ban, log-out everywhere, another password, deletion; a lifted ban brings nothing back."""
    users = [await exam.user() for _ in range(4)]
    keys = [await add(exam, user) for user in users]
    await exam.store.users.ban(users[0].id, None, None, ORIGIN)
    await exam.store.users.unban(users[0].id, ORIGIN)
    await exam.store.users.log_out_everywhere(users[1].id, "x", ORIGIN)
    await exam.store.users.set_password(users[2].id, "digest", ORIGIN)
    await exam.store.users.delete(users[3].id, ORIGIN)
    assert [await why_not(exam, key) for key in keys] == ["ended"] * 3 + ["unknown"]


async def a_restored_store_ends_it_unless_sessions_are_kept(exam: Exam) -> None:
    """A key made after the backup is unknown; one from before is a session as every other."""
    await exam.ring()
    ada = await exam.user()
    for keep in (True, False):
        key = await add(exam, ada)
        head = await exam.store.revocations.head()
        fresh = (exam.key(f"{keep}1", "active"), exam.key(f"{keep}2"))
        seen = (head.epoch + 1, head.sequence + 1)
        await exam.store.revocations.open_epoch(seen, fresh, ORIGIN, keep_sessions=keep)
        found = await use(exam, key)
        assert isinstance(found, Live) == keep
        assert not isinstance(found, Live) or found.kid == f"{keep}1"


async def no_token_outlives_its_end_untold(exam: Exam) -> None:
    """Used and ended at the same moment on all nodes: where anybody was let in, the log names it."""
    ada = await exam.user()
    for _ in range(exam.rounds):
        key = await add(exam, ada, maximum=1000)
        said = await asyncio.gather(
            *(use(exam, key, node=n) for n in range(4)),
            exam.store.sessions.end(key, "revoked", ORIGIN),
            *(use(exam, key, node=n) for n in range(4)),
        )
        told = key in {entry.id for entry in await exam.entries()}
        assert told or not any(isinstance(one, Live) for one in said)
        assert await why_not(exam, key) == "ended"


async def who_may_have_none_gets_none(exam: Exam) -> None:
    """A banned user, a proof from below the floor, a session that is over, an API that is gone."""
    ada, bob = await exam.user(), await exam.user()
    session = await exam.session(ada)
    await exam.store.sessions.end(session, "x", ORIGIN)
    await exam.store.users.ban(bob.id, None, None, ORIGIN)
    for asked, reason in (
        (exam.new_session(ada, parent=session), "parent_ended"),
        (exam.new_session(ada, apis=("gone",)), "api_deleted"),
        (exam.new_session(bob), "banned"),
    ):
        made = await exam.store.sessions.add_key(asked, LIFE, 5, ORIGIN)
        assert made == Refused(reason=reason)  # type: ignore[arg-type]
    await exam.store.users.log_out_everywhere(ada.id, "x", ORIGIN)
    assert await exam.store.sessions.add_key(exam.new_session(ada), LIFE, 5, ORIGIN) == Refused(
        reason="below_floor"
    )


async def one_too_many_is_refused(exam: Exam) -> None:
    """Of many asked for at once as many are made as may be; one that is over counts no more."""
    ada = await exam.user()
    asked = [exam.new_session(ada, kind="api_key") for _ in range(6)]
    made = await asyncio.gather(
        *(exam.node(n).sessions.add_key(one, LIFE, 3, ORIGIN) for n, one in enumerate(asked))
    )
    good = [one for one in made if isinstance(one, Live)]
    assert len(good) == 3
    assert {one.reason for one in made if isinstance(one, Refused)} == {"too_many"}
    await exam.store.sessions.end(good[0].session.id, "x", ORIGIN)
    await add(exam, ada, maximum=3)


CASES: Final[tuple[Case, ...]] = (
    a_key_begins_with_what_its_tokens_rest_on,
    it_stands_apart_from_log_ins,
    only_its_own_secret_uses_it,
    a_signing_key_is_used_by_its_name,
    its_use_is_written_once_in_a_token_s_life,
    its_end_is_told_while_a_token_of_it_may_live,
    what_kills_its_user_kills_it,
    a_restored_store_ends_it_unless_sessions_are_kept,
    no_token_outlives_its_end_untold,
    who_may_have_none_gets_none,
    one_too_many_is_refused,
)
