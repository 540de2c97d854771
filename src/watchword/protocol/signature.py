"""Signed requests: HTTP Message Signatures with a digest of the body (RFC 9421, RFC 9530).

What a signature must cover, how long it holds and which one of a message counts is decided here; structured fields,
components and the signature base are the work of http-message-signatures.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, cast

import msgspec

from watchword.errors import ConfigurationError, InvalidKey, InvalidRequest, InvalidToken
from watchword.jose.jwk import Key

try:
    import http_sf
    from http_message_signatures import (
        HTTPMessageSigner,
        HTTPMessageVerifier,
        HTTPSignatureAlgorithm,
        HTTPSignatureKeyResolver,
    )
    from http_message_signatures.exceptions import HTTPMessageSignaturesException
except ImportError:
    raise ConfigurationError('signed requests need: pip install "watchword[signatures]"') from None

__all__ = [
    "MAX_AGE",
    "TAG",
    "Claimed",
    "Message",
    "RequestSigner",
    "check_time",
    "parse_signature",
    "verify_message",
    "verify_request",
]

TAG: Final = "watchword"
"""What the signature that is meant for a guard says in ``tag``; others may stand beside it (RFC 9421 2.3)."""

MAX_AGE: Final = 60.0
"""Seconds after ``created`` in which a request must arrive."""

_MARK: Final = f'tag="{TAG}"'
_MAX_FIELD: Final = 2048
"""Characters: the reader of structured fields takes a microsecond for each, and a stranger may write them."""
_MAX_COMPONENTS: Final = 32
_MAX_PARTS: Final = 256
"""Components, parameters and members together, counted by what parts them."""
_NONCE: Final = range(8, 129)
_IDENTIFIERS: Final = {
    "ES256": "ecdsa-p256-sha256",
    "ES384": "ecdsa-p384-sha384",
    "Ed25519": "ed25519",
    "EdDSA": "ed25519",
    "PS512": "rsa-pss-sha512",
    "RS256": "rsa-v1_5-sha256",
    "HS256": "hmac-sha256",
}
_WHOLE: Final = (frozenset(("@target-uri",)), frozenset(("@authority", "@path", "@query")))
_REFUSED: Final = "the signature does not verify"


class Claimed(msgspec.Struct, frozen=True):
    """What the signature of a request says of itself, before anybody has verified it.

    Attributes:
        label: its name in the fields.
        keyid: which key made it.
        nonce: what makes it a one-time thing.
        created: seconds since the epoch.
        expires: the same; ``None`` when it says nothing.
        covered: the components it covers, without those that carry parameters of their own.
        fields: the header fields among all that it covers.
        parsed: those of them of which it covers one member, or another form.
    """

    label: str
    keyid: str
    nonce: str
    created: int
    expires: int | None
    covered: frozenset[str]
    fields: frozenset[str]
    parsed: frozenset[str]


class Message(msgspec.Struct, eq=False):
    """A request as it is signed: the whole URL is the API's own name for itself and what the client asked of it.

    Attributes:
        method: the method.
        url: the target URI (RFC 9421 2.2.2).
        headers: the fields: a dict, or anything that shows each line of them in ``items()``.
    """

    method: str
    url: str
    headers: Any


class Lines(tuple[tuple[str, str], ...]):
    """Header fields as lines, of which a name may have several."""

    def items(self) -> Iterable[tuple[str, str]]:
        """The lines, in order."""
        return self


def parse_signature(inputs: Sequence[str], signatures: Sequence[str]) -> Claimed | None:
    """Find the signature that is meant for a guard; ``None`` when a request has none (RFC 9421 4).

    Args:
        inputs: the values of ``Signature-Input``.
        signatures: the values of ``Signature``.

    Raises:
        InvalidRequest: there are two of them.
        InvalidToken: it is malformed, has no signature, or lacks a parameter that we demand.
    """
    # Whatever else stands there is not ours to judge, nor to spend time on.
    if not any(_MARK in line for line in inputs):
        return None
    ours = [
        (label, member)
        for label, member in _dictionary(inputs).items()
        if isinstance(member[0], list) and member[1].get("tag") == TAG
    ]
    if len(ours) > 1:
        raise InvalidRequest("credentials came twice")
    if not ours:
        return None
    label, (components, parameters) = ours[0]
    if len(components) > _MAX_COMPONENTS:
        raise InvalidToken("the Signature fields are malformed")
    for name, kind in (("keyid", str), ("nonce", str), ("created", int)):
        if type(parameters.get(name)) is not kind:
            raise InvalidToken(f"the signature has no {name}")
    if len(parameters["nonce"]) not in _NONCE:
        raise InvalidToken(f"the nonce must have {_NONCE[0]} to {_NONCE[-1]} characters")
    expires = parameters.get("expires")
    if expires is not None and type(expires) is not int:
        raise InvalidToken("the Signature fields are malformed")
    if label not in _dictionary(signatures):
        raise InvalidToken("the Signature fields are malformed")
    named = [(name, own) for name, own in components if isinstance(name, str)]
    return Claimed(
        label,
        parameters["keyid"],
        parameters["nonce"],
        parameters["created"],
        expires,
        frozenset(name for name, own in named if not own),
        frozenset(name for name, _ in named if not name.startswith("@")),
        frozenset(name for name, own in named if own and not name.startswith("@")),
    )


def check_time(claimed: Claimed, *, now: float, leeway: float, max_age: float = MAX_AGE) -> None:
    """Check that a signature is of now (RFC 9421 3.2).

    Raises:
        InvalidToken: it is too old, of the future, or has expired.
    """
    if claimed.created > now + leeway:
        raise InvalidToken("the signature was created in the future")
    if claimed.created + max_age < now - leeway or (
        claimed.expires is not None and claimed.expires < now - leeway
    ):
        raise InvalidToken("the signature has expired")


def verify_request(message: Message, claimed: Claimed, key: Key, body: bytes) -> None:
    """Verify the signature of a request, that it covers what makes the request, and the digest of its body.

    Raises:
        InvalidToken: for every other byte string.
    """
    if "@method" not in claimed.covered or not any(whole <= claimed.covered for whole in _WHOLE):
        raise InvalidToken("the signature must cover @method and @target-uri")
    names = {name.lower() for name, _ in message.headers.items()}
    if body and "content-digest" not in claimed.covered:
        raise InvalidToken("the signature must cover content-digest")
    # The same bytes are another body under another type.
    if body and "content-type" in names and "content-type" not in claimed.covered:
        raise InvalidToken("the signature must cover content-type")
    # They are taken apart before the signature is verified: nobody vouches for them yet.
    apart = sum(len(value) for name, value in message.headers.items() if name.lower() in claimed.parsed)
    if apart > _MAX_FIELD:
        raise InvalidToken("a covered field is too long to be taken apart")
    verifier = _verifier(key)
    try:
        found = verifier.verify(message, expect_tag=TAG, expect_label=claimed.label, max_age=None)
        verifier.verify_body(message, found, body)
    except (HTTPMessageSignaturesException, ValueError, TypeError):
        raise InvalidToken(_REFUSED) from None
    if len(found) != 1 or found[0].parameters.get("keyid") != claimed.keyid:
        raise InvalidToken(_REFUSED)


def verify_message(message: Any, key: Key) -> None:
    """Verify the one signature of a message, whatever it covers: for documents and tests, never for a guard.

    Args:
        message: a ``Message``; a response has ``status_code`` and ``headers``.
        key: its only algorithm is the one tried, whatever ``alg`` says.

    Raises:
        InvalidToken: it does not verify.
    """
    try:
        _verifier(key).verify(message, max_age=None)
    except (HTTPMessageSignaturesException, ValueError, TypeError):
        raise InvalidToken(_REFUSED) from None


@dataclass(frozen=True, slots=True)
class RequestSigner:
    """Signs requests as a guard wants them.

    Attributes:
        key: a private key that is registered at the issuer.
        keyid: the name it got there.
        now: seconds since the epoch.
        token_bytes: randomness, for nonces.
    """

    key: Key
    keyid: str
    now: Callable[[], float] = time.time
    token_bytes: Callable[[int], bytes] = field(default=secrets.token_bytes, repr=False)

    def sign(
        self, method: str, url: str, fields: Iterable[tuple[str, str]] = (), body: bytes = b""
    ) -> dict[str, str]:
        """The fields to add: ``Signature-Input``, ``Signature``, with a body ``Content-Digest``.

        Args:
            method: in capitals.
            url: the whole URL, as it will be sent.
            fields: what the request has; of these, the type of the body is covered.
            body: the body, as it will be sent.

        Raises:
            InvalidRequest: method, URL or fields cannot be signed.
        """
        kind = {name.lower(): value for name, value in fields if body and name.lower() == "content-type"}
        message = Message(method, url, dict(kind))
        signer = HTTPMessageSigner(signature_algorithm=_algorithm(self.key), key_resolver=_One(self.key))
        try:
            signer.sign(
                message,
                key_id=self.keyid,
                created=datetime.fromtimestamp(self.now(), UTC),
                nonce=self.token_bytes(16).hex(),
                label="sig",
                tag=TAG,
                include_alg=False,
                covered_component_ids=("@method", "@target-uri", *kind),
                body=body or None,
            )
        except HTTPMessageSignaturesException as fault:
            raise InvalidRequest(f"this cannot be signed: {fault}") from None
        return {name: value for name, value in message.headers.items() if name not in kind}


class _Verifier(HTTPMessageVerifier):
    """The library's verifier without its clock: ``check_time`` goes by ours."""

    def validate_created_and_expires(self, sig_input: Any, max_age: Any = None) -> None:
        """Nothing."""


