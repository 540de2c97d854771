"""Programs of their own beside a server under attack: the attacker, somebody else who uses it, and a harmless server.

``python -m tests.attacks.load ROLE SETTINGS``; the settings, and what each program found, are JSON.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from tests.attacks.attacker import AGENT, PASSWORDS, Attacker
from tests.attacks.mixture import Mixture
from tests.attacks.wire import Line, Refusing, request
from tests.mailroom import Mailroom, open_mailroom

__all__ = ["AttackPlan", "OthersPlan", "newest_link"]

_TOKEN: Final = re.compile(rb"\?token=([\w-]+)")
_LINES: Final = 64
"""Requests of the attacker at once."""


def newest_link(room: Mailroom) -> Any:
    """The function that tells the newest link's token that a mailbox was sent, each once."""
    used = set[bytes]()

    def newest(address: str) -> str | None:
        for mail in reversed(room.mails):
            found = _TOKEN.search(mail.raw) if address in mail.recipients else None
            if found and found[1] not in used:
                used.add(found[1])
                return found[1].decode()
        return None

    return newest


@dataclass(frozen=True)
class AttackPlan:
    """Who attacks, how fast, and for how long; mail for everybody arrives at *mail_port*."""

    port: int
    mail_port: int
    issuer: str
    mailboxes: tuple[str, str]
    strangers: tuple[str, ...]
    networks: tuple[str, ...]
    rate: float
    seconds: float


@dataclass
class Attack:
    """What became of it."""

    sent: int = 0
    late: int = 0
    """Requests that were due while every line waited for an answer."""
    accepted: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    moves: dict[str, int] = field(default_factory=dict)
    mails: dict[str, int] = field(default_factory=dict)


async def attack(plan: AttackPlan, room: Mailroom) -> Attack:
    who = Attacker(plan.issuer, plan.mailboxes, plan.strangers, newest_link(room))
    mixture, seen = Mixture(who, plan.networks), Attack()
    free = [Line(plan.port) for _ in range(_LINES)]
    begun, tasks = time.monotonic(), set[asyncio.Task[None]]()

    async def one(line: Line) -> None:
        ask = mixture.next(time.monotonic(), stubborn=True)
        assert ask is not None
        fields: dict[str, str | bytes] = {"User_Agent": AGENT}
        if ask.bearer:
            fields["Authorization"] = f"Bearer {ask.bearer}"
        if ask.address:
            fields["X_Forwarded_For"] = ask.address
        try:
            ask.heard(*await line.ask(request(ask.method, ask.path, ask.body, kind=ask.kind, **fields)))
        finally:
            free.append(line)

    for number in itertools.count():
        due = begun + number / plan.rate
        if due > begun + plan.seconds:
            break
        await asyncio.sleep(max(due - time.monotonic(), 0))
        if free:
            seen.sent += 1
            tasks.add(task := asyncio.ensure_future(one(free.pop())))
            task.add_done_callback(tasks.discard)
        else:
            seen.late += 1
    await asyncio.gather(*tasks)
    statuses, moves = Counter[str](), Counter[str]()
    for (move, status), count in mixture.answers.items():
        statuses[str(status)] += count
        moves[move] += count if status < 300 else 0
    seen.accepted, seen.statuses, seen.moves = mixture.accepted, dict(statuses), dict(moves)
    return seen


@dataclass(frozen=True)
class OthersPlan:
    """Who else signs in, how often a second, and which guarded address is read with which token."""

    port: int
    emails: tuple[str, ...]
    address: str
    logins: float
    api_port: int
    path: str
    token: str
    pause: float
    seconds: float


@dataclass
class Others:
    """How long each waited, in seconds, and what was not answered as it should."""

    logins: list[float] = field(default_factory=list)
    reads: list[float] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)


async def use(plan: OthersPlan) -> Others:
    seen, refused = Others(), Counter[str]()
    begun = time.monotonic()

    async def timed(line: Line, raw: bytes, waits: list[float], what: str) -> None:
        started = time.perf_counter()
        status, _, _ = await line.ask(raw)
        waits.append(time.perf_counter() - started)
        if status != 200:
            refused[f"{what} {status}"] += 1

    async def sign_in() -> None:
        tasks = []
        for number in range(int(plan.logins * plan.seconds)):
            await asyncio.sleep(max(begun + number / plan.logins - time.monotonic(), 0))
            email = plan.emails[number % len(plan.emails)]
            body = json.dumps({"email": email, "password": PASSWORDS[0]}).encode()
            raw = request("POST", "/auth/login", body, X_Forwarded_For=plan.address)
            tasks.append(asyncio.ensure_future(timed(Line(plan.port), raw, seen.logins, "sign-in")))
        await asyncio.gather(*tasks)

    async def read() -> None:
        line, raw = Line(plan.api_port), request("GET", plan.path, Authorization=f"Bearer {plan.token}")
        while time.monotonic() < begun + plan.seconds:
            await timed(line, raw, seen.reads, "guarded GET")
            await asyncio.sleep(plan.pause)

    await asyncio.gather(sign_in(), read())
    seen.refused = dict(refused)
    return seen


async def refuse(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Refusing, "127.0.0.1", port)
    print("listening", flush=True)
    await server.serve_forever()


def main(role: str, settings: dict[str, Any]) -> None:
    if role == "refuse":
        asyncio.run(refuse(**settings))
    elif role == "others":
        print(json.dumps(asdict(asyncio.run(use(OthersPlan(**settings))))))
    else:
        plan = AttackPlan(**settings)
        with open_mailroom(Mailroom(port=plan.mail_port)) as room:
            found = asyncio.run(attack(plan, room))
            # What was asked for last is sent soon.
            time.sleep(3)
            found.mails = dict(Counter(address for mail in room.mails for address in mail.recipients))
        print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
