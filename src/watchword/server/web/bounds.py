"""How much of each text in a request is read: every member of a body has a bound, and no work is done beyond it.

A member either has ``Meta(max_length=…)``, so that a longer text is a 422, or ``longest(…)``, so that what is longer
is cut one character past the bound. The code that uses such a member refuses the cut text exactly as it would have
refused the whole one: sign-in answers 401 to a password of 60 kB, as to any wrong password.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Annotated, Any, Final, get_args, get_origin

import msgspec
from msgspec import Meta

__all__ = ["LONGEST", "cut", "cut_members", "longest", "unbounded"]

LONGEST: Final = 4096
"""Characters of a query parameter or form field; longer than anything that any of them may hold."""

_READ: Final = "read"


def longest(most: int, description: str | None = None) -> Meta:
    """Read at most *most* characters of a text, and one more that shows it was longer."""
    return Meta(extra={_READ: most + 1}, description=description)


def cut(text: str, most: int = LONGEST) -> str:
    """*text*, or its first *most* characters and one more."""
    return text if len(text) <= most else text[: most + 1]


def cut_members(members: dict[str, Any], form: type, size: int) -> None:
    """Cut the texts that *form* says to cut, in place; they came in a body of *size* bytes."""
    least, cuts = _cuts(form)
    if size <= least:
        return  # JSON has no text of more characters than bytes
    for name, most in cuts:
        value = members.get(name)
        if type(value) is str and len(value) > most:
            members[name] = value[:most]


def unbounded(form: type) -> list[str]:
    """The members of *form* in which a text without a bound can stand; free-form objects bound what they read."""
    return [member.encode_name for member in msgspec.structs.fields(form) if not _is_bounded(member.type, ())]


@lru_cache
def _cuts(form: type) -> tuple[int, tuple[tuple[str, int], ...]]:
    found: list[tuple[str, int]] = []
    for member in msgspec.structs.fields(form):
        found += [
            (member.encode_name, meta.extra[_READ])
            for meta in _metas(member.type)
            if isinstance(meta.extra, Mapping) and _READ in meta.extra
        ]
    return min((most for _, most in found), default=0), tuple(found)


def _metas(kind: Any) -> Iterator[Meta]:
    if get_origin(kind) is Annotated:
        yield from (part for part in get_args(kind)[1:] if isinstance(part, Meta))
        return
    for part in get_args(kind):
        yield from _metas(part)


def _is_bounded(kind: Any, metas: tuple[Any, ...]) -> bool:
    if get_origin(kind) is Annotated:
        inner, *more = get_args(kind)
        return _is_bounded(inner, (*metas, *more))
    if kind is str:
        return any(
            isinstance(meta, Meta)
            and (meta.max_length is not None or meta.pattern is not None or _READ in (meta.extra or {}))
            for meta in metas
        )
    if get_origin(kind) in (dict, None):
        return kind is not Any
    if get_origin(kind) is tuple:
        many = any(isinstance(meta, Meta) and meta.max_length is not None for meta in metas)
        return many and all(_is_bounded(part, ()) for part in get_args(kind) if part is not ...)
    return all(_is_bounded(part, metas) for part in get_args(kind) if not isinstance(part, str))
