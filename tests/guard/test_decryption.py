"""A guard that opens encrypted tokens."""

from __future__ import annotations

from typing import Any

import pytest

from tests.guard.stage import ISSUER, OTHER_KEY, TOKEN_KEY, Clock, claims
from watchword import Guard
from watchword.errors import ConfigurationError, InvalidToken
from watchword.jose.jwe import EncryptionKey, encrypt
from watchword.protocol import access_token
from watchword.protocol.basic import format_basic

KEY = EncryptionKey.generate()
NEXT = EncryptionKey.generate()
PRIVATE = {"keys": [KEY.private_jwk(), NEXT.private_jwk()]}
JWKS = {"keys": [TOKEN_KEY.public_jwk()]}


def guard(clock: Clock, **options: Any) -> Guard:
    given = {"decryption_keys": PRIVATE, **options}
    return Guard(ISSUER, keys=JWKS, clock=clock.time, **given)


def mint(clock: Clock, key: EncryptionKey = KEY, **more: Any) -> str:
    """An encrypted access token."""
    return encrypt(access_token.issue(claims(clock.wall, **more), TOKEN_KEY), key, typ="at+jwt")


def refused(by: Guard, token: str) -> str:
    with pytest.raises(InvalidToken) as caught:
        by.verify(token)
    return caught.value.description


class TestDecryption:
    @pytest.mark.parametrize("key", [KEY, NEXT])
    def test_it_opens_and_then_verifies(self, key: EncryptionKey) -> None:
        """The principal is that of the token inside, by either of its keys."""
        clock = Clock()
        assert guard(clock).verify(mint(clock, key)).subject == "usr_ada"

    def test_s64_without_a_key_it_says_what_is_missing(self) -> None:
        """It is encrypted, not broken."""
        clock = Clock()
        assert "encrypted and no key" in refused(guard(clock, decryption_keys=None), mint(clock))

    def test_another_s_token_is_not_opened(self) -> None:
        """Encrypted to a key that this API does not have."""
        clock = Clock()
        assert "not known here" in refused(guard(clock), mint(clock, EncryptionKey.generate()))

    def test_what_is_inside_is_checked_as_ever(self) -> None:
        """Encryption proves nothing: anybody has the public key."""
        clock = Clock()
        by = guard(clock)
        forged = access_token.issue(claims(clock.wall), OTHER_KEY)
        assert "signing key" in refused(by, encrypt(forged, KEY, typ="at+jwt"))
        assert "expired" in refused(by, mint(clock, exp=int(clock.wall) - 60))
        assert "audience" in refused(by, mint(clock, aud="other"))
        assert "not a compact JWS" in refused(by, encrypt('{"sub":"usr_ada"}', KEY, typ="at+jwt"))
        assert "encrypted" in refused(by, encrypt(mint(clock), KEY, typ="at+jwt"))
        assert "not a compact JWS" in refused(by, encrypt("é", KEY, typ="at+jwt"))

    def test_a_remembered_one_still_ends(self) -> None:
        """It is remembered by the text that came, and expires by the claims inside."""
        clock = Clock()
        by = guard(clock)
        token = mint(clock)
        for _ in range(3):
            by.verify(token)
        assert by.health()["cached"] == 1
        clock.forward(631)
        assert "expired" in refused(by, token)

    def test_a_signed_token_alone_passes_unless_encryption_is_demanded(self) -> None:
        """An API moves over with both for a while, and then takes no other."""
        clock = Clock()
        plain = access_token.issue(claims(clock.wall), TOKEN_KEY)
        assert guard(clock).verify(plain).subject == "usr_ada"
        strict = guard(clock, require_encryption=True)
        assert "not encrypted" in refused(strict, plain)
        assert strict.verify(mint(clock)).subject == "usr_ada"

    def test_a_basic_pair_s_password_may_be_encrypted(self) -> None:
        """It is a token like any other, and bound to its user name."""
        clock = Clock()
        password = mint(clock, basic_username="adasession1")
        by = guard(clock, require_encryption=True)
        assert by.authenticate(f"Basic {format_basic('adasession1', password)}").subject == "usr_ada"
        with pytest.raises(InvalidToken):
            by.authenticate(f"Bearer {password}")

    @pytest.mark.parametrize(
        "options",
        [
            {"decryption_keys": {"keys": []}},
            {"decryption_keys": "{"},
            {"decryption_keys": {"keys": [KEY.public_jwk()]}},
            {"decryption_keys": JWKS},
            {"decryption_keys": None, "require_encryption": True},
        ],
    )
    def test_a_guard_that_could_open_nothing_is_not_built(self, options: dict[str, Any]) -> None:
        """A public key, a key for signatures, none at all."""
        with pytest.raises(ConfigurationError, match="decryption_keys"):
            guard(Clock(), **options)

    def test_no_key_is_shown(self) -> None:
        """``repr`` names the issuer alone."""
        assert KEY.private_jwk()["d"] not in repr(guard(Clock()))