class _Pinned(HTTPSignatureAlgorithm):
    """One algorithm, done by a key of ours."""

    def __init__(self, public_key: Key | None = None, private_key: Key | None = None) -> None:
        self._key = public_key or private_key

    def sign(self, message: bytes) -> bytes:
        """The signature."""
        assert self._key is not None
        return self._key.sign(message)

    def verify(self, signature: bytes, message: bytes) -> None:
        """Raise unless it is good."""
        if self._key is None or not self._key.verify(signature, message):
            raise HTTPMessageSignaturesException(_REFUSED)


_ALGORITHMS: Final = {
    name: type("Pinned", (_Pinned,), {"algorithm_id": identifier})
    for name, identifier in _IDENTIFIERS.items()
}


class _One(HTTPSignatureKeyResolver):
    """The key that was looked up before."""

    def __init__(self, key: Key) -> None:
        self._key = key

    def resolve_public_key(self, key_id: str) -> Key:
        """The key."""
        return self._key

    def resolve_private_key(self, key_id: str) -> Key:
        """The key."""
        return self._key


def _verifier(key: Key) -> _Verifier:
    return _Verifier(signature_algorithm=_algorithm(key), key_resolver=_One(key))


def _algorithm(key: Key) -> type[HTTPSignatureAlgorithm]:
    found = _ALGORITHMS.get(key.algorithm)
    if found is None:
        raise InvalidKey(f"RFC 9421 has no algorithm for {key.algorithm}")
    return found


def _dictionary(values: Sequence[str]) -> dict[str, Any]:
    text = ", ".join(values)
    # Each part is an object of the parser's, so not only the bytes are bounded.
    if len(text) > _MAX_FIELD or sum(map(text.count, " ;,")) > _MAX_PARTS:
        raise InvalidToken("the Signature fields are too long")

    def refuse(key: str, context: str) -> None:
        if context == "dictionary":
            raise InvalidRequest("credentials came twice")

    try:
        found = http_sf.parse(text.encode("ascii"), tltype="dictionary", on_duplicate_key=refuse)
    except (ValueError, TypeError):
        raise InvalidToken("the Signature fields are malformed") from None
    return cast("dict[str, Any]", found)
