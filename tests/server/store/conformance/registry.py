"""What is set up once and read often: clients, roles, APIs, once-only things, facts; and the audit log."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from msgspec.structs import replace

from tests.server.store.conformance.exam import CLIENT, ORIGIN, RULES, Case, Exam, refused
from watchword.errors import Conflict, EmailTaken, InvalidInput
from watchword.server.store.records import Advanced, Api, Live, Opened, Origin, Refused, Role, UserChange

__all__ = ["CASES"]


async def the_first_party_client_is_there(exam: Exam) -> None:
    """From the first start; others are not."""
    client = await exam.store.clients.get(CLIENT)
    assert client is not None
    assert (client.id, client.floor, client.disabled) == (CLIENT, 0, False)
    assert await exam.store.clients.get("cli_nobody") is None


async def roles_are_made_changed_and_listed(exam: Exam) -> None:
    """``admin`` and ``user`` are built in; names are in order; to say the same again is no event."""
    roles = exam.store.roles
    assert [role.name for role in await roles.list()] == ["admin", "user"]
    assert await roles.set("Zoo", ("a",), ORIGIN) == Role(name="Zoo", scope=("a",), built_in=False)
    assert await roles.set("Zoo", ("b", "a"), ORIGIN) == await roles.get("Zoo")
    await roles.set("Zoo", ("b", "a"), ORIGIN)
    assert [role.name for role in await roles.list()] == ["Zoo", "admin", "user"]
    assert (await roles.set("user", ("x",), ORIGIN)).built_in
    assert await roles.get("pilot") is None
    assert len(await exam.events("role.set")) == 3


async def a_changed_role_shows_on_its_holders_alone(exam: Exam) -> None:
    """Each gets a version and an overlay with the scope of now; his sessions live on."""
    await exam.store.roles.set("payer", ("pay",), ORIGIN)
    ada, bob = await exam.user("payer"), await exam.user()
    session = await exam.session(ada)
    await exam.store.roles.set("payer", ("see",), ORIGIN)
    (entry,) = await exam.entries()
    changed = await exam.store.users.get(ada.id)
    assert changed is not None
    assert (entry.kind, entry.id, entry.below) == ("claims", ada.id, changed.version)
    assert entry.claims["scope"] == "profile email see"
    assert changed.version > ada.version
    assert changed.floor == ada.floor
    assert await exam.store.users.get(bob.id) == bob
    live = await exam.store.sessions.live(session)
    assert isinstance(live, Live)
    assert live.granted == ("profile", "email", "see")


async def a_deleted_role_is_taken_from_everybody(exam: Exam) -> None:
    """With an overlay each; a built-in one stays, an unknown one is told."""
    await exam.store.roles.set("payer", ("pay",), ORIGIN)
    await exam.store.roles.set("payers", (), ORIGIN)
    ada, bob = await exam.user("payer", "payers"), await exam.user("payers")
    assert await exam.store.roles.delete("payer", ORIGIN)
    assert not await exam.store.roles.delete("payer", ORIGIN)
    await refused(Conflict, exam.store.roles.delete("admin", ORIGIN))
    changed = await exam.store.users.get(ada.id)
    assert changed is not None
    assert changed.roles == ("user", "payers")
    assert await exam.store.users.get(bob.id) == bob
    assert [entry.id for entry in await exam.entries("claims")] == [ada.id]


async def a_role_of_very_many_brakes(exam: Exam) -> None:
    """Past five hundred holders one entry outdates every token instead; scope that was added may wait."""
    await exam.store.roles.set("payer", ("pay",), ORIGIN)
    holders = [await exam.user("payer") for _ in range(501)]
    sessions = [await exam.session(holder) for holder in (holders[0], holders[-1])]
    await exam.store.roles.set("payer", ("pay", "see"), ORIGIN)
    assert not await exam.entries()
    await exam.store.roles.set("payer", ("see",), ORIGIN)
    (entry,) = await exam.entries()
    assert (entry.kind, entry.below) == ("issuer", (await exam.store.revocations.head()).base)
    await exam.store.roles.delete("payer", ORIGIN)
    assert [entry.kind for entry in await exam.entries()] == ["issuer"]
    assert {user.roles for user in (await exam.store.users.list(limit=501)).items} == {("user",)}
    base = (await exam.store.revocations.head()).base
    for session in sessions:
        live = await exam.store.sessions.live(session)
        assert isinstance(live, Live)
        assert min(live.user.version, live.client.version) >= base > max(holder.version for holder in holders)
        assert live.granted == ("profile", "email")


async def apis_are_added_and_deleted(exam: Exam) -> None:
    """One of an audience; a built-in one stays; an audience is a word."""
    apis = exam.store.apis
    added = await apis.add("https://pay.example/", ("pay", "see"), ORIGIN)
    assert added == Api(
        audience="https://pay.example/", scope=("pay", "see"), built_in=False, created_at=exam.clock.now()
    )
    await apis.add("Api", (), ORIGIN, built_in=True)
    assert await apis.list() == [await apis.get("Api"), added]
    await refused(Conflict, apis.add("Api", ("x",), ORIGIN))
    await refused(Conflict, apis.delete("Api", ORIGIN))
    for audience in ("", "a b", "a\n", "x" * 256):
        await refused(InvalidInput, apis.add(audience, (), ORIGIN))
    assert await apis.delete(added.audience, ORIGIN)
    assert not await apis.delete(added.audience, ORIGIN)
    assert await apis.get(added.audience) is None
    assert len(await exam.events("api.added")) == 2


async def an_api_s_key_is_told_to_its_own_sessions(exam: Exam) -> None:
    """With the facts of every session that is for it alone, from the next token on; to no other."""
    apis, sessions = exam.store.apis, exam.store.sessions
    added = await apis.add("pay", ("pay",), ORIGIN, encryption_jwk='{"kid":"1"}')
    await apis.add("Api", (), ORIGIN, built_in=True)
    ada = await exam.user()
    its = await exam.session(ada, audience=("pay",), apis=("pay",))
    both = await exam.session(ada, audience=("https://auth.example.com", "pay"))
    other = await exam.session(ada, audience=("Api",), apis=("Api",))

    async def told(session: str) -> str | None:
        live = await sessions.live(session)
        assert isinstance(live, Live)
        return live.encryption_jwk

    assert added.encryption_jwk == await told(its) == '{"kid":"1"}'
    assert await told(both) is None
    assert await told(other) is None
    changed = await apis.set_encryption("pay", '{"kid":"2"}', ORIGIN)
    assert changed == await apis.get("pay") == replace(added, encryption_jwk='{"kid":"2"}')
    advanced = await exam.advance(its, 0)
    assert isinstance(advanced, Advanced)
    assert advanced.facts.encryption_jwk == '{"kid":"2"}'
    assert await apis.set_encryption("pay", None, ORIGIN) is not None
    assert await told(its) is None
    assert await apis.set_encryption("none", None, ORIGIN) is None
    assert [event.detail["on"] for event in await exam.events("api.encrypted")] == [False, True]


async def a_deleted_api_ends_its_sessions(exam: Exam) -> None:
    """With an entry each; none opens for it, not for one added anew either; others live on."""
    await exam.store.apis.add("rep", ("read",), ORIGIN)
    await exam.store.apis.add("reports", (), ORIGIN)
    ada = await exam.user()
    its = await exam.session(ada, audience=("rep",), apis=("rep",))
    both = await exam.session(ada, audience=("reports", "rep"))
    other = await exam.session(ada, audience=("reports",), apis=("reports",))
    assert await exam.store.apis.delete("rep", ORIGIN)
    assert [(entry.kind, entry.id) for entry in await exam.entries()] == [("session", its), ("session", both)]
    late = exam.new_session(ada, audience=("rep",), apis=("rep",))
    assert await exam.store.sessions.open(late, RULES, ORIGIN) == Refused(reason="api_deleted")
    await exam.store.apis.add("rep", (), ORIGIN)
    for session in (its, both):
        assert await exam.why_dead(session) == "ended"
        assert await exam.advance(session, 0) == Refused(reason="ended")
        row = await exam.store.sessions.get(session)
        assert row is not None
        assert row.end_reason == "api_deleted"
    assert isinstance(await exam.advance(other, 0), Advanced)


async def an_api_of_very_many_brakes(exam: Exam) -> None:
    """Past five hundred sessions one entry kills every token; the sessions of others live on."""
    await exam.store.apis.add("rep", (), ORIGIN)
    ada = await exam.user()
    many = replace(RULES, maximum_per_user=600)
    sessions = [await exam.session(ada, many, audience=("rep",)) for _ in range(501)]
    other = await exam.session(ada, many)
    await exam.store.apis.delete("rep", ORIGIN)
    (entry,) = await exam.entries()
    assert (entry.kind, entry.below) == ("issuer", (await exam.store.revocations.head()).base)
    assert {await exam.why_dead(session) for session in (sessions[0], sessions[-1])} == {"ended"}
    assert isinstance(await exam.advance(other, 0), Advanced)


async def a_once_only_thing_is_spent_once(exam: Exam) -> None:
    """For its purpose, before its end."""
    things = exam.store.one_time
    until = exam.clock.now() + timedelta(minutes=1)
    await things.add(b"one", "setup", None, until)
    await things.add(b"two", "reset", "usr_1", until)
    assert await things.get(b"one", "setup")
    assert not await things.get(b"one", "reset")
    ada = exam.new_user()
    assert await things.spend(b"one", "reset", ada, ORIGIN) is None
    made = await things.spend(b"one", "setup", ada, ORIGIN)
    assert made is not None
    assert await exam.store.users.get(ada.id) == made
    assert await things.spend(b"one", "setup", exam.new_user(), ORIGIN) is None
    assert not await things.get(b"one", "setup")
    exam.clock.forward(minutes=1)
    assert not await things.get(b"two", "reset")
    assert await things.spend(b"two", "reset", exam.new_user(), ORIGIN) is None
    assert await exam.store.users.count() == 1


async def a_once_only_thing_is_not_spent_for_nothing(exam: Exam) -> None:
    """Where the account cannot be made, it is whole."""
    things = exam.store.one_time
    ada = await exam.user()
    await things.add(b"one", "setup", None, exam.clock.now() + timedelta(minutes=1))
    await refused(EmailTaken, things.spend(b"one", "setup", exam.new_user(email=ada.email), ORIGIN))
    assert await things.spend(b"one", "setup", exam.new_user(), ORIGIN) is not None


async def a_newer_one_replaces_an_older(exam: Exam) -> None:
    """Of the same purpose and subject alone, also where there is no subject."""
    things = exam.store.one_time
    until = exam.clock.now() + timedelta(minutes=1)
    for digest, purpose, subject in (
        (b"1", "setup", None),
        (b"2", "reset", "usr_1"),
        (b"3", "reset", "usr_2"),
        (b"4", "setup", None),
        (b"5", "reset", "usr_1"),
    ):
        await things.add(digest, purpose, subject, until)
    purposes = {b"1": "setup", b"2": "reset", b"3": "reset", b"4": "setup", b"5": "reset"}
    assert [d for d, purpose in purposes.items() if await things.get(d, purpose)] == [b"3", b"4", b"5"]


async def a_fact_is_written_once(exam: Exam) -> None:
    """The first value stands, and both callers learn it."""
    meta = exam.store.meta
    assert await meta.get("colour") is None
    assert await meta.put_new("colour", "green") == "green"
    assert await meta.put_new("colour", "red") == "green"
    assert await meta.get("colour") == "green"


async def events_are_listed_newest_first(exam: Exam) -> None:
    """In pages, by type, by user, with everything that was said."""
    events = exam.store.events
    origin = Origin(actor="usr_1", address="192.0.2.9", user_agent="x" * 400, session_id="ses_1")
    for number in range(5):
        await events.add(
            "a" if number % 2 else "b",
            origin,
            user_id=f"usr_{number % 3}",
            detail={"n": number, "ü": [1, None]},
        )
        exam.clock.forward(seconds=1)
    page = await events.list(limit=2)
    assert [event.detail["n"] for event in page.items] == [4, 3]
    rest = await events.list(cursor=page.next, limit=3)
    assert [event.detail["n"] for event in rest.items] == [2, 1, 0]
    assert rest.next is None
    assert [event.detail["n"] for event in (await events.list(type="a")).items] == [3, 1]
    assert [event.detail["n"] for event in (await events.list(user_id="usr_0")).items] == [3, 0]
    first = rest.items[-1]
    assert (first.type, first.actor, first.user_id, first.session_id) == ("b", "usr_1", "usr_0", "ses_1")
    assert (first.address, len(first.user_agent or ""), first.client_id) == ("192.0.2.9", 200, None)
    assert first.detail == {"n": 0, "ü": [1, None]}
    assert first.at == exam.clock.now() - timedelta(seconds=5)
    for cursor in ("x", "-1", "9" * 19):
        await refused(InvalidInput, events.list(cursor=cursor))


async def old_events_are_swept(exam: Exam) -> None:
    """Oldest first, a few at a time, none that is young."""
    for _ in range(5):
        await exam.store.events.add("a", ORIGIN)
    exam.clock.forward(days=1)
    young = exam.clock.now()
    await exam.store.events.add("b", ORIGIN)
    assert [await exam.store.events.sweep(young, 3) for _ in range(3)] == [3, 2, 0]
    assert [event.type for event in await exam.events()] == ["b"]


async def every_change_is_in_the_audit_log(exam: Exam) -> None:
    """Who did it, from where, in the order in which it happened."""
    await exam.ring()
    ada = await exam.user()
    await exam.store.users.update(ada.id, UserChange(roles=()), ORIGIN)
    opened = await exam.store.sessions.open(exam.new_session(ada), RULES, ORIGIN)
    assert isinstance(opened, Opened)
    await exam.store.sessions.end(opened.live.session.id, "logout", ORIGIN)
    await exam.store.users.delete(ada.id, ORIGIN)
    events = (await exam.events())[::-1]
    assert [event.type for event in events] == [
        "key.added",
        "key.added",
        "user.created",
        "user.roles_changed",
        "session.opened",
        "session.ended",
        "user.deleted",
    ]
    assert {(event.actor, event.address) for event in events} == {("usr_examiner", "192.0.2.1")}
    assert [event.user_id for event in events[2:]] == [ada.id] * 5


CASES: Final[tuple[Case, ...]] = (
    the_first_party_client_is_there,
    roles_are_made_changed_and_listed,
    a_changed_role_shows_on_its_holders_alone,
    a_deleted_role_is_taken_from_everybody,
    a_role_of_very_many_brakes,
    apis_are_added_and_deleted,
    an_api_s_key_is_told_to_its_own_sessions,
    a_deleted_api_ends_its_sessions,
    an_api_of_very_many_brakes,
    a_once_only_thing_is_spent_once,
    a_once_only_thing_is_not_spent_for_nothing,
    a_newer_one_replaces_an_older,
    a_fact_is_written_once,
    events_are_listed_newest_first,
    old_events_are_swept,
    every_change_is_in_the_audit_log,
)
