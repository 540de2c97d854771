"""People: found, changed, killed."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from tests.server.store.conformance.exam import ORIGIN, RULES, Case, Exam, refused
from watchword.errors import EmailTaken, InvalidInput, UsernameTaken
from watchword.server.store.records import NewUser, Refused, UserChange

__all__ = ["CASES"]


async def a_user_is_found_by_every_name(exam: Exam) -> None:
    """By id, e-mail and user name; the log-in record bears the version read with the digest."""
    ada = await exam.user(username="Ada", email="Ada@example.com", name="Ada L.")
    users = exam.store.users
    assert await users.get(ada.id) == ada
    for names in ({"email_key": "ada@example.com"}, {"username_key": "ada"}):
        found = await users.find(**names)
        assert found == ada
    assert (ada.created_at, ada.version, ada.floor) == (exam.clock.now(), exam.clock.ms, 0)
    assert await users.get("usr_nobody") is None
    assert await users.find(email_key="nobody@example.com") is None
    assert await users.find(username_key="nobody") is None


async def a_user_may_come_in_banned(exam: Exam) -> None:
    """He is banned from the first moment, not after a second one, and until the time that was said."""
    until = exam.clock.now() + timedelta(hours=1)
    ada = await exam.user(banned=True, ban_reason="left us", banned_until=until)
    assert (ada.banned, ada.ban_reason, ada.banned_until) == (True, "left us", until)
    assert await exam.store.sessions.open(exam.new_session(ada), RULES, ORIGIN) == Refused(reason="banned")
    exam.clock.forward(hours=1)
    found = await exam.store.users.get(ada.id)
    assert found is not None
    assert not found.banned


async def text_of_any_kind_is_kept_or_finds_nobody(exam: Exam) -> None:
    """A name of any script comes back as it was; a NUL neither breaks a look-up nor finds anybody."""
    name = "Zoë 王 🦜 'quoted' \\ %_"
    ada = await exam.user(name=name)
    found = await exam.store.users.get(ada.id)
    assert found is not None
    assert found.name == name
    assert await exam.store.users.find(email_key=ada.email + "\0") is None
    assert await exam.store.users.get("usr_\0") is None
    await exam.store.events.add("login.failed", ORIGIN, detail={"text": "a\0b"})


async def e_mail_and_user_name_belong_to_one(exam: Exam) -> None:
    """A second owner is told which of the two is taken, on adding and on changing; nothing is written."""
    ada = await exam.user(username="ada")
    bob = await exam.user(username="bob")
    before = len(await exam.events())
    await refused(EmailTaken, exam.user(email=ada.email.upper()))
    await refused(UsernameTaken, exam.user(username="ADA"))
    for error, change in (
        (EmailTaken, UserChange(email=ada.email, email_key=ada.email)),
        (UsernameTaken, UserChange(username="Ada", username_key="ada", name="B.")),
    ):
        await refused(error, exam.store.users.update(bob.id, change, ORIGIN))
    assert await exam.store.users.get(bob.id) == bob
    assert len(await exam.events()) == before
    assert await exam.store.users.count() == 2


async def unknown_roles_are_refused(exam: Exam) -> None:
    """On adding and on changing; nothing is written, not even what was right."""
    ada = await exam.user()
    await refused(InvalidInput, exam.user("pilot"))
    change = UserChange(name="New", roles=("user", "pilot"))
    await refused(InvalidInput, exam.store.users.update(ada.id, change, ORIGIN))
    assert await exam.store.users.get(ada.id) == ada


async def users_are_listed_in_pages(exam: Exam) -> None:
    """In order of creation, each once, however long the pages."""
    ids = [(await exam.user()).id for _ in range(7)]
    for limit in (1, 3, 7, 50):
        seen: list[str] = []
        cursor: str | None = None
        while True:
            page = await exam.store.users.list(cursor=cursor, limit=limit)
            seen += [user.id for user in page.items]
            cursor = page.next
            if cursor is None:
                break
        assert seen == ids
    for cursor in ("x", "-1", "", "9" * 19):
        await refused(InvalidInput, exam.store.users.list(cursor=cursor))


async def users_are_searched_without_case(exam: Exam) -> None:
    """In e-mail, user name and name; the signs of a pattern mean themselves."""
    ada = await exam.user(email="ada@engine.example", name="Ada Ångström")
    bob = await exam.user(username="b_b", name="100 % Straße")
    for q, found in (
        ("ENGINE", [ada]),
        ("ångstr", [ada]),
        ("ÅNGSTR", [ada]),
        ("B_B", [bob]),
        ("_", [bob]),
        ("%", [bob]),
        ("STRASSE", [bob]),
        ("\\", []),
        ("example", [ada, bob]),
    ):
        assert list((await exam.store.users.list(q=q)).items) == found, q
    renamed = await exam.store.users.update(ada.id, UserChange(name="Countess"), ORIGIN)
    assert list((await exam.store.users.list(q="COUNTESS")).items) == [renamed]
    assert not (await exam.store.users.list(q="ångstr")).items


async def users_are_counted_by_role(exam: Exam) -> None:
    """A role whose name is part of another's is not taken for it."""
    for name in ("admins", "a_min"):
        await exam.store.roles.set(name, (), ORIGIN)
    await exam.user("admin")
    await exam.user("admins")
    await exam.user()
    users = exam.store.users
    assert [await users.count(role=role) for role in (None, "user", "admin", "a_min", "pilot")] == [
        3,
        3,
        1,
        0,
        0,
    ]


