"""Keys and key sets: what is loaded, what is published, what is refused at load."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

from tests.jose.forge import private, public
from watchword.errors import InvalidKey
from watchword.jose.algorithms import ALGORITHMS, ASYMMETRIC, algorithm_names
from watchword.jose.encoding import encode_base64url
from watchword.jose.jwk import Key, KeySet

ASYMMETRIC_NAMES = ["ES256", "ES384", "ES512", "RS256", "PS256", "Ed25519", "EdDSA"]
PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


def spoiled(algorithm: str, **members: Any) -> dict[str, Any]:
    """The private JWK of *algorithm* with other members; ``name=None`` leaves one out."""
    found = {**private(algorithm).private_jwk(), **members}
    return {name: value for name, value in found.items() if value is not None}


def refused(jwk: Any, **options: Any) -> str:
    with pytest.raises(InvalidKey) as found:
        Key.parse(jwk, **options)
    return found.value.description


class TestKey:
    @pytest.mark.parametrize("algorithm", ASYMMETRIC_NAMES)
    def test_a_key_survives_its_jwk(self, algorithm: str) -> None:
        """What a loaded key signs the public one verifies, and neither forgets its name."""
        key = Key.parse(private(algorithm).private_jwk())
        other = Key.parse(key.public_jwk())
        assert other.verify(key.sign(b"message"), b"message")
        assert not other.verify(key.sign(b"message"), b"massage")
        assert (key.kid, key.algorithm) == (other.kid, other.algorithm) == (private(algorithm).kid, algorithm)
        assert (key.private, other.private) == (True, False)

    @pytest.mark.parametrize("algorithm", ASYMMETRIC_NAMES)
    def test_req_j23_nothing_private_is_published(self, algorithm: str) -> None:
        """No private member, whatever else the JWK said; the name is the thumbprint."""
        key = Key.parse({**spoiled(algorithm, kid=None), "oct": "x", "k": "c2VjcmV0"})
        published = key.public_jwk()
        assert not PRIVATE & published.keys()
        assert set(published) <= {"kty", "crv", "x", "y", "n", "e", "kid", "alg", "use"}
        assert published["kid"] == key.thumbprint() == Key.parse(published).thumbprint()
        assert published["use"] == "sig"

    def test_req_j23_a_set_publishes_no_secret(self) -> None:
        """A shared secret has no public part; a set leaves it out."""
        assert KeySet([private("HS256")]).public_jwks() == {"keys": []}
        published = json.dumps(KeySet([private("ES256"), private("RS256")]).public_jwks())
        assert not any(f'"{name}"' in published for name in PRIVATE)
        with pytest.raises(InvalidKey):
            private("HS256").public_jwk()

    @pytest.mark.parametrize("algorithm", [*ASYMMETRIC_NAMES, "HS256"])
    def test_a_key_tells_nobody_what_it_is(self, algorithm: str) -> None:
        """No private member in its repr or its set's; it is not pickled."""
        key = private(algorithm)
        secrets = [value for name, value in key.private_jwk().items() if name in PRIVATE]
        shown = f"{key!r} {key} {KeySet([key])!r}"
        assert key.kid in shown
        assert not any(secret in shown for secret in secrets)
        with pytest.raises(TypeError):
            pickle.dumps(key)
        with pytest.raises(TypeError):
            copy.deepcopy(key)

    def test_a_public_key_neither_signs_nor_shows_a_private_part(self) -> None:
        """Both are refused by our own error."""
        key = next(iter(public("ES256")))
        with pytest.raises(InvalidKey):
            key.sign(b"x")
        with pytest.raises(InvalidKey):
            key.private_jwk()

    @pytest.mark.parametrize(
        ("jwk", "algorithm"),
        [
            ({"kty": "RSA"}, "RS256"),
            ({"kty": "OKP", "crv": "Ed25519"}, "EdDSA"),
            ({"kty": "EC", "crv": "P-256"}, "ES256"),
            ({"kty": "EC", "crv": "P-384"}, "ES384"),
            ({"kty": "EC", "crv": "P-521"}, "ES512"),
            ({"kty": "oct"}, "HS256"),
        ],
    )
    def test_a_key_that_names_no_algorithm_has_its_usual_one(
        self, jwk: dict[str, Any], algorithm: str
    ) -> None:
        """EC and OKP have one only; RSA means RS256 and oct HS256 unless somebody says otherwise."""
        found = Key.parse({**spoiled(algorithm, alg=None), **jwk})
        assert found.algorithm == algorithm

    def test_the_caller_may_name_the_algorithm(self) -> None:
        """Where the JWK names none; where it names another the key is refused."""
        assert Key.parse(spoiled("RS256", alg=None), algorithm="PS384").algorithm == "PS384"
        assert Key.parse(spoiled("EdDSA"), algorithm="Ed25519").algorithm == "EdDSA"
        assert refused(spoiled("RS256"), algorithm="PS256") == "the key is for RS256"

    @pytest.mark.parametrize(
        ("algorithm", "members"),
        [
            ("ES256", {"alg": "ES384"}),
            ("ES256", {"alg": "RS256"}),
            ("ES256", {"alg": "HS256"}),
            ("ES256", {"alg": "none"}),
            ("ES256", {"alg": 1}),
            ("ES256", {"alg": "ES256K"}),
            ("ES256", {"crv": "P-384"}),
            ("ES256", {"crv": ["P-256"]}),
            ("ES256", {"alg": None, "crv": ["P-256"]}),
            ("ES256", {"alg": None, "crv": "secp256k1"}),
            ("ES256", {"kty": "RSA"}),
            ("ES256", {"kty": ["EC"]}),
            ("ES256", {"kty": None}),
            ("ES256", {"kid": ""}),
            ("ES256", {"kid": "x" * 257}),
            ("ES256", {"kid": 1}),
            ("ES256", {"use": "enc"}),
            ("ES256", {"use": ["sig"]}),
            ("ES256", {"key_ops": ["deriveKey"]}),
            ("ES256", {"key_ops": "verify"}),
            ("ES256", {"key_ops": ["verify", "verify"]}),
            ("ES256", {"key_ops": []}),
            ("ES256", {"key_ops": [{}, []]}),
            ("ES256", {"x": None}),
            ("ES256", {"x": ""}),
            ("ES256", {"x": 1}),
            ("ES256", {"x": "é"}),
            ("ES256", {"x": encode_base64url(bytes(31))}),
            ("ES256", {"x": encode_base64url(bytes(32)), "y": encode_base64url(bytes(32))}),
            ("ES256", {"d": encode_base64url(bytes(32))}),
            ("ES256", {"d": encode_base64url(b"\xff" * 32)}),
            ("ES256", {"d": encode_base64url(b"\x01" * 32)}),
            ("RS256", {"n": None}),
            ("RS256", {"n": "AQAB"}),
            ("RS256", {"n": encode_base64url(b"\xff" * 1025)}),
            ("RS256", {"e": encode_base64url(b"\0\1\0\1")}),
            ("RS256", {"p": None}),
            ("RS256", {"d": "AQAB"}),
            ("RS256", {"oth": [{"r": "x"}]}),
            ("EdDSA", {"x": encode_base64url(b"\x05" * 31)}),
            ("EdDSA", {"d": encode_base64url(b"\x05" * 32)}),
            ("EdDSA", {"d": encode_base64url(b"\x05" * 33)}),
            ("HS256", {"k": ""}),
            ("HS256", {"k": "=="}),
        ],
    )
    def test_req_j08_a_key_that_is_not_what_it_says_is_refused(
        self, algorithm: str, members: dict[str, Any]
    ) -> None:
        """Another algorithm, curve or use, a torn member, a point off the curve, halves that do not belong together."""
        assert Key.parse(spoiled(algorithm))
        refused(spoiled(algorithm, **members))

    @pytest.mark.parametrize("other", [None, 1, "x", [], [("kty", "EC")]])
    def test_what_is_no_object_is_no_key(self, other: Any) -> None:
        """By our own error."""
        assert refused(other) == "a JWK is a JSON object"

    def test_unknown_algorithms_and_secrets_are_not_generated(self) -> None:
        """A secret that both sides need is given, not generated."""
        for name in ("none", "HS256", "RSA-OAEP", ""):
            with pytest.raises(InvalidKey):
                Key.generate(name)

    def test_a_generated_key_may_be_named(self) -> None:
        """Otherwise its thumbprint names it."""
        assert Key.generate("ES256", kid="mine").kid == "mine"
        found = Key.generate("ES256")
        assert found.kid == found.thumbprint()

    def test_a_secret_may_be_named_and_may_be_a_text(self) -> None:
        """The same secret as bytes and as text is the same key."""
        text = "a secret of thirty-two characters"
        one, two = Key.from_secret(text, kid="mine"), Key.from_secret(text.encode())
        assert one.kid == "mine"
        assert two.verify(one.sign(b"x"), b"x")
        assert one.private
        assert one.symmetric
        with pytest.raises(InvalidKey):
            Key.from_secret("\ud800" * 40)


