"""Queries and forms are read as the library reads them, and within a bounded time."""

from __future__ import annotations

from random import Random
from urllib.parse import parse_qsl

import pytest

from tests.server.stage import open_stage, problem
from watchword.server.web.urlencoded import parse_fields


class TestReading:
    def test_it_is_that_of_the_library(self) -> None:
        """Twenty thousand texts made of what matters to it."""
        random = Random(7)
        for _ in range(20_000):
            text = "".join(random.choice("ab&==%%%41e9+; é€\0") for _ in range(random.randrange(30)))
            pairs = parse_qsl(text, keep_blank_values=True)
            if len({name for name, _ in pairs}) == len(pairs):
                assert parse_fields(text.encode()) == dict(pairs)
            else:
                with pytest.raises(ValueError, match="twice"):
                    parse_fields(text.encode())

    def test_every_byte_can_be_escaped(self) -> None:
        """In both cases, alone and in a row."""
        raw = bytes(range(256))
        for form in ("%{:02x}", "%{:02X}"):
            row = "".join(form.format(byte) for byte in raw).encode()
            apart = b"-".join(form.format(byte).encode() for byte in raw)
            assert parse_fields(b"a=" + row) == {"a": raw.decode("utf-8", "replace")}
            assert parse_fields(b"a=" + apart) == {
                "a": b"-".join(bytes([byte]) for byte in raw).decode("utf-8", "replace")
            }

    def test_a_long_value_is_never_taken_for_its_beginning(self) -> None:
        """It stays longer than anything that is wanted, however it is written."""
        for unit in (b"a", b"%61", b"%F0%9F%94%91", "\U0001f511".encode()):
            found = parse_fields(b"a=" + (unit * 5_000)[: 8_000 * len(unit) if unit == b"a" else 24_000])
            assert len(found["a"]) > 1_024


class TestBounds:
    @pytest.mark.anyio
    async def test_f_s3_a_query_of_escapes_is_refused(self) -> None:
        """400 for one that nobody needs; many fields are one, too."""
        async with open_stage() as stage:
            for query in ("a=" + "%41" * 9_000, "&".join(f"a{n}=" for n in range(51)), "after=0&after=0"):
                problem(await stage.http.get(f"/revocations?{query}"), 400, "invalid_request")
