"""The domain, wired: every service over one store. The HTTP app and the command line both stand on it."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from watchword.errors import ConfigurationError, Conflict, WatchwordError
from watchword.server.accounts.passwords import PasswordService
from watchword.server.accounts.sessions import SessionService
from watchword.server.accounts.setup import SetupService
from watchword.server.accounts.shares import Shares
from watchword.server.accounts.users import UserService
from watchword.server.counting import counters_of
from watchword.server.ephemeral.counters import Counters, Limit, Turnstile
from watchword.server.ephemeral.memory import MemoryCounters
from watchword.server.ephemeral.shared import SharedCounters
from watchword.server.feed.cursor import CursorCodec
from watchword.server.feed.feed import RevocationFeed
from watchword.server.keys.maker import KeyMaker
from watchword.server.keys.ring import KeyRing
from watchword.server.keys.sealing import Sealing
from watchword.server.keys.secret import load_or_create_secret
from watchword.server.login.attempts import Attempts
from watchword.server.login.email_change import EmailChange
from watchword.server.login.flow import LoginFlow
from watchword.server.login.recovery import Recovery
from watchword.server.login.refusals import Refusals
from watchword.server.login.write_limits import WriteLimits
from watchword.server.outbox.budget import MailBudget
from watchword.server.outbox.mail import Outbox
from watchword.server.outbox.notices import Notices
from watchword.server.outbox.smtp import Smtp
from watchword.server.policies import RetentionPolicy
from watchword.server.presence import Presence, agreed
from watchword.server.settings import Settings
from watchword.server.store.open import open_store
from watchword.server.store.records import Origin
from watchword.server.store.store import Store
from watchword.server.store.workers.client import open_remote
from watchword.server.tokens.basic_session import BasicSessionService
from watchword.server.tokens.caller import Introspection
from watchword.server.tokens.claims import Claims
from watchword.server.tokens.issuance import Issuance
from watchword.server.tokens.refresh import RefreshTokenService
from watchword.server.tokens.refresh_token import RefreshTokenCodec
from watchword.server.tokens.revocation import Withdrawal
from watchword.server.tokens.target import Targets
from watchword.server.user_keys.api_keys import ApiKeyService
from watchword.server.user_keys.keys import UserKeys
from watchword.server.user_keys.signing_keys import SigningKeyService

__all__ = ["Services", "make_folder", "open_services"]

_CLEAN: Final = 15.0
"""Seconds until the next clean-up, after one that found nothing: an idle server should be quiet."""

_log = logging.getLogger("watchword.server")


def utc_now() -> datetime:
    """The clock of a running server."""
    return datetime.now(UTC)


def since_boot() -> float:
    """A clock nobody sets that counts the time the machine was suspended, where there is such a clock."""
    boot_time = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot_time is None else time.clock_gettime(boot_time)


@dataclass(frozen=True, slots=True)
class Services:
    """Every domain service, over one store."""

    store: Store
    users: UserService
    sessions: SessionService
    passwords: PasswordService
    login: LoginFlow
    refresh_tokens: RefreshTokenService
    basic_sessions: BasicSessionService
    user_keys: UserKeys
    api_keys: ApiKeyService
    signing_keys: SigningKeyService
    introspection: Introspection
    feed: RevocationFeed
    withdrawal: Withdrawal
    keys: KeyRing
    setup: SetupService
    recovery: Recovery
    email_change: EmailChange
    outbox: Outbox
    registrations: Turnstile
    writes: WriteLimits
    counters: Counters
    now: Callable[[], datetime]
    retention: RetentionPolicy
    presence: Presence | None = None
    """How others see this node; none where it does not serve, or another process writes for it."""

    @property
    def counters_away(self) -> bool:
        """Whether this process counts attempts for itself, because those it shares do not answer."""
        return isinstance(self.counters, SharedCounters) and self.counters.away

    async def run_jobs(self) -> None:
        """Follow the log, send mail, rotate keys that are due, clear what is over; until cancelled."""
        async with asyncio.TaskGroup() as jobs:
            jobs.create_task(self.feed.run())
            jobs.create_task(self.outbox.run())
            jobs.create_task(self._tick())

    async def tick(self) -> None:
        """One round of what runs by itself: rotate keys that are due, clear a bounded part of what is over."""
        await self.look()
        await self.clear()

    async def look(self) -> None:
        """What cannot wait: say that this node is here, rotate keys that are due, walk on through the sessions."""
        if self.presence is not None:
            await self.presence.tick()
        await self.keys.tick()
        if self.feed.clock.take_alarm():
            detail = {"seconds": round(self.feed.clock.behind)}
            await self.store.events.add("clock.behind", Origin(), detail=detail)
        kept = self.retention
        if self.store.engine.sweeps:
            await _sweep(kept, lambda limit: self.store.sessions.sweep(self.now() - kept.sessions, limit))

    async def clear(self) -> bool:
        """Delete a bounded part of everything else that is over; whether there was any."""
        kept, store = self.retention, self.store
        sweeps: list[Callable[[int], Awaitable[int]]] = [self.counters.sweep]
        if store.engine.sweeps:
            sweeps += [
                lambda limit: store.revocations.sweep(limit, self.feed.forgotten),
                lambda limit: store.events.sweep(self.now() - kept.events, limit),
                store.password_resets.sweep,
                store.email_changes.sweep,
            ]
        return any([await _sweep(kept, sweep) for sweep in sweeps])

    async def close(self) -> None:
        """End streams and threads, and let the store finish what it acknowledged."""
        self.feed.close()
        self.passwords.close()
        if self.presence is not None:
            await self.presence.leave()
        await self.counters.close()
        await self.store.close()

    async def _tick(self) -> None:
        time = asyncio.get_running_loop().time
        due = time()
        while True:
            try:
                await self.look()
                if time() >= due or self.counters_away:
                    due = time() + (0 if await self.clear() else _CLEAN)
            except WatchwordError:
                pass  # the database may be away for a while; the next tick tries again
            except (
                Exception
            ) as broken:  # whatever it was: the feed runs beside this, and must not end with it
                _log.error("a round of jobs broke off", exc_info=broken)
            await asyncio.sleep(1)


async def _sweep(policy: RetentionPolicy, sweep: Callable[[int], Awaitable[int]]) -> bool:
    """Delete batch after batch while whole ones are found, others write in between; whether any was found."""
    for number in range(policy.batches):
        found = await sweep(policy.batch)
        if found < policy.batch:
            return number > 0 or found > 0
    return True


@asynccontextmanager
async def open_services(
    settings: Settings,
    *,
    now: Callable[[], datetime] | None = None,
    token_bytes: Callable[[int], bytes] = os.urandom,
    monotonic: Callable[[], float] | None = None,
    serving: bool = True,
    hand_to: Path | None = None,
) -> AsyncIterator[Services]:
    """Open the store that *settings* name and wire the services over it; the schema and keys are made when missing.

    Without *now* the store says what time it is: nodes that share a database share its clock. Without *monotonic*
    shared counters have the clock of what holds them.

    A command beside a running server is not *serving*: its shell may lack the server's settings, so
    what they say of tokens and audiences is not written. With *hand_to*, another process of this server
    writes to the SQLite file, and takes what is to be written at that socket.

    Raises:
        ConfigurationError: a setting does not fit the store: its ``SECRET`` is another one, the
            database is newer than this program.
    """
    access = settings.access_tokens
    if settings.secret is None or isinstance(settings.database_path, Path):
        make_folder(settings.data_dir)
    secret = settings.secret or load_or_create_secret(settings.data_dir / "secret", token_bytes)
    sealing = Sealing.from_secret(secret, token_bytes)
    claims = Claims(access)
    if hand_to is None:
        store = await open_store(
            settings.database_path,
            now=now,
            overlay=claims.overlay,
            monotonic=monotonic,
            patience=settings.database_timeout,
        )
    else:
        store = open_remote(settings.database_path, hand_to, now=now or utc_now, overlay=claims.overlay)
    clock = store.now
    try:
        kept = await store.meta.put_new("secret_check", sealing.check_value())
        sealing = sealing.fitting(kept, settings.secret_before)
        if serving:
            await store.revocations.set_longest_life(access.longest_life)
            await store.revocations.name_issuer(access.issuer)
            if await store.apis.get(access.audience) is None:
                with suppress(Conflict):  # another node made it just now
                    await store.apis.add(access.audience, (), Origin(), built_in=True)
        maker = KeyMaker(sealing, settings.keys, access.issuer, clock)
        ring = KeyRing(store.keys, maker, settings.keys, access.audience, clock, monotonic or since_boot)
        await ring.start()
        instance = (await store.revocations.head()).instance
        counters = counters_of(settings, store, sealing, monotonic, instance, shared=hand_to is not None)
        services = _wire(
            settings, store, counters, sealing, claims, ring, clock, token_bytes, monotonic or since_boot
        )
        if serving and hand_to is None:
            compared = agreed(settings, sealing.derive("settings of nodes"))
            services = replace(services, presence=Presence(store.meta, compared, monotonic or since_boot))
        await services.feed.start()
    except BaseException:
        await store.close()
        raise
    try:
        yield services
    finally:
        await services.close()


def make_folder(folder: Path) -> None:
    """The folder of database and master key, for us only.

    Raises:
        ConfigurationError: it cannot be made, or is new to us and everybody may plant in it what we would read.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_mode & stat.S_IWOTH and not any(folder.iterdir()):
            raise ConfigurationError(f"data_dir: everybody may write to {folder}; chmod o-w it")
    except OSError as broken:
        raise ConfigurationError(f"data_dir: cannot make {folder}: {broken.strerror}") from None


