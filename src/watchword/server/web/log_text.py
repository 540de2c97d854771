"""Text of strangers in a line of the log: it stays in its line, and in its value."""

from __future__ import annotations

from typing import Final

__all__ = ["printable", "told"]

_CONTROL: Final = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {
    code: f"\\u{code:04x}"
    for code in (0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x2028, 0x2029)
}
_CONTROL_BUT_LINES: Final = {code: text for code, text in _CONTROL.items() if code != ord("\n")}
_APART: Final = frozenset(" \t=\r\n\"'")
"""Characters for which a value is quoted."""


def printable(text: str, *, lines: bool = False) -> str:
    """*text* without characters that forge lines, move a terminal's cursor or turn text around (CWE-117).

    Args:
        text: anything.
        lines: whether its line breaks stay.
    """
    return text.translate(_CONTROL_BUT_LINES if lines else _CONTROL)


def told(value: object) -> str:
    """A value as people read it: quoted where its end would be in doubt."""
    return value if isinstance(value, str) and _APART.isdisjoint(value) else repr(value)
