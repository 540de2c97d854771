"""The key that issuer and API derive from the secret they share."""

from __future__ import annotations

import hmac

import pytest

from watchword.errors import InvalidKey
from watchword.jose.encoding import decode_base64url
from watchword.jose.jwk import Key
from watchword.protocol.key_derivation import derive

ROOT = bytes(range(32))
CALL = {"issuer": "https://auth.example.com", "audience": "api", "number": 1}


class TestDerive:
    def test_it_is_hkdf_with_sha_256(self) -> None:
        """Extract without a salt, expand by one block over issuer, audience and number (RFC 5869 2.2, 2.3)."""
        drawn = hmac.digest(bytes(32), ROOT, "sha256")
        expected = hmac.digest(drawn, b"https://auth.example.com|api|1\x01", "sha256")
        assert decode_base64url(derive(ROOT, **CALL).private_jwk()["k"]) == expected

    def test_both_sides_derive_one_key(self) -> None:
        """The same secret and names give the same key, which is called by its thumbprint."""
        one, two = derive(ROOT, **CALL), derive(bytes(ROOT), **CALL)
        assert one.kid == two.kid == one.thumbprint()
        assert two.verify(one.sign(b"m"), b"m")
        assert one.algorithm == "HS256"

    @pytest.mark.parametrize("other", [{"issuer": "https://b.example"}, {"audience": "pay"}, {"number": 2}])
    def test_another_issuer_audience_or_number_is_another_key(self, other: dict[str, object]) -> None:
        """So that a leak at one API tells nothing of the next."""
        assert derive(ROOT, **{**CALL, **other}).kid != derive(ROOT, **CALL).kid  # type: ignore[arg-type]
        assert derive(bytes(32), **CALL).kid != derive(ROOT, **CALL).kid

    def test_a_derived_key_is_never_taken_for_a_public_one(self) -> None:
        """Of many roots none derives a key that load refuses."""
        for number in range(2000):
            assert isinstance(derive(ROOT, **{**CALL, "number": number}), Key)
        with pytest.raises(InvalidKey):
            Key.from_secret(b"short")
