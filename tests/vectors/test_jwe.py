"""Encrypted tokens of the RFCs and of Project Wycheproof: ours decrypt, all others are refused."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest

from tests.vectors.corpus import cases, load, names
from watchword.errors import InvalidToken, WatchwordError
from watchword.jose.encoding import decode_base64url
from watchword.jose.jwe import ENCRYPTION, EncryptionKey, decrypt

OURS = {(alg, ENCRYPTION) for alg in ("ECDH-ES", "ECDH-ES+A256KW", "RSA-OAEP-256")}


def opened(jwk: Any, token: str) -> bytes | None:
    """What is inside, ``None`` where key or token is refused; any other exception goes through."""
    try:
        key = EncryptionKey.parse(jwk)
        return decrypt(token, {key.kid: key}, cty=None, max_size=2**20)
    except WatchwordError:
        return None


def kind_of(token: str) -> tuple[str, str]:
    header: dict[str, Any] = {}
    with suppress(ValueError, InvalidToken):
        header = json.loads(decode_base64url(token.partition(".")[0]))
    return header.get("alg", ""), header.get("enc", "")


WYCHEPROOF = [
    (group["private"], test)
    for name in ("json_web_encryption", "json_web_crypto")
    for group, test in cases(name)
    if "jwe" in test
]


class TestWycheproof:
    @pytest.mark.parametrize(("jwk", "test"), WYCHEPROOF, ids=[str(test["tcId"]) for _, test in WYCHEPROOF])
    def test_every_token_is_opened_or_refused(self, jwk: Any, test: dict[str, Any]) -> None:
        """A good one of an algorithm of ours gives its text; a bad one, or another algorithm's, nothing."""
        good = test["result"] == "valid" and kind_of(test["jwe"]) in OURS
        found = opened(jwk, test["jwe"])
        assert found == (bytes.fromhex(test["pt"]) if good else None)

    def test_some_are_opened(self) -> None:
        """The table is not empty: each of our algorithms stands in it."""
        good = {kind_of(test["jwe"]) for _, test in WYCHEPROOF if test["result"] == "valid"}
        assert good >= OURS


class TestRfc:
    @pytest.mark.parametrize(
        "vector", load("rfc/rfc7516_jwe.json")["vectors"], ids=lambda vector: vector["id"]
    )
    def test_the_examples_of_rfc_7516_are_of_older_algorithms(self, vector: dict[str, Any]) -> None:
        """RSA-OAEP with SHA-1, RSA1_5, AES key wrap: read by nobody here."""
        assert opened(vector["key"], vector["compact"]) is None

    @pytest.mark.parametrize("name", names("rfc/rfc7520/jwe/*.json"))
    def test_so_are_those_of_rfc_7520(self, name: str) -> None:
        """PBES2, dir, compressed content, several recipients too."""
        vector = load(name)
        key = vector["input"].get("key")
        for form in vector["output"].values():
            assert opened(key, form if isinstance(form, str) else json.dumps(form)) is None
