"""A guard whose feed is behind: what happened reaches it when it asks, and not before."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from watchword import Guard
from watchword.testing import PretendIssuer
from watchword.testing.ear import Ear

__all__ = ["detach"]


def detach(guard: Guard, issuer: PretendIssuer, patch: pytest.MonkeyPatch) -> None:
    """From now on nothing of *issuer* reaches *guard* unasked; its answers do."""
    ear = guard._issuer
    assert isinstance(ear, Ear)
    issuer._ears.remove(ear)

    def confirm() -> Future[None]:
        issuer._tell(ear)
        answer: Future[None] = Future()
        answer.set_result(None)
        return answer

    patch.setattr(ear, "confirm", confirm)
