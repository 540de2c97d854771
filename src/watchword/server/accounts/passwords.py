"""Passwords: what one must be, how it is hashed, and how many are hashed at once.

Argon2id runs in threads of its own; the queue before them is bounded by time, so that a flood of
log-ins costs a known amount of memory and the rest is refused at once instead of waiting. Hashes of
other programs may take a hundred times as long, so they have a thread and a queue of their own: whoever
has a hash of ours never waits for one of theirs. Networks that take a large share of the work have
another one, so that the others don't wait for them either.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

from argon2 import PasswordHasher, Type, extract_parameters
from argon2.exceptions import Argon2Error, InvalidHashError
from argon2.low_level import ARGON2_VERSION

from watchword.errors import InvalidInput
from watchword.server.accounts.blocklist import is_common
from watchword.server.accounts.foreign_hashes import is_foreign, seconds_of, verify_foreign
from watchword.server.accounts.shares import Shares
from watchword.server.accounts.turns import Turns
from watchword.server.ephemeral.networks import wide_network_of
from watchword.server.policies import PasswordPolicy
from watchword.server.threads import Threads

__all__ = ["PasswordService", "normalise_password"]

_LEAST: Final = 0.0005
"""Seconds that a check of our own is taken to cost at least, with the rest of a log-in."""
_FOREIGN_WAITING: Final = 8
"""Checks of foreign hashes that may wait in any case: one of them may take seconds."""
_NICE: Final = 10
"""Foreign hashes get what the rest leaves: a tenth of a processor at least."""
_NICE_BEHIND: Final = 5
"""Networks with a large share get a quarter of a processor at least."""
_ABOUT_OURS: Final = 4
"""How much longer than a hash of today's settings one of other settings may take beside them."""


def normalise_password(password: str) -> str:
    """The form of a password that is hashed, the same when set and when checked (RFC 8265 4.2).

    Unicode spaces become U+0020 and the text NFC, so that two keyboards that write one letter in two
    ways agree; nothing is folded, trimmed or cut.
    """
    if password.isascii():
        return password
    spaced = "".join(" " if unicodedata.category(c) == "Zs" else c for c in password)
    return unicodedata.normalize("NFC", spaced)


