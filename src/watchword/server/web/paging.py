"""Which page of a list was asked for."""

from __future__ import annotations

from watchword.errors import InvalidInput
from watchword.server.web.request import Request

__all__ = ["page_of"]

_MOST = 200
_DEFAULT = 50


def page_of(request: Request) -> tuple[str | None, int]:
    """Cursor and limit of a list.

    Raises:
        InvalidInput: the limit is not a number from 1 to 200.
    """
    query = request.query
    text = query.get("limit", str(_DEFAULT))
    if not text.isascii() or not text.isdigit() or len(text) > 3 or not 1 <= int(text) <= _MOST:
        raise InvalidInput(errors=[("limit", f"must be a number from 1 to {_MOST}")])
    return query.get("cursor"), int(text)
