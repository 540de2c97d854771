"""Project Wycheproof: JSON Web Signature, JSON Web Key the mixed file; every vector by its label or our override."""

from __future__ import annotations

from typing import Any

import pytest

from tests.vectors.corpus import cases, load
from watchword.errors import WatchwordError
from watchword.jose import jws
from watchword.jose.algorithms import ALGORITHMS
from watchword.jose.jwk import KeySet


def outcome(group: dict[str, Any], token: str) -> str:
    """``valid`` or ``invalid``, as our own error type says; any other exception goes through."""
    jwk = group.get("public", group["private"])
    try:
        keys = KeySet.parse(jwk if "keys" in jwk else {"keys": [jwk]})
        jws.verify(token, keys, typ=None, algorithms=ALGORITHMS, max_size=2**20)
    except WatchwordError:
        return "invalid"
    return "valid"


def overridden() -> dict[int, str]:
    """What this project answers where it differs from a label, with a reason in the file."""
    return {
        number: "valid" if override["ours"] == "valid" else "invalid"
        for override in load("wycheproof/overrides.json")["overrides"]
        for number in override["tcId"]
    }


def parameters(name: str) -> list[Any]:
    return [
        pytest.param(group, test, id=f"{group['comment']}-{test['tcId']}-{test['comment']}")
        for group, test in cases(name)
    ]


class TestSignatures:
    @pytest.mark.parametrize(("group", "test"), parameters("json_web_signature"))
    def test_every_signature_has_the_result_of_its_label(
        self, group: dict[str, Any], test: dict[str, Any]
    ) -> None:
        """401 tokens: forged, torn, oddly encoded and good ones, under keys that name their algorithm."""
        assert outcome(group, test["jws"]) == overridden().get(test["tcId"], test["result"])

    def test_the_overrides_are_the_only_differences(self) -> None:
        """Nothing else differs, and every override is needed: the label alone would be wrong."""
        differing = {
            test["tcId"]
            for group, test in cases("json_web_signature")
            if outcome(group, test["jws"]) != test["result"]
        }
        assert differing == set(overridden())


class TestKeys:
    @pytest.mark.parametrize(("group", "test"), parameters("json_web_key"))
    def test_every_key_has_the_result_of_its_label(self, group: dict[str, Any], test: dict[str, Any]) -> None:
        """Weak, torn, mixed, doubled and misused keys verify nothing."""
        assert outcome(group, test["jws"]) == test["result"]


class TestMixed:
    @pytest.mark.parametrize(
        ("group", "test"), [found for found in parameters("json_web_crypto") if "jws" in found.values[1]]
    )
    def test_every_signature_has_the_result_of_its_label(
        self, group: dict[str, Any], test: dict[str, Any]
    ) -> None:
        """The signatures of the mixed file."""
        assert outcome(group, test["jws"]) == test["result"]

    @pytest.mark.parametrize("name", ["json_web_crypto", "json_web_encryption"])
    def test_nothing_encrypted_passes_for_signed(self, name: str) -> None:
        """Every JWE, the good ones too, is refused where a signature is wanted (RFC 8725 3.2)."""
        found = {outcome(group, test["jwe"]) for group, test in cases(name) if "jwe" in test}
        assert found == {"invalid"}