@dataclass(slots=True)
class PasswordService:
    """Hashes and verifies passwords in its own bounded pool, for one network after the other.

    Raises, from ``hash`` and ``verify``:
        TemporarilyUnavailable: more work waits than one queue span.
    """

    policy: PasswordPolicy
    shares: Shares = field(default_factory=Shares, repr=False)
    _hasher: PasswordHasher = field(init=False, repr=False)
    _own: Turns = field(init=False, repr=False)
    _behind: Turns = field(init=False, repr=False)
    _foreign: Turns = field(init=False, repr=False)
    _decoy: str = field(init=False, repr=False)
    _settings: str = field(init=False, repr=False)
    """How a digest made with today's settings begins."""
    _seconds: float = field(init=False, repr=False)
    """What one of those costs, about."""

    def __post_init__(self) -> None:
        policy = self.policy
        self._hasher = PasswordHasher(
            time_cost=policy.passes, memory_cost=policy.memory, parallelism=policy.lanes
        )
        started = perf_counter()
        self._decoy = self._hasher.hash("an account that does not exist")
        self._settings = self._decoy.rsplit("$", 2)[0] + "$"
        self._seconds = max(seconds_of(self._decoy), _LEAST)
        cost, span = max(perf_counter() - started, _LEAST), policy.queue.total_seconds()
        self._own = Turns(Threads(policy.threads, "argon2"), span, policy.threads, cost)
        behind = Threads(policy.threads, "argon2 behind", nice=_NICE_BEHIND)
        self._behind = Turns(behind, span, policy.threads, cost)
        self._foreign = Turns(Threads(1, "foreign hashes", nice=_NICE), span, _FOREIGN_WAITING, cost)

    @property
    def waiting(self) -> int:
        """How many computations are asked for and not done."""
        return self._own.pending + self._behind.pending + self._foreign.pending

    async def hash(self, password: str, address: str | None = None) -> str:
        """The PHC string of *password*, which came from *address*."""
        network = wide_network_of(address)
        return await self._turns(network).run(
            lambda: self._hasher.hash(normalise_password(password)), network
        )

    def cost(self, digest: str | None) -> float:
        """How many of our own hashes a check of *digest* costs, about; 1 or more."""
        if digest is None or digest.startswith(self._settings):
            return 1
        # Both are estimates, so that a busy hour makes no foreign hash look cheap.
        return max(1, seconds_of(digest) / self._seconds)

    def _is_apart(self, digest: str) -> bool:
        """Whether a check must not keep those of our own hashes waiting."""
        return is_foreign(digest) or self.cost(digest) > _ABOUT_OURS

    async def verify(self, digest: str | None, password: str, address: str | None = None) -> bool:
        """Whether *password*, from *address*, made *digest*; without a digest the same work is done for a False.

        A password no account can have (too long, NUL) is answered False after the same work: a
        log-in never says what a password may look like.
        """
        possible = digest is not None and self._fits(password)
        target = digest if digest is not None and possible else self._decoy
        text = normalise_password(password) if possible else "no such account"
        network = wide_network_of(address)
        if self._is_apart(target):
            matched = await self._foreign.run(lambda: verify_foreign(target, text), network)
        else:
            matched = await self._turns(network).run(lambda: self._verify(target, text), network)
        return matched and possible

    def _turns(self, network: str) -> Turns:
        return self._behind if self.shares.take(network) else self._own

    def needs_rehash(self, digest: str) -> bool:
        """Whether *digest* was made with weaker settings than today's (OWASP Password Storage).

        A stronger one stays: going back to a cheaper profile must not weaken what is there.
        """
        if digest.startswith(self._settings):
            return False
        try:
            made = extract_parameters(digest)
        except InvalidHashError:
            return True
        policy = self.policy
        return (
            made.type is not Type.ID
            or made.version < ARGON2_VERSION
            or made.memory_cost < policy.memory
            or made.memory_cost * made.time_cost < policy.memory * policy.passes
        )

    def check(self, password: str, *, about: tuple[str | None, ...] = (), member: str = "password") -> None:
        """Whether *password* may be set (NIST 800-63B-4 3.1.1.2): long enough, not common, not about its owner.

        Args:
            password: the new password.
            about: e-mail, name and user name of the owner, which must not be the password.
            member: the name of the field, for the error.

        Raises:
            InvalidInput: it may not.
        """
        fault = self._fault(password, about)
        if fault is not None:
            raise InvalidInput(errors=[(member, fault)])

    def _fault(self, password: str, about: tuple[str | None, ...]) -> str | None:
        if len(password.encode("utf-8", "surrogatepass")) > self.policy.maximum_bytes:
            return f"must not be longer than {self.policy.maximum_bytes} bytes"
        if not self._fits(password):
            return "must not hold a NUL or a lone surrogate"
        text = normalise_password(password)
        if len(text) < self.policy.minimum_length:
            return f"must have at least {self.policy.minimum_length} characters"
        folded = text.casefold()
        if is_common(folded):
            return "is among the passwords tried first by every attacker"
        for word in about:
            if word and folded in (word.casefold(), word.casefold().partition("@")[0]):
                return "must not be the e-mail address or the name of its owner"
        return None

    def _fits(self, password: str) -> bool:
        try:
            raw = password.encode()
        except UnicodeEncodeError:
            return False
        return len(raw) <= self.policy.maximum_bytes and b"\0" not in raw

    def _verify(self, digest: str, password: str) -> bool:
        try:
            return self._hasher.verify(digest, password)
        except (Argon2Error, InvalidHashError):
            return False

    def close(self) -> None:
        """Let the threads go."""
        self._own.close()
        self._behind.close()
        self._foreign.close()
