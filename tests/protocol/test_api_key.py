"""The API key as a text: one form, one reading, a slip seen without a query."""

from __future__ import annotations

import re
from hashlib import sha256

import pytest

from watchword.errors import InvalidGrant
from watchword.protocol.api_key import PATTERN, ApiKey, parse_api_key

KEY = ApiKey(bytes(range(16)), bytes(range(16, 32)))
TEXT = KEY.text()


class TestText:
    def test_it_is_read_as_it_was_written(self) -> None:
        """Session and secret come back, from the least and the greatest number too."""
        for key in (KEY, ApiKey(bytes(16), bytes(16)), ApiKey(b"\xff" * 16, b"\xff" * 16)):
            assert len(key.text()) == 53
            assert parse_api_key(key.text()) == key
        assert KEY.session_id == "ses_AAECAwQFBgcICQoLDA0ODw"
        assert KEY.secret_digest == sha256(bytes(range(16, 32))).digest()

    def test_a_scanner_finds_it_in_a_heap_of_text(self) -> None:
        """The published expression takes the whole key and nothing around it."""
        heap = f'export TOKEN="{TEXT}"; curl -u {TEXT}: https://x/{TEXT}?a=wwk_short'
        assert re.findall(PATTERN, heap) == [TEXT, TEXT, TEXT]

    def test_every_slip_of_one_digit_is_seen(self) -> None:
        """Whatever digit is mistyped, and any two neighbours that change places: it is no key."""
        for at in range(4, len(TEXT)):
            for digit in "0Zz":
                if digit != TEXT[at]:
                    self.refuse(TEXT[:at] + digit + TEXT[at + 1 :])
            swapped = TEXT[:at] + TEXT[at : at + 2][::-1] + TEXT[at + 2 :]
            if swapped != TEXT:
                self.refuse(swapped)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "wwk_",
            "wwr_" + TEXT[4:],
            TEXT.upper(),
            TEXT + "\n",
            " " + TEXT,
            TEXT + "0",
            TEXT[:-1],
            TEXT[:20] + "-" + TEXT[21:],
            TEXT[:20] + "٣" + TEXT[21:],
        ],
    )
    def test_nothing_else_is_one(self, text: str) -> None:
        """Another prefix, case, length, a space, a digit of another script."""
        self.refuse(text)

    def test_a_number_beyond_the_greatest_is_none(self) -> None:
        """One key has one text: no number above 32 bytes is read, though its checksum is right."""
        from zlib import crc32

        digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
        body, check = "wwk_" + "z" * 43, crc32(("wwk_" + "z" * 43).encode())
        tail = "".join(digits[check // 62**place % 62] for place in reversed(range(6)))
        self.refuse(body + tail)

    def test_the_secret_is_not_in_print(self) -> None:
        """A key that lands in a log by its ``repr`` gives nothing away."""
        assert repr(KEY.secret) not in repr(KEY)
        assert TEXT not in repr(KEY)

    def refuse(self, text: str) -> None:
        with pytest.raises(InvalidGrant):
            parse_api_key(text)
