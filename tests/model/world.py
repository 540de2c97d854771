"""A server, guards and a network in one process, where a seed decides everything that chance decides elsewhere."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import Any

from tests.model.ear import Ear
from tests.model.oracle import Issued, Oracle
from tests.model.scheduler import Paused, Scheduler
from tests.model.watch import Watch
from tests.server.stage import Clock
from watchword.errors import InvalidToken, LastAdministrator, WatchwordError
from watchword.jose import jws
from watchword.jose.encoding import parse_json_object
from watchword.protocol.access_token import FIRST_PARTY_CLIENT_ID
from watchword.server.login.flow import LoginFlow
from watchword.server.services import Services
from watchword.server.store.records import Origin, UserChange
from watchword.server.tokens.issuance import TokenSet
from watchword.server.tokens.refresh import RefreshTokenService

PASSWORDS = ("nine-slow-lanterns", "seven-quick-lanterns")
ROLES = (("user",), ("user", "admin"), ("user", "clerk"))


@dataclass
class Person:
    """A user, and the password he has now."""

    id: str
    email: str
    password: str


@dataclass
class Held:
    """A session as its client knows it."""

    person: Person
    session: str
    refresh_token: str
    narrowed: bool


class World:
    """One run of the model.

    Args:
        random: decides.
        clock: the server's clocks.
        guards: those who must not be fooled.
    """

    def __init__(self, random: Random, clock: Clock, guards: list[Ear]) -> None:
        self.random = random
        self.clock = clock
        self.guards = guards
        self.oracle = Oracle()
        self.people: list[Person] = []
        self.held: list[Held] = []
        self.messages: list[bytes] = []
        self.true_time = True
        """Whether the server's clock was never set."""
        self.refused = self.accepted = 0

    def open(self, services: Services) -> None:
        """Begin on *services*."""
        self.services = services
        self.scheduler = Scheduler(self.random, self._step)
        watch, store = Watch(self.oracle, self.scheduler, services.store), services.store
        self.users = Paused(store.users, self.scheduler, watch.users)
        self.sessions = Paused(store.sessions, self.scheduler, watch.sessions)
        self.log = Paused(store.revocations, self.scheduler, watch.log)
        self.clients = Paused(store.clients, self.scheduler, watch.clients)
        # Wherever others are waited for, Valkey included, the scheduler says who goes on.
        counters: Any = Paused(services.counters, self.scheduler)
        self.login: LoginFlow = replace(
            services.login,
            users=self.users,
            sessions=self.sessions,
            targets=replace(
                services.login.targets,
                apis=Paused(store.apis, self.scheduler),  # type: ignore[arg-type]
                roles=Paused(store.roles, self.scheduler),  # type: ignore[arg-type]
            ),
            refusals=replace(
                services.login.refusals,
                events=Paused(store.events, self.scheduler),  # type: ignore[arg-type]
            ),
            passwords=Paused(services.passwords, self.scheduler),  # type: ignore[arg-type]
            writes=replace(services.login.writes, counters=counters),
            attempts=replace(
                services.login.attempts,
                counters=counters,
                sessions=self.sessions,
            ),
        )
        self.refresh_tokens: RefreshTokenService = replace(
            services.refresh_tokens,
            sessions=self.sessions,
            repeats=replace(services.refresh_tokens.repeats, counters=counters),
        )
        services.feed.log = self.log
        services.keys.keys = Paused(store.keys, self.scheduler, watch.keys)
        # Nobody sleeps here: who hears of a key too late refuses its tokens for a while, which kills nobody.
        services.keys.policy = replace(services.keys.policy, reach=timedelta(0))
        services.keys.maker = Paused(services.keys.maker, self.scheduler)  # type: ignore[assignment]

    async def populate(self, people: int) -> None:
        """Make the people of this run."""
        await self.services.store.roles.set("clerk", ("pay",), Origin())
        for number in range(people):
            user = await self.services.users.create(
                f"user{number}@example.com", PASSWORDS[0], roles=("user",), origin=Origin()
            )
            self.people.append(Person(user.id, user.email, PASSWORDS[0]))
        await self.services.feed.poll()
        for guard in self.guards:
            guard.update(self.services)

    def _step(self) -> None:
        self.clock.forward(seconds=self.random.choice((0, 0, 0, 0, 0.001, 0.3, 2)))

    # what actors do

    async def log_in(self, person: Person, *, narrowed: bool) -> None:
        try:
            result = await self.login.password(
                email=person.email,
                password=person.password,
                scope="profile" if narrowed else None,
                origin=Origin(),
            )
        except WatchwordError:
            return
        self.held.append(Held(person, result.tokens.session_id, result.tokens.refresh_token, narrowed))
        self._issued(result.tokens)

    async def refresh(self, held: Held) -> None:
        try:
            tokens = await self.refresh_tokens.rotate(held.refresh_token, origin=Origin())
        except WatchwordError:
            return
        held.refresh_token = tokens.refresh_token
        self._issued(tokens)

    async def three_tabs(self, held: Held) -> None:
        for number in range(3):
            self.scheduler.start(f"tab {number} of {held.session} {self.random.random()}", self.refresh(held))

    async def change_roles(self, person: Person) -> None:
        with suppress(LastAdministrator):
            await self.users.update(person.id, UserChange(roles=self.random.choice(ROLES)), Origin())

    async def ban(self, person: Person) -> None:
        until = None if self.random.random() < 0.3 else self.clock.now().replace(microsecond=0)
        with suppress(LastAdministrator):
            await self.users.ban(person.id, "model", until, Origin())
        if self.random.random() < 0.7:
            await self.users.unban(person.id, Origin())

    async def change_password(self, person: Person) -> None:
        mine = [held.session for held in self.held if held.person is person]
        found = await self.users.find(email_key=person.email)
        new = PASSWORDS[1] if person.password == PASSWORDS[0] else PASSWORDS[0]
        digest = await self.scheduler.apart(self.services.passwords.hash(new))
        kept = self.random.choice(mine) if mine and self.random.random() < 0.6 else None
        changed = await self.users.set_password(
            person.id, digest, Origin(), expected_version=found.version, keep_session=kept
        )
        if changed is not None:
            person.password = new

    async def log_out(self, held: Held) -> None:
        await self.sessions.end(held.session, "logout", Origin())

    async def log_out_everywhere(self, person: Person) -> None:
        await self.users.log_out_everywhere(person.id, "logout", Origin())

    async def revoke_token(self) -> None:
        if self.oracle.tokens:
            token = self.random.choice(self.oracle.tokens)
            await self.log.revoke_token(token.jti, token.session, self.clock.now(), Origin())

    async def brake(self) -> None:
        await self.log.brake(Origin())

    async def client(self) -> None:
        await self.clients.disable(FIRST_PARTY_CLIENT_ID, Origin())
        await self.clients.disable(FIRST_PARTY_CLIENT_ID, Origin(), disabled=False)

    async def rotate(self) -> None:
        try:
            purpose = self.random.choice(("token", "feed"))
            await self.services.keys.rotate(purpose=purpose, immediately=True, origin=Origin())  # type: ignore[arg-type]
        except WatchwordError:
            return

    async def compromise(self) -> None:
        keys = await self.services.keys.list(self.random.choice(("token", "feed")))  # type: ignore[arg-type]
        active = [key.kid for key in keys if key.state == "active"]
        try:
            await self.services.keys.compromise(active[0], Origin())
        except WatchwordError:
            return

    async def set_clock(self) -> None:
        """Somebody sets the server's clock, and sets it right again."""
        self.true_time = False
        hour = timedelta(hours=self.random.choice((-1, 1)))
        self.clock.at += hour
        await self.scheduler.pause()
        await self.scheduler.pause()
        self.clock.at -= hour

    async def network(self, turns: int) -> None:
        """Bring messages to guards: late, twice, in another order, torn, forged or not at all."""
        for _ in range(turns):
            await self.scheduler.pause()
            guard = self.random.choice(self.guards)
            match self.random.choice(
                ("poll", "poll", "old", "old", "new", "torn", "update", "restart", "tidy")
            ):
                case "poll":
                    await self.poll()
                case "old" if self.messages:
                    guard.hear(self.random.choice(self.messages))
                case "new":
                    for message in self.messages[-3:]:
                        guard.hear(message)
                case "torn" if self.messages:
                    message = bytearray(self.random.choice(self.messages))
                    message[self.random.randrange(len(message))] ^= 1
                    guard.hear(bytes(message))
                case "update":
                    guard.update(self.services)
                case "restart" if self.random.random() < 0.3:
                    guard.restart()
                case "tidy":
                    guard.known.sweep()
                    await self.log.sweep(10, self.services.feed.forgotten)
            await self.scheduler.apart(self.check())

    async def poll(self) -> None:
        """The feed reads the log and says what is new."""
        before = self.services.feed.sequence
        try:
            await self.services.feed.poll()
        except WatchwordError:
            return
        self.messages.append(self.services.feed.delta(self.random.choice((before, before, 0))))

    # what must hold

    async def check(self) -> None:
        """No guard takes what it must know to be dead, and the server itself takes nothing dead at all."""
        for token in self.oracle.tokens:
            for guard in self.guards:
                self._check(guard, token)
            await self._check_server(token)

    async def check_all_heard(self) -> None:
        """Once everybody has heard everything, what lives is taken, too."""
        await self.services.feed.poll()
        for guard in self.guards:
            guard.update(self.services)
            assert self.oracle.unnoticed or guard.seen == (
                self.services.feed.epoch,
                self.services.feed.sequence,
            )
        await self.check()
        for token in self.oracle.tokens:
            for guard in self.guards:
                if self.oracle.unnoticed or not self.true_time or guard.offset or token.exp <= guard.wall()():
                    continue
                if self.oracle.killer(token, guard.seen) is None:
                    assert guard.verify(token.text) is not None, f"alive and refused: {token}"
                    self.accepted += 1

    async def check_data(self) -> None:
        """The store is whole; its rules compare times, so a clock that was set would be blamed on it."""
        if self.true_time:
            assert await self.services.store.check() == []

    def _check(self, guard: Ear, token: Issued) -> None:
        principal = guard.verify(token.text)
        if self.oracle.unnoticed:
            return
        killer = self.oracle.killer(token, guard.seen)
        if killer is not None:
            assert principal is None, f"dead and accepted at {guard.seen}: {token} {killer}"
            self.refused += 1
        elif principal is not None:
            allowed = self.oracle.roles(token, guard.seen)
            assert principal.roles in allowed, f"{principal.roles} shown, {allowed} allowed: {token}"
            assert (principal.claims.get("admin") is True) == ("admin" in principal.roles)

    async def _check_server(self, token: Issued) -> None:
        if self.oracle.unnoticed:
            return
        killer = self.oracle.killer(token, (2**62, 0))
        if killer is None or killer.kind in ("token", "key"):
            return  # those two are read from what this node last heard
        introspection = replace(self.services.introspection, sessions=self.services.store.sessions)
        try:
            await introspection.authenticate([f"Bearer {token.text}"], audience="first-party")
        except InvalidToken:
            return
        raise AssertionError(f"the server itself took a dead token: {token} {killer}")

    def _issued(self, tokens: TokenSet) -> None:
        parsed = jws.parse(tokens.access_token)
        claims = parse_json_object(parsed.payload)
        self.oracle.tokens.append(
            Issued(
                text=tokens.access_token,
                jti=claims["jti"],
                kid=str(parsed.kid),
                user=claims["sub"],
                session=claims["sid"],
                client=claims["client_id"],
                roles=tuple(claims["roles"]),
                narrowed="narrowed" in claims,
                exp=claims["exp"],
                facts=self.oracle.facts_of(self.scheduler.actor),
            )
        )
