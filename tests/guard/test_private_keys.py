"""A guard that is handed the private part of a signing key: a mistake that it names and does not keep."""

from __future__ import annotations

import json
import logging

import pytest

from tests.guard.stage import ISSUER, OTHER_KEY, TOKEN_KEY, Clock, mint, offline
from watchword import ConfigurationError, Guard
from watchword.jose.jwk import Key, KeySet

RSA_KEY = Key.generate("RS256", kid="rsa-key")


@pytest.mark.parametrize("form", ["dict", "text", "bytes", "set"])
@pytest.mark.parametrize("key", [TOKEN_KEY, RSA_KEY, Key.generate("Ed25519")], ids=["EC", "RSA", "OKP"])
def test_f_s14_a_private_key_is_warned_of_by_its_kid(
    form: str, key: Key, caplog: pytest.LogCaptureFixture
) -> None:
    """The public part verifies; the warning names the key and nothing of it."""
    clock = Clock()
    jwks = {"keys": [key.private_jwk(), OTHER_KEY.public_jwk()]}
    text = json.dumps(jwks)
    keys = {"dict": jwks, "text": text, "bytes": text.encode(), "set": KeySet.parse(jwks)}[form]
    with caplog.at_level(logging.WARNING):
        guard = offline(clock, keys=keys)
    (record,) = caplog.records
    said = record.getMessage()
    assert repr(key.kid) in said
    assert OTHER_KEY.kid not in said
    assert not any(
        str(key.private_jwk()[name]) in said for name in ("d", "p", "q") if name in key.private_jwk()
    )
    assert guard.verify(mint(clock.wall, key)).subject == "usr_ada"
    assert not any(kept.private for kept in guard._verifier.source.view.keyset)


def test_f_s14_public_keys_and_shared_secrets_are_as_they_should_be(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing to warn of."""
    offline(Clock())
    offline(Clock(), keys={"keys": [Key.from_secret("a secret of more than thirty-two bytes").private_jwk()]})
    assert not caplog.records


def test_f_s14_a_pem_file_is_refused_without_a_word_of_it() -> None:
    """The guard takes key sets; what it was given may be a secret."""
    pem = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg\n-----END PRIVATE KEY-----\n"
    with pytest.raises(ConfigurationError, match="PEM") as refused:
        Guard(ISSUER, keys=pem)
    assert "MIGH" not in str(refused.value)
