"""How often the secrets of people may be tried, for every door that checks one (NIST 800-63B-4 3.2.2, ASVS 6.3.1).

Somebody who guesses must be stopped, and whoever he guesses at must not be locked out by it. So failures
are counted where they come from, and the counts that a stranger can fill from afar (those of the whole
account, of a neighbourhood, of everybody) close the door to networks from which this user never came in.

An account has one count, by whichever of its names it is tried. But what is told is the count of the name as it was
typed, whether or not it is anybody's: 429 at the e-mail address and 401 at the user name would say that both are one.
Where the account's own count is full, a guess by its other name is simply wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final, Self

from watchword.errors import TooManyRequests
from watchword.jose.algorithms import ALGORITHMS
from watchword.jose.primitive import hmac_signer
from watchword.server.ephemeral.counters import Binding, Count, Counters, Limit
from watchword.server.ephemeral.memory import Remembered
from watchword.server.ephemeral.networks import network_of, wide_network_of
from watchword.server.policies import LimitPolicy
from watchword.server.store.intentions.sessions import Sessions
from watchword.server.store.records import Origin

__all__ = ["Attempt", "Attempts"]

_EVERYBODY: Final = "everybody"


@dataclass(frozen=True, slots=True)
class Attempts:
    """The counts of failures; a limit that is ``None`` is off.

    Attributes:
        here: of one account, or one name, from one network: the owner elsewhere does not feel it.
        account: of one account, or one name, from all networks.
        address: of one address, whatever the account.
        neighbourhood: of the network around it.
        everybody: of all.
        counters: where they are counted.
        sessions: where a user is logged in is a network he knows.
        heaviest: as how many tries one counts at most, where trying costs the server more than a hash of its own.
        mac: hides in the counters what was typed for a name, which may be a password.
        known: accounts and networks that belong together: a log-in succeeded there.
    """

    here: Limit | None
    account: Limit | None
    address: Limit | None
    neighbourhood: Limit | None
    everybody: Limit | None
    counters: Counters
    sessions: Sessions
    heaviest: int
    mac: Callable[[bytes], bytes] = field(repr=False)
    known: Remembered = field(default_factory=Remembered)

    @classmethod
    def of(cls, policy: LimitPolicy, counters: Counters, sessions: Sessions, key: bytes) -> Self:
        """The counts under *policy*."""
        minute, longest = policy.window, policy.longest_wait
        one, each = policy.attempts_per_account, policy.attempts_per_address
        month, all_told = timedelta(days=30), policy.failures_per_account
        return cls(
            here=Limit.of("here", one, minute, longest=longest) if one else None,
            account=Limit.of("account", all_told, month, first=minute, longest=timedelta(days=1))
            if one and all_told
            else None,
            address=Limit.of("address", each, minute, longest=longest) if each else None,
            neighbourhood=Limit.of("neighbourhood", 3 * each, minute, longest=longest) if each else None,
            everybody=Limit.of("everybody", 30 * each, minute) if each else None,
            counters=counters,
            sessions=sessions,
            heaviest=max(1, each // 10),
            mac=hmac_signer(ALGORITHMS["HS256"], key),
        )

    async def admit(self, account: str | None, origin: Origin, *, name: str = "", cost: float = 1) -> Attempt:
        """Let one attempt at the secret of *account* begin.

        Args:
            account: a user's id; ``None``: nobody has that name.
            origin: who tries.
            name: by which name, as it was typed; none, where he who tries is logged in.
            cost: of the check, in hashes of our own; networks pay by it.

        Raises:
            TooManyRequests: too many failed of late; ``retry_after`` grows with each further one.
        """
        account = account or f"nobody {network_of(origin.address)}"
        if name:
            name = self.mac(name.encode("utf-8", "surrogatepass")).hex()
        weight = max(1, min(round(cost), self.heaviest))
        attempt = Attempt(self, account, name, origin, _key(account, origin) in self.known, weight)
        verdict = await self.counters.look(attempt.counts)
        if verdict.wait and not attempt.familiar and await self.knows(account, origin):
            attempt = replace(attempt, familiar=True)
            verdict = await self.counters.look(attempt.counts)
        if verdict.wait:
            raise TooManyRequests(retry_after=verdict.wait)
        return attempt

    async def knows(self, account: str, origin: Origin) -> bool:
        """Whether the user is known to come from there."""
        network = network_of(origin.address)
        return any(network_of(s.address) == network for s in await self.sessions.list(account))


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at the secret of one account.

    Attributes:
        attempts: the counts.
        account: whose secret.
        name: the digest of the name it is tried by; empty: there is none to hide.
        origin: who tries.
        familiar: whether its owner is known to come from there.
        weight: as how many tries it counts for networks, and for everybody.
        counts: what it takes from, and what of that stops it, and whether that is told.
    """

    attempts: Attempts
    account: str
    name: str
    origin: Origin
    familiar: bool
    weight: int = 1
    counts: Sequence[Count] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", self._counts())

    def _counts(self) -> Sequence[Count]:
        limits, address = self.attempts, self.origin.address
        shown, far = self.name or self.account, _unless(self.familiar, "openly")
        counts: list[tuple[Limit | None, str, Binding, bool]] = [
            (limits.here, _key(shown, self.origin), "openly", True),
            (limits.account, shown, far, True),
            (_weighed(limits.address, self.weight), network_of(address), far, False),
            (_weighed(limits.neighbourhood, self.weight), wide_network_of(address), far, False),
            (_weighed(limits.everybody, self.weight), _EVERYBODY, far, False),
        ]
        if self.name:
            counts += [
                (limits.here, _key(self.account, self.origin), "silently", True),
                (limits.account, self.account, _unless(self.familiar, "silently"), True),
            ]
        return [Count(limit, key, binds, proves) for limit, key, binds, proves in counts if limit is not None]

    async def settle(self, matched: bool) -> bool:
        """Tell how it went; whether he who tried is told that he was right.

        Many may have been under way at once. Those that end when the count is full are told nothing, whether they
        were right or wrong, so that a burst tries no more than a row of single ones.

        Raises:
            TooManyRequests: the others have used up what there was.
        """
        verdict = await self.attempts.counters.settle(self.counts, matched)
        # It is looked up after each one that fails, needed or not, so that the time it takes tells nothing.
        known = not (verdict.told or self.familiar) and await self.attempts.knows(self.account, self.origin)
        if known and (verdict.wait or matched):
            familiar = replace(self, familiar=True)
            verdict = await self.attempts.counters.settle(familiar.counts, matched)
        if verdict.wait:
            raise TooManyRequests(retry_after=verdict.wait)
        if verdict.told:
            self.attempts.known.add(_key(self.account, self.origin))
        return verdict.told


def _weighed(limit: Limit | None, weight: int) -> Limit | None:
    """*limit* for an attempt that takes *weight* of it."""
    return replace(limit, spacing=limit.spacing * weight) if limit is not None and weight > 1 else limit


def _unless(familiar: bool, binds: Binding) -> Binding:
    return "not" if familiar else binds


def _key(account: str, origin: Origin) -> str:
    return f"{account} {network_of(origin.address)}"
