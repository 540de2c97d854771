"""The exam that every back-end must pass, races included.

A case is a function of an ``Exam``: a fresh store and its clock. Whoever writes a back-end runs each
of ``CASES`` on it and asks ``check()`` afterwards; ``RACES`` are those worth running many rounds.
"""

from __future__ import annotations

from typing import Final

from tests.server.store.conformance import (
    api_keys,
    folds,
    keys,
    password_resets,
    races,
    refresh,
    registry,
    revocations,
    sessions,
    users,
)
from tests.server.store.conformance.exam import Case, Clock, Exam

__all__ = ["CASES", "RACES", "Case", "Clock", "Exam"]

RACES: Final[tuple[Case, ...]] = (*races.CASES, *password_resets.RACES)
CASES: Final[tuple[Case, ...]] = (
    *users.CASES,
    *sessions.CASES,
    *refresh.CASES,
    *api_keys.CASES,
    *registry.CASES,
    *password_resets.CASES,
    *keys.CASES,
    *revocations.CASES,
    *folds.CASES,
    *RACES,
)
