"""The examples of RFC 9421 appendix B.2: over its messages, and over the signature bases it prints."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import pytest

from tests.vectors.corpus import load
from watchword.errors import InvalidToken
from watchword.jose.encoding import encode_base64url
from watchword.jose.jwk import Key
from watchword.protocol.signature import Lines, Message, verify_message

CORPUS = load("rfc/rfc9421_http_signatures.json")
VECTORS = CORPUS["vectors"]


@dataclass
class Answer:
    """A response, as far as a signature can cover it."""

    status_code: int
    headers: Lines


def key_of(name: str) -> Key:
    jwk = dict(CORPUS["keys"][name])
    if "k_b64" in jwk:
        jwk = {"kty": "oct", "k": encode_base64url(base64.b64decode(jwk["k_b64"]))}
    return Key.parse(jwk)


def message_of(vector: dict[str, Any], **changed: str) -> Message | Answer:
    """The RFC's message under this signature; where the base says another digest than the message, the base's."""
    kind = "test-response" if '"@status"' in vector["signature_base"] else "test-request"
    head, *lines = CORPUS["messages"][kind].partition("\n\n")[0].split("\n")
    fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    for line in vector["signature_base"].split("\n"):
        name, _, value = line.partition(": ")
        if name == '"content-digest"':
            fields["content-digest"] = value
    fields |= {name.replace("_", "-"): value for name, value in changed.items()}
    label = vector["signature_input"].partition("=")[0]
    signed = Lines(
        (
            *fields.items(),
            ("Signature-Input", vector["signature_input"]),
            ("Signature", f"{label}=:{vector['signature_b64']}:"),
        )
    )
    if kind == "test-response":
        return Answer(int(head.split()[1]), signed)
    method, target, _ = head.split()
    return Message(method, f"https://{fields['host']}{target}", signed)


class TestRfc9421:
    @pytest.mark.parametrize("vector", VECTORS, ids=lambda found: found["id"])
    def test_the_message_verifies(self, vector: dict[str, Any]) -> None:
        """B.2.4 (ECDSA), B.2.5 (HMAC), B.2.6 (Ed25519): components, base and signature are the RFC's."""
        verify_message(message_of(vector), key_of(vector["keyid"]))

    @pytest.mark.parametrize("vector", VECTORS, ids=lambda found: found["id"])
    def test_the_printed_base_is_what_was_signed(self, vector: dict[str, Any]) -> None:
        """The bytes between message and signature are those that the RFC prints."""
        signature = base64.b64decode(vector["signature_b64"])
        assert key_of(vector["keyid"]).verify(signature, vector["signature_base"].encode())

    @pytest.mark.parametrize("vector", VECTORS, ids=lambda found: found["id"])
    def test_a_changed_field_does_not(self, vector: dict[str, Any]) -> None:
        """Each covers the type of the content; another type is another message."""
        with pytest.raises(InvalidToken):
            verify_message(message_of(vector, content_type="text/plain"), key_of(vector["keyid"]))

    @pytest.mark.parametrize("vector", VECTORS, ids=lambda found: found["id"])
    def test_another_key_does_not(self, vector: dict[str, Any]) -> None:
        """A key of any other algorithm, or another one of the same."""
        for other in (*CORPUS["keys"], None):
            if other != vector["keyid"]:
                with pytest.raises(InvalidToken):
                    verify_message(message_of(vector), key_of(other) if other else Key.generate("ES256"))

    def test_a_deterministic_signature_is_made_again(self) -> None:
        """Ed25519 has one signature a message: ours over the printed base is the RFC's."""
        vector = next(one for one in VECTORS if one["alg"] == "ed25519")
        made = key_of(vector["keyid"]).sign(vector["signature_base"].encode())
        assert base64.b64encode(made).decode() == vector["signature_b64"]
