"""API keys in a guard: each is traded for a short access token, by which every request is then verified."""

from __future__ import annotations

from typing import Final

from watchword.errors import InvalidGrant, InvalidToken, WatchwordError
from watchword.guard.credentials import Header, api_key_of, credentials_of
from watchword.guard.exchange import Exchange
from watchword.guard.principal import Principal
from watchword.guard.verifier import Verifier
from watchword.protocol.api_key import parse_api_key

__all__ = ["ApiKeys"]

_KIND: Final = "api_key"


class ApiKeys:
    """The principals of API keys, for one guard."""

    __slots__ = ("_exchange", "_verifier")

    def __init__(self, exchange: Exchange, verifier: Verifier) -> None:
        self._exchange = exchange
        self._verifier = verifier

    def authenticate(self, key: str) -> Principal:
        """The principal of an API key; waits where it is met for the first time, or its token died.

        Raises:
            InvalidToken: it is none, unknown, expired, revoked, or for another API.
            TemporarilyUnavailable: it cannot be looked up now, or too many came at once.
        """
        token = self._token(key)
        if token is None:
            token = self._exchange.wait(_KIND, key)
        try:
            return self._verifier.verify(token)
        except InvalidToken:
            if not self._exchange.renewed(_KIND, key, token):
                raise
        # A key outlives its tokens: all of them may have been taken back at once, and the key not.
        return self._verifier.verify(self._exchange.wait(_KIND, key, token))

    async def prepare(self, header: Header) -> None:
        """Have what ``authenticate`` would wait for, where *header* holds an API key.

        Raises:
            InvalidToken, TemporarilyUnavailable: as ``authenticate``.
        """
        try:
            key = api_key_of(credentials_of(header))
        except WatchwordError:
            return  # whoever reads it next says what is wrong
        if key is None:
            return
        token = self._token(key)
        if token is None:
            await self._exchange.wait_async(_KIND, key)
            return
        try:
            self._verifier.verify(token)
        except InvalidToken:
            if self._exchange.renewed(_KIND, key, token):
                await self._exchange.wait_async(_KIND, key, token)

    def _token(self, key: str) -> str | None:
        token = self._exchange.token(_KIND, key)
        if token is None:
            # A slip of the pen, or a flood of made-up texts, is seen here and costs no request.
            try:
                parse_api_key(key)
            except InvalidGrant as fault:
                raise InvalidToken(fault.description) from None
        return token
