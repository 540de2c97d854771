"""What a check of the doctor found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Advice"]


@dataclass(frozen=True, slots=True)
class Advice:
    """What a check found.

    Attributes:
        level: unsafe, slow, advice (could be better), or good.
        message: what is so.
        cure: the setting or the command that mends it.
    """

    level: Literal["unsafe", "slow", "advice", "good"]
    message: str
    cure: str = ""
