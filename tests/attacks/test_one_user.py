"""S4, S6: one user who has every API at hand leaves others alone: in the feed, the audit log and the mail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import pytest

from tests.attacks.attacker import AGENT, PASSWORDS, Attacker
from tests.attacks.load import newest_link
from tests.attacks.mixture import Mixture
from tests.attacks.moves import MOVES, WRITING, name_of
from tests.mailroom import Mailroom, open_mailroom
from tests.server.login.test_recovery import Post, sending
from tests.server.stage import ISSUER, ground_of
from watchword.server.store.records import Origin

pytestmark = pytest.mark.anyio

ONE: Final = ("198.51.100.7",)
MANY: Final = [f"198.51.{number}.7" for number in range(40)] + [f"2001:db8:0:{n:x}::7" for n in range(40)]
STEPS: Final = 20
STEP: Final = 3
"""Seconds."""
MOST: Final = 200
"""Requests in one step: as many as are let through from one network, and a share of them from many."""
MINE: Final = ("mallory@example.com", "mallory@example.org")


@dataclass(frozen=True)
class Left:
    """What an attack left behind."""

    sent: int
    accepted: int
    entries: int
    feed: int
    events: int
    event_bytes: int
    mails: int

    def __str__(self) -> str:
        return (
            f"{self.sent} requests, {self.accepted} accepted: {self.entries} entries in a feed of {self.feed} bytes,"
            f" {self.events} events of {self.event_bytes} bytes, {self.mails} mails to one address"
        )


def size_of(event: Any) -> int:
    """Bytes of a row of the audit log: its texts, and eight for each number."""
    texts = (event.type, event.actor, event.user_id, event.session_id, event.client_id, event.address)
    found = sum(len(text.encode()) for text in (*texts, event.user_agent) if text)
    return found + len(msgspec.json.encode(event.detail)) + 16


async def audit_log(post: Post) -> list[Any]:
    found, cursor = [], None
    while True:
        page = await post.stage.services.store.events.list(cursor=cursor, limit=200)
        found += page.items
        if (cursor := page.next) is None:
            return found


async def attack(post: Post, mixture: Mixture) -> Left:
    """A minute of it."""
    stage = post.stage
    before = {event.id for event in await audit_log(post)}
    for _ in range(STEPS):
        for _ in range(MOST):
            ask = mixture.next(stage.clock.monotonic())
            if ask is None:
                break
            headers = {b"User-Agent": AGENT, b"X-Forwarded-For": ask.address.encode()}
            if ask.bearer:
                headers[b"Authorization"] = f"Bearer {ask.bearer}".encode()
            if ask.body:
                headers[b"Content-Type"] = ask.kind.encode()
            answer = await stage.http.request(ask.method, ask.path, content=ask.body, headers=headers)
            ask.heard(answer.status_code, answer.content, float(answer.headers.get("retry-after", 1)))
        await post.settled()
        stage.clock.forward(seconds=STEP)
    events = [event for event in await audit_log(post) if event.id not in before]
    _, entries = await stage.services.store.revocations.since(0, 100_000)
    mails = Counter(recipient for mail in post.room.mails for recipient in mail.recipients)
    return Left(
        sent=sum(mixture.answers.values()),
        accepted=mixture.accepted,
        entries=len([entry for entry in entries if entry.kind != "key"]),
        feed=len((await stage.http.get("/revocations")).content),
        events=len(events),
        event_bytes=sum(map(size_of, events)),
        mails=max(mails.values(), default=0),
    )


@pytest.fixture
def room() -> Iterator[Mailroom]:
    with open_mailroom(Mailroom()) as opened:
        yield opened


@pytest.fixture(params=["sqlite", "postgres"])
async def ground(request: pytest.FixtureRequest) -> dict[str, str]:
    return await ground_of(request, request.param)


def test_f_s4_the_attacker_knows_every_route_that_writes() -> None:
    assert set(MOVES) == {name_of(route) for route in WRITING}


@pytest.mark.parametrize("networks", [ONE, MANY], ids=["one-network", "many-networks"])
async def test_f_s4_f_s6_one_user_leaves_little(
    room: Mailroom, ground: dict[str, str], networks: list[str]
) -> None:
    """A minute of everything that is let through, from one network or by a trusted proxy from many.

    At most 100 entries in the feed, 1 MB of events and 5 mails to one address.
    """
    async with sending(room, trusted_proxies="192.0.2.1/32", **ground) as post:
        users = post.stage.services.users
        digest = await post.stage.services.passwords.hash(PASSWORDS[0])
        await users.add(users.take_over(MINE[0], digest, roles=("user",), email_verified=True), Origin())
        victim = await post.stage.verified()
        attacker = Attacker(ISSUER, MINE, (victim.email, "nobody@example.com"), newest_link(room))
        left = await attack(post, Mixture(attacker, networks))
        assert left.entries <= 100, str(left)
        assert left.event_bytes <= 1_000_000, str(left)
        assert left.mails <= 5, str(left)
