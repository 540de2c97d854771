"""RFC 7638, JWK Thumbprint: its example, and what it must not depend on."""

from __future__ import annotations

from tests.jose.forge import private
from tests.rfc.test_rfc7517 import N
from watchword.jose.jwk import Key

EXAMPLE = {"kty": "RSA", "n": N, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}
THUMBPRINT = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


class TestThumbprint:
    def test_req_j23_3_1_the_example(self) -> None:
        """The thumbprint of the RSA key, and the ``kid`` of a key that brings none."""
        assert Key.parse(EXAMPLE).thumbprint() == THUMBPRINT
        assert Key.parse({name: value for name, value in EXAMPLE.items() if name != "kid"}).kid == THUMBPRINT
        assert Key.parse(EXAMPLE).kid == "2011-04-29"

    def test_3_2_only_the_required_members_count(self) -> None:
        """Order, algorithm, name, use and what nobody knows change nothing."""
        other = dict(reversed({**EXAMPLE, "use": "sig", "x5t": "x", "alg": "PS256", "kid": "other"}.items()))
        assert Key.parse(other).thumbprint() == THUMBPRINT

    def test_3_2_1_the_private_key_has_the_thumbprint_of_the_public(self) -> None:
        """So that both are called the same."""
        for algorithm in ("ES256", "RS256", "Ed25519"):
            key = private(algorithm)
            assert Key.parse(key.public_jwk()).thumbprint() == key.thumbprint()

    def test_another_key_has_another_thumbprint(self) -> None:
        """Over every type."""
        found = {
            private(algorithm).thumbprint()
            for algorithm in ("ES256", "ES384", "RS256", "PS256", "EdDSA", "HS256")
        }
        assert len(found) == 6
