"""One thing there is to say about a token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A sentence about a token.

    Attributes:
        level: an error means that no guard may accept it; a warning, that somebody should look.
        code: a stable word for programs.
        message: the sentence.
        member: the header member or claim it is about.
    """

    level: Literal["error", "warning", "note", "good"]
    code: str
    message: str
    member: str | None = None
