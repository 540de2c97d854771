"""The pytest plug-in: the fixture ``watchword_issuer``.

Every pytest run on a machine with Watchword imports this file, so it imports nothing of Watchword itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from watchword.testing.issuer import PretendIssuer

__all__ = ["watchword_issuer"]


@pytest.fixture
def watchword_issuer() -> Iterator[PretendIssuer]:
    """A pretend issuer: it mints tokens, revokes them, moves the clock; guards it took over are given back."""
    from watchword.testing.issuer import PretendIssuer

    with PretendIssuer() as issuer:
        yield issuer
