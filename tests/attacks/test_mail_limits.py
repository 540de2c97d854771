"""S6: what leaves the server by mail has a bound for each mailbox, and for each user who causes it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.mailroom import Mailroom, open_mailroom
from tests.server.login.test_recovery import Post, sending
from tests.server.stage import PASSWORD, Stage, open_stage
from watchword.server.store.records import Origin

pytestmark = pytest.mark.anyio


@pytest.fixture
def room() -> Iterator[Mailroom]:
    with open_mailroom(Mailroom()) as opened:
        yield opened


async def change_address(stage: Stage, user_id: str, email: str) -> None:
    await stage.services.users.update(user_id, email=email, origin=Origin())


class TestNotices:
    async def test_f_s6_a_stranger_is_not_mailed_by_changes_there_and_back(self, room: Mailroom) -> None:
        """A hundred times to the address of somebody who never confirmed it: they get nothing."""
        async with sending(room) as post:
            ada = await post.stage.newcomer()
            for _ in range(100):
                await change_address(post.stage, ada.id, "stranger@example.com")
                await change_address(post.stage, ada.id, ada.email)
            await post.settled()
            assert room.to("stranger@example.com") == []
            assert room.mails == []

    async def test_f_s6_a_mailbox_gets_one_notice_an_hour_of_another_address(self, room: Mailroom) -> None:
        """A verified address is told once, however often it comes and goes, and again an hour later."""
        async with sending(room) as post:
            users = post.stage.services.users
            for hours, told in ((0, 1), (0, 1), (1, 2)):
                post.stage.clock.forward(hours=hours)
                new = users.take_over("ada@example.com", None, roles=("user",), email_verified=True)
                ada = await users.add(new, Origin())
                await change_address(post.stage, ada.id, "elsewhere@example.com")
                await post.settled()
                assert len(room.to("ada@example.com")) == told
                await users.delete(ada.id, Origin())

    async def test_f_s6_changes_of_a_password_are_told_twice_an_hour(self, room: Mailroom) -> None:
        """A hundred changes are no hundred mails."""
        async with sending(room) as post:
            ada = await post.stage.verified()
            for _ in range(20):
                await post.stage.services.users.set_password(ada.id, PASSWORD, Origin())
            await post.settled()
            assert len(room.to(ada.email)) == 2

    async def test_f_s6_asking_for_links_suppresses_no_notice(self, room: Mailroom) -> None:
        """Somebody who uses up the links of a mailbox cannot keep its owner from being told."""
        async with sending(room) as post:
            ada = await post.stage.verified()
            for _ in range(20):
                await post.ask(ada.email)
            await post.stage.services.users.set_password(ada.id, PASSWORD, Origin())
            await post.settled()
            assert len([mail for mail in room.to(ada.email) if "was changed" in mail.text]) == 1


class TestLinks:
    async def test_f_s6_a_new_account_brings_no_new_links(self, room: Mailroom) -> None:
        """Registered with the same address again and again, in any case and with any tag: three mails at once."""
        async with sending(room, registrations_per_address="0", password_resets_per_address="0") as post:
            for tag in ("", "", "", "+one", "+two"):
                email = f"Victim{tag}@example.com"
                user = await post.stage.services.users.create(email, PASSWORD, origin=Origin())
                for _ in range(6):
                    assert (await post.ask(email)).status_code == 202
                await post.settled()
                await post.stage.services.users.delete(user.id, Origin())
            assert len(room.mails) == 3

    async def test_f_s6_a_mailbox_gets_five_mails_at_once_of_all_kinds(self, room: Mailroom) -> None:
        """Links of both kinds and notices of both kinds: five, of which two are notices."""
        async with sending(room, registrations_per_address="0", password_resets_per_address="0") as post:
            ada = await post.stage.verified()
            users, asking = post.stage.services.users, await post.stage.newcomer()
            asking = await post.stage.login(asking, audience=post.stage.settings.issuer)
            for _ in range(4):
                await post.ask(ada.email)
                await users.set_password(ada.id, PASSWORD, Origin())
            await post.settled()
            await change_address(post.stage, ada.id, "elsewhere@example.com")
            await post.settled()
            for _ in range(4):
                body = {"email": ada.email}
                answer = await post.stage.http.patch("/auth/me", json=body, headers=asking.bearer)
                assert answer.status_code == 202
            await post.settled()
            assert len(room.to(ada.email)) == 5
            assert len([mail for mail in room.to(ada.email) if "was changed" in mail.text]) == 2

    async def test_f_s6_a_link_that_is_not_sent_replaces_none(self, room: Mailroom) -> None:
        """Whoever asks on for somebody else does not void the link that is in their mailbox."""
        async with sending(room) as post:
            ada = await post.stage.newcomer()
            for _ in range(8):
                await post.ask(ada.email)
            await post.settled()
            statuses = [(await post.choose(mail.token)).status_code for mail in room.to(ada.email)]
            assert sorted(statuses) == [204, 401, 401]


class TestQueue:
    async def test_f_s6_one_network_fills_a_share_of_the_queue(self, room: Mailroom) -> None:
        """While nothing is taken, whoever floods is refused and another network still gets its link."""
        async with open_stage(**room.settings, password_resets_per_address="0") as stage:
            post = Post(stage, room)
            ada = await stage.newcomer()
            statuses = [(await post.ask(f"nobody{number}@example.com")).status_code for number in range(150)]
            assert statuses.count(503) > 0
            async with stage.client("198.51.100.1") as elsewhere:
                answer = await elsewhere.post("/auth/password/forgot", json={"email": ada.email})
            assert answer.status_code == 202
