"""Signatures made in a row: what one turn of the loop asks for is signed together.

The tables of a curve fill a good part of a processor's cache. Between the work of two requests they have been driven
out of it, and a signature takes three times as long as the one behind another.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from watchword.jose.jwk import Key

__all__ = ["Signatures"]


@dataclass(slots=True, eq=False)
class _Asked:
    """What is to be signed, and who waits for it."""

    key: Key
    message: bytes = field(repr=False)
    future: asyncio.Future[bytes]


@dataclass(slots=True, eq=False)
class Signatures:
    """The row of one loop."""

    _row: list[_Asked] = field(default_factory=list, repr=False)

    def of(self, key: Key, message: bytes) -> asyncio.Future[bytes]:
        """The signature of *message* by *key*, to be awaited.

        Raises:
            InvalidKey: *key* is a public one; raised where it is awaited.
        """
        loop = asyncio.get_running_loop()
        if not self._row:
            loop.call_soon(self._sign)
        future: asyncio.Future[bytes] = loop.create_future()
        self._row.append(_Asked(key, message, future))
        return future

    def _sign(self) -> None:
        row, self._row = self._row, []
        for asked in row:
            if asked.future.cancelled():
                continue
            try:
                signature = asked.key.sign(asked.message)
            except Exception as fault:
                asked.future.set_exception(fault)
            else:
                asked.future.set_result(signature)