async def a_changed_profile_kills_nothing(exam: Exam) -> None:
    """E-mail, user name and name move neither version nor floor; another e-mail has to be verified again."""
    ada = await exam.user(email_verified=True)
    exam.clock.forward(seconds=5)
    change = UserChange(
        email="new@example.com", email_key="new@example.com", username="A", username_key="a", name="A."
    )
    changed = await exam.store.users.update(ada.id, change, ORIGIN)
    assert changed is not None
    assert (changed.email, changed.username, changed.name) == ("new@example.com", "A", "A.")
    assert (changed.version, changed.floor, changed.email_verified) == (ada.version, ada.floor, False)
    assert changed.updated_at == exam.clock.now()
    assert not await exam.entries()
    (event,) = await exam.events("user.updated")
    assert event.detail == {"members": ["email", "name", "username"]}
    assert await exam.store.users.update(ada.id, change, ORIGIN) == changed
    assert len(await exam.events("user.updated")) == 1
    assert await exam.store.users.update("usr_nobody", change, ORIGIN) is None


async def changed_roles_show_on_living_tokens(exam: Exam) -> None:
    """Version up, floor not; one overlay that says what tokens show now; the same roles again say nothing."""
    await exam.store.roles.set("payer", ("pay",), ORIGIN)
    ada = await exam.user()
    session = await exam.session(ada)
    changed = await exam.store.users.update(ada.id, UserChange(roles=("user", "payer")), ORIGIN)
    assert changed is not None
    assert changed.version > ada.version
    assert changed.floor == ada.floor
    (entry,) = await exam.entries("claims")
    assert (entry.id, entry.below) == (ada.id, changed.version)
    assert entry.claims["roles"] == ["user", "payer"]
    assert "pay" in entry.claims["scope"]
    assert await exam.is_alive(session)
    assert await exam.store.users.update(ada.id, UserChange(roles=("user", "payer")), ORIGIN) == changed
    assert len(await exam.entries()) == 1


async def a_new_password_spares_the_session_it_was_changed_in(exam: Exam) -> None:
    """Every other session ends; the one kept rises with the version and goes on."""
    ada = await exam.user()
    kept, other = await exam.session(ada), await exam.session(ada)
    changed = await exam.store.users.set_password(ada.id, "new", ORIGIN, keep_session=kept)
    assert changed is not None
    assert changed.password_digest == "new"
    assert changed.version == changed.floor > ada.version
    (entry,) = await exam.entries("user")
    assert (entry.id, entry.below, entry.excepted) == (ada.id, changed.floor, kept)
    assert await exam.why_dead(other) == "ended"
    assert await exam.counter(kept, 0) == 1
    row = await exam.store.sessions.get(kept)
    assert row is not None
    assert row.version == changed.version


