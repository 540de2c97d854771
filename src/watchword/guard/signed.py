"""Signed requests as a guard takes them: the key from the issuer, once a token's life; the rest without it (RFC 9421).

A key's access token names the key (``cnf``, RFC 7800 3.2), so that whoever sees it can do nothing with it, and dies by
the feed as every token does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from watchword.errors import ConfigurationError, InvalidKey, InvalidToken, MissingCredentials
from watchword.guard.exchange import Exchange
from watchword.guard.principal import Principal
from watchword.guard.replay import Once
from watchword.guard.request import Request
from watchword.guard.verifier import Proof, Verifier
from watchword.jose import jws
from watchword.jose.encoding import parse_json_object
from watchword.jose.jwk import Key
from watchword.protocol import access_token, signature
from watchword.protocol.cookie import origin_of
from watchword.protocol.metadata import check_issuer_url
from watchword.protocol.signature import Claimed, Lines, Message

__all__ = ["SignedRequests", "check_origin", "key_in"]

_KIND: Final = "signing_key"
_MAX_KEYS: Final = 10_000
_MAX_READ: Final = 256
MAX_RATE: Final = 3000
"""Signed requests a second for which there is memory: more than a core verifies, so that no flood fills it."""


def check_origin(origin: str) -> str:
    """An API's own public origin: scheme, host and port, no path (RFC 6454 6.2).

    Raises:
        ConfigurationError: it is none.
    """
    found = check_issuer_url(origin, setting="origin")
    if urlsplit(found).path:
        raise ConfigurationError("origin: has no path")
    if found != (meant := origin_of(found)):
        raise ConfigurationError(f"origin: {origin!a} is not how clients write it: write {meant}")
    return found


def key_in(token: str) -> Key:
    """The public key that *token* is bound to; nobody has verified the token yet (RFC 7800 3.2).

    Raises:
        InvalidToken: there is none.
    """
    claims = parse_json_object(jws.parse(token, max_size=access_token.MAX_SIZE).payload)
    try:
        return Key.parse(claims["cnf"]["jwk"])
    except (InvalidKey, KeyError, TypeError):
        raise InvalidToken("the signing key is not known") from None


class SignedRequests:
    """Verifies the signed requests of one API.

    Args:
        origin: what the API is called in the URLs that clients sign; never what ``Host`` says.
        exchange: trades a key's name for its access token.
        verifier: verifies the keys' access tokens.
        leeway: seconds of clock difference forgiven.
        clock: seconds since the epoch.
    """

    __slots__ = ("_clock", "_exchange", "_keys", "_leeway", "_once", "_origin", "_read", "_verifier")

    def __init__(
        self,
        origin: str,
        *,
        exchange: Exchange,
        verifier: Verifier,
        leeway: float,
        clock: Callable[[], float],
    ) -> None:
        self._origin = origin
        self._exchange = exchange
        self._verifier = verifier
        self._keys: dict[str, Key] = {}
        self._leeway = leeway
        self._clock = clock
        # One request is looked at several times on its way in; reading is what costs.
        self._read = lru_cache(_MAX_READ)(signature.parse_signature)
        life = signature.MAX_AGE + 2 * leeway
        self._once = Once(life, int(2 * life * MAX_RATE), clock)

    def authenticate(self, request: Request) -> Principal:
        """The principal of a signed request; waits where its key is met for the first time.

        Raises:
            MissingCredentials: it is not signed, or not for us.
            InvalidToken, InvalidRequest: signature, digest or key is not good, or the request came before.
            TemporarilyUnavailable: the key cannot be looked up now, or too many came at once.
            ContentTooLarge: the body is too large to be digested.
        """
        claimed = self.claimed(request)
        if claimed is None:
            raise MissingCredentials
        token = self._exchange.token(_KIND, claimed.keyid)
        if token is None:
            token = self._exchange.wait(_KIND, claimed.keyid)
        elif self._is_over(claimed.keyid, token):
            token = self._exchange.wait(_KIND, claimed.keyid, token)
        return self._verify(request, claimed, token)

    async def prepare(self, request: Request) -> None:
        """Have what ``authenticate`` would wait for: the body and the key.

        Raises:
            InvalidToken, InvalidRequest, TemporarilyUnavailable, ContentTooLarge: as ``authenticate``.
        """
        claimed = self.claimed(request)
        if claimed is None:
            return
        token = self._exchange.token(_KIND, claimed.keyid)
        if token is None:
            await self._exchange.wait_async(_KIND, claimed.keyid)
        elif self._is_over(claimed.keyid, token):
            await self._exchange.wait_async(_KIND, claimed.keyid, token)
        await request.receive()

    def claimed(self, request: Request) -> Claimed | None:
        """What the signature of *request* says of itself; ``None`` where it has none. Cheap, and before any look-up.

        Raises:
            InvalidRequest: there are two.
            InvalidToken: it is malformed, or not of now.
        """
        inputs = request.values("signature-input")
        if not inputs:
            return None
        found = self._read(tuple(inputs), tuple(request.values("signature")))
        if found is not None:
            signature.check_time(found, now=self._clock(), leeway=self._leeway)
        return found

    def forked(self) -> None:
        """Be usable in a child process."""
        self._once.forked()

    def _is_over(self, keyid: str, token: str) -> bool:
        """Whether the key's token is no good any more, and it is worth while to ask for another."""
        try:
            self._verifier.verify(token, Proof(self._key(token).thumbprint()))
        except InvalidToken:
            return self._exchange.renewed(_KIND, keyid, token)
        return False

    def _verify(self, request: Request, claimed: Claimed, token: str) -> Principal:
        key = self._key(token)
        query = request.query
        url = f"{self._origin}{request.path}{'?' + query if query else ''}"
        names = claimed.fields | {"signature", "signature-input", "content-digest", "content-type"}
        lines = Lines((name, value) for name in sorted(names) for value in request.values(name))
        signature.verify_request(Message(request.method, url, lines), claimed, key, request.body())
        principal = self._verifier.verify(token, Proof(key.thumbprint()))
        if not self._once.spend(principal.subject, claimed.keyid, claimed.nonce, by=request.identity):
            raise InvalidToken("this request came before")
        return principal

    def _key(self, token: str) -> Key:
        found = self._keys.get(token)
        if found is None:
            if len(self._keys) >= _MAX_KEYS:
                self._keys = {}
            found = self._keys[token] = key_in(self._verifier.opened(token))
        return found
