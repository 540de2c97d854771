"""The feed's message."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.jose.forge import ISSUER, NOW, header, private, public, token
from watchword.errors import InvalidToken
from watchword.jose import jws
from watchword.protocol import access_token, revocation_list
from watchword.protocol.revocation_list import KINDS, TYP, Entry, RevocationList


def message(**members: Any) -> RevocationList:
    found = {"iss": ISSUER, "epoch": 1, "after": 0, "sequence": 2, "iat": NOW, "kids": ("k",), **members}
    return RevocationList(**found)


def parsed(text: str) -> RevocationList:
    return revocation_list.parse(text, public("ES256"), issuer=ISSUER)


class TestMessage:
    def test_what_is_signed_is_read_back(self) -> None:
        """Every kind of entry, every member."""
        entries = tuple(
            Entry(sequence=number, kind=kind, id=f"id_{number}", below=number, excepted="ses_1", at=NOW, exp=NOW + 9,
                  claims={"roles": ["user"]}, clients=("cli_1",), keys=({"kty": "EC"},))
            for number, kind in enumerate(KINDS, 1)
        )  # fmt: skip
        sent = message(
            sequence=len(entries), entries=entries, base=3, longest_life=900, feed_keys=({"kty": "EC"},)
        )
        assert parsed(revocation_list.sign(sent, private("ES256"))) == sent

    def test_the_excepted_session_is_called_except_on_the_wire(self) -> None:
        """A word Python keeps for itself."""
        body = msgspec.json.decode(msgspec.json.encode(Entry(sequence=1, kind="user", excepted="ses_1")))
        assert body == {"sequence": 1, "kind": "user", "except": "ses_1"}

    @pytest.mark.parametrize(
        "members",
        [{"iss": "https://mallory.example"}, {"after": 3}, {"after": -1}, {"sequence": -1, "after": -1}],
    )
    def test_a_message_that_contradicts_itself_is_refused(self, members: dict[str, Any]) -> None:
        """Another issuer's, or one that runs backwards."""
        with pytest.raises(InvalidToken):
            parsed(revocation_list.sign(message(**members), private("ES256")))

    @pytest.mark.parametrize(
        "payload",
        [b"", b"{}", b"[]", b"\xff", b'{"iss":1}', b"[" * 100_000,
         b'{"iss":"https://auth.example.com","epoch":1,"after":0,"sequence":0,"iat":1,"kids":"k"}',
         b'{"iss":"https://auth.example.com","epoch":1,"after":0,"sequence":0,"iat":1,"kids":[],'
         b'"entries":[{"sequence":1,"kind":"planet"}]}'],
    )  # fmt: skip
    def test_a_malformed_message_is_refused(self, payload: bytes) -> None:
        """By our own error, though the feed's key signed it."""
        with pytest.raises(InvalidToken):
            parsed(token(header(typ=TYP), payload))

    def test_only_the_feed_s_key_speaks(self) -> None:
        """Another key, a shared secret, another type: refused."""
        body = msgspec.json.encode(message())
        with pytest.raises(InvalidToken):
            parsed(jws.sign(body, private("RS256"), typ=TYP))
        with pytest.raises(InvalidToken):
            revocation_list.parse(jws.sign(body, private("HS256"), typ=TYP), public("HS256"), issuer=ISSUER)
        with pytest.raises(InvalidToken):
            parsed(jws.sign(body, private("ES256"), typ=access_token.TYP))
