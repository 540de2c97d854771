"""Bodies and answers that hold a secret: what is printed of them names their members alone (ASVS 16.2.5)."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

__all__ = ["Discreet"]


class Discreet(Struct, frozen=True, kw_only=True):
    """A struct of the wire in which secrets stand: no log line or traceback that prints it shows a value."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self.__struct_fields__)})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        # Printers that ask a struct for its parts are given no more.
        return [(name, ...) for name in self.__struct_fields__]
