"""Signatures in a row: each is its own asker's, whatever became of the others."""

from __future__ import annotations

import asyncio

import pytest

from tests.jose.forge import private, public
from watchword.errors import InvalidKey
from watchword.server.keys.signatures import Signatures

ALGORITHMS = ("ES256", "RS256", "Ed25519")


def test_each_asker_gets_the_signature_of_what_he_asked() -> None:
    """Of one turn, with several keys."""
    asyncio.run(_each_his_own())


async def _each_his_own() -> None:
    row = Signatures()
    asked = [(name, f"{name} {number}".encode()) for number in range(3) for name in ALGORITHMS]
    made = await asyncio.gather(*(row.of(private(name), message) for name, message in asked))
    for (name, message), signature in zip(asked, made, strict=True):
        assert next(iter(public(name))).verify(signature, message)


def test_one_that_fails_or_is_called_off_stops_no_other() -> None:
    """Those behind it in the row are signed."""
    asyncio.run(_no_other_stops())


async def _no_other_stops() -> None:
    row = Signatures()
    refused = row.of(next(iter(public("ES256"))), b"no private key")
    called_off = row.of(private("ES256"), b"nobody waits")
    behind = row.of(private("ES256"), b"m")
    called_off.cancel()
    assert next(iter(public("ES256"))).verify(await behind, b"m")
    with pytest.raises(InvalidKey):
        await refused
    assert next(iter(public("ES256"))).verify(
        await row.of(private("ES256"), b"the next turn"), b"the next turn"
    )