class TestKeySet:
    def test_keys_are_found_by_name(self) -> None:
        """From an object, from its text, from its bytes."""
        jwks = {"keys": [private("ES256").public_jwk(), private("RS256").public_jwk()]}
        for form in (jwks, json.dumps(jwks), json.dumps(jwks).encode()):
            keys = KeySet.parse(form)
            assert len(keys) == 2
            assert [key.kid for key in keys] == [private("ES256").kid, private("RS256").kid]
            assert private("ES256").kid in keys
            assert "other" not in keys
            assert keys.get("other") is None
            assert keys.public_jwks() == jwks

    def test_req_j24_two_keys_of_one_name_are_refused(self) -> None:
        """Which of them is meant nobody could tell."""
        one, two = private("ES256").public_jwk(), private("RS256").public_jwk()
        with pytest.raises(InvalidKey):
            KeySet.parse({"keys": [one, {**two, "kid": one["kid"]}]})
        with pytest.raises(InvalidKey):
            KeySet.parse({"keys": [one, one]})

    def test_req_j24_secrets_and_public_keys_are_not_mixed(self) -> None:
        """A set that holds both invites a public key to be used as a secret."""
        with pytest.raises(InvalidKey):
            KeySet([private("HS256"), private("ES256")])
        with pytest.raises(InvalidKey):
            KeySet.parse({"keys": [private("HS256").private_jwk(), private("ES256").public_jwk()]})

    @pytest.mark.parametrize(
        "other",
        [
            {"use": "enc"},
            {"key_ops": ["wrapKey", "unwrapKey"]},
            {"alg": "ECDH-ES"},
            {"kty": "OKP", "crv": "X25519", "x": "AAAA"},
            {"kty": "EC", "crv": "secp256k1"},
            {"kty": "EC", "crv": ["P-256"]},
            {"kty": "EC", "crv": None},
            {"kty": "AKP", "alg": "ML-DSA-44"},
            {"kty": ["EC"]},
            {"kty": None},
        ],
    )
    def test_req_j24_keys_for_something_else_are_passed_over(self, other: dict[str, Any]) -> None:
        """An issuer may publish them; they verify nothing, and they do not hide the others."""
        good = private("RS256").public_jwk()
        keys = KeySet.parse({"keys": [{**private("ES256").public_jwk(), **other}, good]})
        assert [key.kid for key in keys] == [good["kid"]]

    @pytest.mark.parametrize(
        "jwks",
        ["", "{", "[]", b"\xff", {}, {"keys": None}, {"keys": {}}, {"keys": [1]}, {"keys": ["x"]}, None, 7,
         '{"keys":[],"keys":[]}', "\ud800"],
    )  # fmt: skip
    def test_what_is_no_set_is_refused(self, jwks: Any) -> None:
        """By our own error, whatever it is."""
        with pytest.raises(InvalidKey):
            KeySet.parse(jwks)

    def test_a_weak_key_of_our_kind_spoils_the_set(self) -> None:
        """Passing it over would hide that somebody publishes it."""
        with pytest.raises(InvalidKey):
            KeySet.parse({"keys": [private("ES256").public_jwk(), {"kty": "RSA", "n": "AQAB", "e": "AQAB"}]})


class TestAlgorithms:
    def test_the_table_is_closed(self) -> None:
        """Every entry is named by RFC 7518, 8037 or 9864; none is none."""
        assert set(ALGORITHMS) == {
            *("ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
            *("HS256", "HS384", "HS512", "Ed25519", "EdDSA"),
        }
        assert ALGORITHMS.keys() - ASYMMETRIC == {"HS256", "HS384", "HS512"}

    def test_only_ed25519_has_two_names(self) -> None:
        """RFC 9864 2.2; every other name is alone."""
        assert {name for name in ALGORITHMS if algorithm_names(name) != {name}} == {"Ed25519", "EdDSA"}
