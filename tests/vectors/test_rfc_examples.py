"""The longer examples of the RFCs: RFC 7515 appendix A, RFC 7520, RFC 7797, RFC 7638, RFC 8037, RFC 7617."""

from __future__ import annotations

from typing import Any

import pytest

from tests.vectors.corpus import load, names
from watchword.errors import InvalidRequest, InvalidToken, MissingCredentials, WatchwordError
from watchword.jose import jws
from watchword.jose.algorithms import ALGORITHMS
from watchword.jose.encoding import decode_base64url
from watchword.jose.jwk import Key, KeySet
from watchword.protocol.basic import parse_basic
from watchword.protocol.challenge import parse_authorization


def payload_of(token: str, jwk: dict[str, Any], algorithm: str) -> bytes:
    """What *token* carries, when its signature holds under *jwk* used with *algorithm*."""
    key = Key.parse(jwk, algorithm=algorithm)
    _, payload, _ = jws.verify(token, KeySet([key]), typ=None, algorithms={algorithm})
    return payload


def flipped(token: str) -> str:
    """*token* with one bit of its signature changed."""
    head, _, signature = token.rpartition(".")
    return f"{head}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"


class TestRfc7515:
    @pytest.mark.parametrize("vector", load("rfc/rfc7515_jws.json")["vectors"], ids=lambda found: found["id"])
    def test_appendix_a(self, vector: dict[str, Any]) -> None:
        """A.1 to A.4 verify and carry their payload; A.5, which is unsecured, is refused."""
        if vector["result"] == "valid":
            expected = decode_base64url(vector["payload_b64u"])
            assert payload_of(vector["compact"], vector["key"], vector["alg"]) == expected
            with pytest.raises(InvalidToken):
                payload_of(flipped(vector["compact"]), vector["key"], vector["alg"])
        else:
            token = vector.get("compact") or str(vector)
            with pytest.raises(InvalidToken):
                jws.verify(token, KeySet([Key.generate("ES256")]), typ=None, algorithms=ALGORITHMS)


def cookbook(folder: str) -> list[Any]:
    return [
        pytest.param(load(name), id=name.rpartition("/")[2]) for name in names(f"rfc/rfc7520/{folder}/*.json")
    ]


class TestRfc7520:
    @pytest.mark.parametrize("vector", cookbook("jws"))
    def test_signatures(self, vector: dict[str, Any]) -> None:
        """4.1 to 4.4 verify; detached content verifies when it is put back; JSON serializations are refused."""
        compact, algorithm = vector["output"].get("compact"), vector["input"]["alg"]
        if compact is None:
            with pytest.raises(InvalidToken):
                jws.parse(str(vector["output"]["json"]))
            return
        expected = vector["input"]["payload"].encode()
        whole = vector["signing"]["sig-input"] + "." + vector["signing"]["sig"]
        assert payload_of(whole, vector["input"]["key"], algorithm) == expected
        with pytest.raises(InvalidToken):
            payload_of(flipped(whole), vector["input"]["key"], algorithm)
        if compact != whole:
            with pytest.raises(InvalidToken):
                payload_of(compact, vector["input"]["key"], algorithm)

    @pytest.mark.parametrize("vector", cookbook("jws"))
    def test_what_is_reproducible_is_signed_the_same(self, vector: dict[str, Any]) -> None:
        """RS256 and HS256 have one signature a message, and it is the one in the document."""
        signing = vector["signing"]
        if vector.get("reproducible") and isinstance(signing.get("sig-input"), str):
            key = Key.parse(vector["input"]["key"], algorithm=vector["input"]["alg"])
            assert key.sign(signing["sig-input"].encode()) == decode_base64url(signing["sig"])
        else:
            assert vector["title"] in ("RSA-PSS Signature", "ECDSA Signature", "Multiple Signatures")

    @pytest.mark.parametrize("jwk", cookbook("jwk"))
    def test_keys(self, jwk: dict[str, Any]) -> None:
        """3.1 to 3.5 load, private parts are not published; 3.6, a key for encryption, is passed over in a set."""
        if jwk.get("use") == "enc":
            assert len(KeySet.parse({"keys": [jwk]})) == 0
            return
        key = Key.parse(jwk)
        assert key.kid == jwk["kid"]
        if not key.symmetric:
            assert not set(key.public_jwk()) & {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

    @pytest.mark.parametrize("vector", cookbook("jwe"))
    def test_what_is_encrypted_is_refused(self, vector: dict[str, Any]) -> None:
        """A JWE is no JWS, in either serialization."""
        for form in vector["output"].values():
            with pytest.raises(InvalidToken):
                jws.parse(form if isinstance(form, str) else str(form))

    def test_the_signed_part_of_a_nested_token(self) -> None:
        """6: the inner JWS verifies by itself, the nested token is refused."""
        vector = load("rfc/rfc7520/6.nesting_signatures_and_encryption.json")
        signed = vector["sign"]
        inner = signed["output"]["compact"]
        expected = signed["input"]["payload"].encode()
        assert payload_of(inner, signed["input"]["key"], signed["input"]["alg"]) == expected
        with pytest.raises(InvalidToken):
            jws.parse(vector["encrypt"]["output"]["compact"])

    @pytest.mark.parametrize("vector", cookbook("rfc7797"))
    def test_unencoded_payloads_are_refused(self, vector: dict[str, Any]) -> None:
        """RFC 7797: ``b64: false`` would let one text be two tokens."""
        protected = vector["output"]["json"]["signatures"][0]["protected"]
        token = vector["output"].get("compact", f"{protected}.AAAA.{vector['signing']['sig']}")
        for form in (token, f"{protected}.AAAA.{vector['signing']['sig']}"):
            with pytest.raises(InvalidToken):
                payload_of(form, vector["input"]["key"], "HS256")


class TestRfc8037:
    def test_ed25519(self) -> None:
        """The cookbook's Ed25519 example is signed and verified to the letter."""
        vector = load("rfc/rfc7520/curve25519/jws.json")
        key = Key.parse(vector["input"]["key"])
        assert key.sign(vector["signing"]["sig-input"].encode()) == decode_base64url(vector["signing"]["sig"])
        payload = payload_of(vector["output"]["compact"], vector["input"]["key"], "EdDSA")
        assert payload == vector["input"]["payload"].encode()


class TestRfc7638:
    @pytest.mark.parametrize("vector", load("rfc/rfc7638_thumbprint.json")["vectors"])
    def test_thumbprints(self, vector: dict[str, Any]) -> None:
        """RSA, OKP and EC keys, whatever else their JWK says."""
        assert Key.parse(vector["jwk"]).thumbprint() == vector["sha256"]


class TestRfc7617:
    @pytest.mark.parametrize(
        "vector", load("rfc/rfc7617_basic.json")["valid"], ids=lambda found: found["header"]
    )
    def test_good_pairs(self, vector: dict[str, str]) -> None:
        """UTF-8, the first colon parts, the scheme compares without case."""
        credentials = parse_authorization([vector["header"]])
        assert credentials.scheme == "basic"
        assert parse_basic(credentials.token) == (vector["user"], vector["password"])

    @pytest.mark.parametrize(
        "vector", load("rfc/rfc7617_basic.json")["invalid"], ids=lambda found: found["header"]
    )
    def test_broken_pairs(self, vector: dict[str, str]) -> None:
        """Every one is refused by our own error."""
        with pytest.raises(WatchwordError) as refused:
            parse_basic(parse_authorization([vector["header"]]).token)
        assert isinstance(refused.value, (InvalidRequest, InvalidToken))
        assert not isinstance(refused.value, MissingCredentials)