async def only_a_living_session_of_his_own_is_spared(exam: Exam) -> None:
    """To keep a dead session, or somebody else's, raises nothing from the dead and writes no exception."""
    ada, bob = await exam.user(), await exam.user()
    dead, foreign = await exam.session(ada), await exam.session(bob)
    await exam.store.sessions.end(dead, "logout", ORIGIN)
    for keep in (dead, foreign, "ses_nobody"):
        await exam.store.users.set_password(ada.id, "new", ORIGIN, keep_session=keep)
    assert all(entry.excepted == "" for entry in await exam.entries("user"))
    assert await exam.why_dead(dead) == "ended"
    assert await exam.is_alive(foreign)


async def a_password_checked_before_a_kill_changes_nothing(exam: Exam) -> None:
    """Who read the old digest and came after a kill is told that the user changed meanwhile."""
    ada = await exam.user()
    assert await exam.store.users.set_password(ada.id, "one", ORIGIN, expected_version=ada.version)
    assert await exam.store.users.set_password(ada.id, "two", ORIGIN, expected_version=ada.version) is None
    found = await exam.store.users.get(ada.id)
    assert found is not None
    assert found.password_digest == "one"
    assert await exam.store.users.set_password("usr_nobody", "x", ORIGIN) is None


async def a_better_hash_of_the_same_password_kills_nothing(exam: Exam) -> None:
    """It replaces the digest it was made from and no other; no version moves."""
    ada = await exam.user()
    users = exam.store.users
    assert not await users.rehash(ada.id, "something else", "better")
    assert await users.rehash(ada.id, ada.password_digest or "", "better")
    found = await users.get(ada.id)
    assert found is not None
    assert (found.password_digest, found.version) == ("better", ada.version)


async def a_ban_ends_everything(exam: Exam) -> None:
    """Version, floor, sessions, entry and event in one; a second ban only says why anew."""
    ada = await exam.user()
    session = await exam.session(ada)
    exam.clock.forward(seconds=1)
    banned = await exam.store.users.ban(ada.id, "spam", None, ORIGIN)
    assert banned is not None
    assert (banned.banned, banned.ban_reason, banned.banned_until) == (True, "spam", None)
    assert banned.version == banned.floor > ada.version
    (entry,) = await exam.entries()
    assert (entry.kind, entry.id, entry.below) == ("user", ada.id, banned.floor)
    assert await exam.why_dead(session) == "ended"
    row = await exam.store.sessions.get(session)
    assert row is not None
    assert (row.ended_at, row.end_reason) == (exam.clock.now(), "banned")
    (event,) = await exam.events("user.banned")
    assert (event.actor, event.address, event.detail) == ("usr_examiner", "192.0.2.1", {"reason": "spam"})
    again = await exam.store.users.ban(ada.id, "fraud", None, ORIGIN)
    assert again is not None
    assert (again.ban_reason, again.floor) == ("fraud", banned.floor)
    assert len(await exam.entries()) == 1


async def a_ban_in_time_ends_by_itself(exam: Exam) -> None:
    """While it lasts nobody logs in; after it somebody does, and what it killed stays dead."""
    ada = await exam.user()
    session = await exam.session(ada)
    until = exam.clock.now() + timedelta(hours=1)
    banned = await exam.store.users.ban(ada.id, None, until, ORIGIN)
    assert banned is not None
    assert banned.banned_until == until
    opened = await exam.store.sessions.open(exam.new_session(banned), RULES, ORIGIN)
    assert opened == Refused(reason="banned")
    exam.clock.forward(hours=1)
    free = await exam.store.users.get(ada.id)
    assert free is not None
    assert (free.banned, free.ban_reason, free.banned_until) == (False, None, None)
    assert await exam.is_alive(await exam.session(free))
    assert await exam.why_dead(session) == "ended"


