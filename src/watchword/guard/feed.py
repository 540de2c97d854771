"""What a guard needs of whoever tells it keys and revocations: the issuer over HTTP, or a test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from watchword.guard.view import View

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["Feed"]


class Feed(Protocol):
    """One issuer, as a guard hears it. Nothing of it runs in a request but ``view``, ``want`` and ``age``."""

    @property
    def view(self) -> View:
        """What is known now."""

    def want(self, kid: str) -> None:
        """Say that a token named a key nobody knows."""

    def age(self) -> float:
        """Seconds since the issuer was last heard; infinite when it never was."""

    def start(self) -> None:
        """Begin to listen, unless it listens."""

    def wait(self, seconds: float) -> None:
        """Wait for the first answer, at most *seconds* from the first start."""

    def refresh(self) -> None:
        """Ask for everything now.

        Raises:
            TemporarilyUnavailable: no acceptable answer came.
        """

    def confirm(self) -> Future[None]:
        """Ask what is new; done when every revocation before this call is known, or with why that cannot be."""

    def exchange(self, kind: str, credential: str, audience: str) -> str:
        """Trade a credential for an access token; waits for the answer.

        Raises:
            InvalidToken: it is refused.
            TemporarilyUnavailable: there is no answer.
        """

    def close(self) -> None:
        """Listen no more."""

    def forked(self) -> bool:
        """Be usable in a child process; returns whether listening has to be begun again."""

    def health(self) -> dict[str, Any]:
        """State, age, cursor and the last thing that went wrong."""