def _wire(
    settings: Settings,
    store: Store,
    counters: Counters,
    sealing: Sealing,
    claims: Claims,
    ring: KeyRing,
    now: Callable[[], datetime],
    token_bytes: Callable[[int], bytes],
    monotonic: Callable[[], float],
) -> Services:
    codec = RefreshTokenCodec({1: sealing.derive("refresh-token mac 1")})
    issuance = Issuance(claims, codec, ring, now, token_bytes)
    passwords = PasswordService(settings.passwords, Shares(monotonic))
    outbox = Outbox(
        settings.mail,
        Smtp(settings.mail, now) if settings.mail.host else None,
        lambda: int.from_bytes(token_bytes(4)) / 2**32,
    )
    budget = MailBudget.of(settings.recovery.per_account, counters)
    notices = Notices(outbox, budget, claims.policy.issuer, now)
    users = UserService(store.users, passwords, notices, settings.registration, token_bytes)
    limits = settings.limits
    near = MemoryCounters(monotonic)
    writes, refusals = WriteLimits.of(limits, counters, near), Refusals(store.events, near)
    targets = Targets(store.apis, store.roles, claims.policy)
    user_keys = UserKeys(
        sessions=store.sessions,
        targets=targets,
        events=store.events,
        issuance=issuance,
        policy=settings.api_keys,
        failures=Turnstile(
            counters,
            (Limit.of("api_key", limits.attempts_per_address, limits.window, longest=limits.longest_wait),)
            if limits.attempts_per_address
            else (),
        ),
        trades=Turnstile(
            counters,
            (Limit.of("trade", 10 * limits.writes_per_user, limits.window),)
            if limits.writes_per_user
            else (),
        ),
    )
    feed = RevocationFeed(
        store.revocations,
        ring,
        claims.policy.issuer,
        settings.feed,
        now,
        monotonic,
        CursorCodec(sealing.derive("feed cursor")),
    )
    link_tries = Turnstile.lasting(counters, "password_reset", limits.resets_per_address, limits.window)
    return Services(
        store=store,
        users=users,
        sessions=SessionService(store.sessions, store.users),
        passwords=passwords,
        login=LoginFlow(
            users=store.users,
            sessions=store.sessions,
            targets=targets,
            refusals=refusals,
            passwords=passwords,
            issuance=issuance,
            session_policy=settings.sessions,
            attempts=Attempts.of(limits, counters, store.sessions, sealing.derive("typed names")),
            writes=writes,
            token_bytes=token_bytes,
        ),
        refresh_tokens=RefreshTokenService(
            store.sessions,
            issuance,
            codec,
            settings.sessions,
            feed,
            Turnstile.lasting(counters, "repeated refresh", limits.sign_ins_per_user, limits.window),
        ),
        basic_sessions=BasicSessionService(store.sessions, issuance, now, token_bytes),
        user_keys=user_keys,
        api_keys=ApiKeyService(user_keys, token_bytes),
        signing_keys=SigningKeyService(user_keys, token_bytes),
        introspection=Introspection(ring, store.sessions, feed, claims.policy, now),
        feed=feed,
        writes=writes,
        withdrawal=Withdrawal(ring, store.revocations, claims.policy),
        keys=ring,
        setup=SetupService(users, store.users, store.one_time, now, token_bytes),
        recovery=Recovery(
            store.password_resets,
            refusals,
            passwords,
            outbox,
            notices,
            budget,
            settings.recovery,
            claims.policy.issuer,
            link_tries,
            token_bytes,
        ),
        email_change=EmailChange(
            store.email_changes,
            outbox,
            notices,
            budget,
            settings.recovery,
            claims.policy.issuer,
            link_tries,
            token_bytes,
        ),
        outbox=outbox,
        registrations=Turnstile.lasting(
            counters, "registration", limits.registrations_per_address, limits.window
        ),
        counters=counters,
        now=now,
        retention=settings.retention,
    )