async def a_lifted_ban_brings_nothing_back(exam: Exam) -> None:
    """The floor stays; to lift it twice is said once."""
    ada = await exam.user()
    session = await exam.session(ada)
    await exam.store.users.ban(ada.id, None, None, ORIGIN)
    for _ in range(2):
        free = await exam.store.users.unban(ada.id, ORIGIN)
        assert free is not None
        assert not free.banned
        assert free.floor > ada.floor
    assert await exam.why_dead(session) == "ended"
    assert len(await exam.events("user.unbanned")) == 1
    assert await exam.store.users.unban("usr_nobody", ORIGIN) is None
    assert await exam.store.users.ban("usr_nobody", None, None, ORIGIN) is None


async def a_deleted_user_stays_dead(exam: Exam) -> None:
    """His sessions go with him, the entry stays, and somebody imported under his id starts above it."""
    ada = await exam.user()
    session = await exam.session(ada)
    assert await exam.store.users.delete(ada.id, ORIGIN)
    assert not await exam.store.users.delete(ada.id, ORIGIN)
    assert await exam.store.users.get(ada.id) is None
    assert await exam.store.sessions.get(session) is None
    (entry,) = await exam.entries("user")
    exam.clock.forward(seconds=1)
    again = await exam.user(id=ada.id, email=ada.email)
    assert again.version >= entry.below > ada.version


async def a_log_out_everywhere_is_one_entry(exam: Exam) -> None:
    """It tells how many sessions ended, and may spare one; the next entry says what the one before said."""
    ada = await exam.user()
    sessions = [await exam.session(ada) for _ in range(4)]
    users = exam.store.users
    assert await users.log_out_everywhere(ada.id, "logout", ORIGIN, keep_session=sessions[2]) == 3
    assert [await exam.is_alive(session) for session in sessions] == [False, False, True, False]
    assert await users.log_out_everywhere(ada.id, "logout", ORIGIN) == 1
    assert len(await exam.entries("user")) == 1
    assert await users.log_out_everywhere("usr_nobody", "logout", ORIGIN) == 0


async def versions_rise_when_the_clock_does_not(exam: Exam) -> None:
    """Each kill gets a version of its own, also within a millisecond and after the clock went back."""
    ada = await exam.user()
    versions = [ada.version]
    for step in (0, 0, -3600, 0):
        exam.clock.forward(seconds=step)
        await exam.store.users.log_out_everywhere(ada.id, "logout", ORIGIN)
        found = await exam.store.users.get(ada.id)
        assert found is not None
        versions.append(found.version)
    assert versions == sorted(set(versions))


async def a_digest_is_never_shown(exam: Exam) -> None:
    """No record of a user prints what it must keep to itself."""
    ada = await exam.user()
    assert ada.password_digest is not None
    login = await exam.store.users.find(email_key=ada.email)
    new = NewUser(id="usr_x", email="x", email_key="x", password_digest=ada.password_digest)
    assert all(ada.password_digest not in text for text in (repr(ada), str(login), f"{new}"))


CASES: Final[tuple[Case, ...]] = (
    a_user_is_found_by_every_name,
    a_user_may_come_in_banned,
    text_of_any_kind_is_kept_or_finds_nobody,
    e_mail_and_user_name_belong_to_one,
    unknown_roles_are_refused,
    users_are_listed_in_pages,
    users_are_searched_without_case,
    users_are_counted_by_role,
    a_changed_profile_kills_nothing,
    changed_roles_show_on_living_tokens,
    a_new_password_spares_the_session_it_was_changed_in,
    only_a_living_session_of_his_own_is_spared,
    a_password_checked_before_a_kill_changes_nothing,
    a_better_hash_of_the_same_password_kills_nothing,
    a_ban_ends_everything,
    a_ban_in_time_ends_by_itself,
    a_lifted_ban_brings_nothing_back,
    a_deleted_user_stays_dead,
    a_log_out_everywhere_is_one_entry,
    versions_rise_when_the_clock_does_not,
    a_digest_is_never_shown,
)
