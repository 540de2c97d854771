"""How often the secrets of people may be tried, for every door that checks one (NIST 800-63B-4 3.2.2, ASVS 6.3.1).

Somebody who guesses must be stopped, and whoever he guesses at must not be locked out by it. So failures
are counted where they come from, and the counts that a stranger can fill from afar (those of the whole
account, of a neighbourhood, of everybody) close the door to networks from which this user never came in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Self

from watchword.errors import TooManyRequests
from watchword.server.ephemeral.limits import Limit, Remembered, network_of, wide_network_of
from watchword.server.policies import LimitPolicy
from watchword.server.store.records import Origin
from watchword.server.store.store import Sessions

__all__ = ["Attempt", "Attempts"]

_EVERYBODY: Final = "everybody"


@dataclass(frozen=True, slots=True)
class Attempts:
    """The counts of failures.

    Attributes:
        here: of one account from one network: the owner elsewhere does not feel it.
        account: of one account from all networks.
        address: of one address, whatever the account.
        neighbourhood: of the network around it.
        everybody: of all.
        sessions: where a user is logged in is a network he knows.
        known: accounts and networks that belong together: a log-in succeeded there.
    """

    here: Limit
    account: Limit
    address: Limit
    neighbourhood: Limit
    everybody: Limit
    sessions: Sessions
    known: Remembered = field(default_factory=Remembered)

    @classmethod
    def of(cls, policy: LimitPolicy, sessions: Sessions, monotonic: Callable[[], float]) -> Self:
        """The counts under *policy*."""
        minute, each = policy.window, policy.attempts_per_address
        return cls(
            here=Limit(policy.attempts_per_account, minute, monotonic, longest=policy.longest_wait),
            account=Limit(
                policy.attempts_per_account and policy.failures_per_account,
                timedelta(days=30),
                monotonic,
                first=minute,
                longest=timedelta(days=1),
            ),
            address=Limit(each, minute, monotonic, longest=policy.longest_wait),
            neighbourhood=Limit(3 * each, minute, monotonic, longest=policy.longest_wait),
            everybody=Limit(30 * each, minute, monotonic),
            sessions=sessions,
        )

    async def admit(self, account: str, origin: Origin) -> Attempt:
        """Let one attempt at the secret of *account* begin: a user's id, or a word for a name that nobody has.

        Raises:
            TooManyRequests: too many failed of late; ``retry_after`` grows with each further one.
        """
        attempt = Attempt(self, account, origin, False)
        if self.wait(attempt) and await self._knows(account, origin):
            attempt = Attempt(self, account, origin, True)
        attempt.check()
        return attempt

    def wait(self, attempt: Attempt) -> int:
        """Seconds until *attempt* may be made; 0: now."""
        address = attempt.origin.address
        here = self.here.wait(attempt.key)
        if here or attempt.familiar:
            return here
        return max(
            self.account.wait(attempt.account),
            self.address.wait(network_of(address)),
            self.neighbourhood.wait(wide_network_of(address)),
            self.everybody.wait(_EVERYBODY),
        )

    async def _knows(self, account: str, origin: Origin) -> bool:
        if _key(account, origin) in self.known:
            return True
        network = network_of(origin.address)
        return any(network_of(s.address) == network for s in await self.sessions.list(account))


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at the secret of one account.

    Attributes:
        attempts: the counts.
        account: whose secret.
        origin: who tries.
        familiar: whether its owner is known to come from there.
    """

    attempts: Attempts
    account: str
    origin: Origin
    familiar: bool

    @property
    def key(self) -> str:
        """Account and network as one."""
        return _key(self.account, self.origin)

    def check(self) -> None:
        """Whether it may be made, or its outcome be told.

        Raises:
            TooManyRequests: too many failed.
        """
        if wait := self.attempts.wait(self):
            raise TooManyRequests(retry_after=wait)

    def settle(self, matched: bool) -> None:
        """Tell how it went.

        Many may have been under way at once. Those that end when the count is full are told nothing, whether they
        were right or wrong, so that a burst tries no more than a row of single ones.

        Raises:
            TooManyRequests: the others have used up what there was.
        """
        counts, address = self.attempts, self.origin.address
        try:
            self.check()
        finally:
            if not matched:
                counts.here.count(self.key)
                counts.account.count(self.account)
                counts.address.count(network_of(address))
                counts.neighbourhood.count(wide_network_of(address))
                counts.everybody.count(_EVERYBODY)
        if matched:
            counts.here.clear(self.key)
            counts.account.clear(self.account)
            counts.known.add(self.key)


def _key(account: str, origin: Origin) -> str:
    return f"{account} {network_of(origin.address)}"
