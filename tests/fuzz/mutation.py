"""Inputs nobody wrote: random bytes, and good ones spoiled in a few places."""

from __future__ import annotations

import random
from collections.abc import Sequence

__all__ = ["mutate"]

MORSELS = (
    b"", b"\0", b"\xff", b"\xef\xbb\xbf", b".", b"..", b"...", b"=", b"==", b" ", b"\r\n", b"\t", b",",
    b", Bearer x", b"Basic ",
    b'"', b"\\", b"\\u0000", b"\\ud800", b"\\u0061", b"{", b"}", b"[", b"]", b"[" * 40, b"[" * 3000,
    b'{"a":' * 20, b'{"a":' * 1500,
    b":", b"null", b"true",
    b"NaN", b"Infinity", b"1e400", b"-0", b"9" * 25, b"0.1", b'"alg":"none",', b'"kid":[],',
    b'"crit":["x"],', b'"exp":"1",',
    b'"a":1,"a":2,', b"\xed\xa0\x80", b"\xc0\xaf", "é😀".encode(), b"A" * 300, b"eyJhbGciOiJub25lIn0",
    b"wwr_", b"-----BEGIN ",
)  # fmt: skip


def mutate(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """An input made from *seeds*: now and then of random bytes alone, else one of them with up to six changes."""
    if chance.random() < 0.05:
        return chance.randbytes(chance.randrange(0, 200))
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.choice((0, 1, 1, 1, 2, 2, 3, 6))):
        _change(chance, data, seeds)
    return bytes(data)


def _change(chance: random.Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    """One change, in place."""
    place = chance.randrange(len(data) + 1)
    span = chance.choice((1, 1, 2, 4, 8, 64))
    match chance.randrange(9):
        case 0 if place < len(data):
            data[place] ^= 1 << chance.randrange(8)
        case 1 if place < len(data):
            data[place] = chance.randrange(256)
        case 2:
            data[place:place] = chance.choice(MORSELS)
        case 3:
            data[place : place + span] = chance.choice(MORSELS)
        case 4:
            del data[place : place + span]
        case 5:
            data[place:place] = data[place : place + span] * chance.choice((1, 2, 30))
        case 6:
            del data[place:]
        case 7:
            other = chance.choice(seeds)
            data[place:] = other[chance.randrange(len(other) + 1) :]
        case _:
            data[place:place] = chance.randbytes(span)
