"""Access tokens whose signature was checked here before: what cannot change of them is not checked again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from watchword.errors import InvalidToken
from watchword.jose import jwt
from watchword.jose.algorithms import ASYMMETRIC
from watchword.jose.jwk import KeySet
from watchword.protocol import access_token
from watchword.protocol.access_token import AccessToken

__all__ = ["VerifiedTokens"]

_HALF: Final = 512
"""Tokens of one generation; two of them take some 2 MB at most."""
_AHEAD: Final = 10.0
"""Seconds by which the node that issued a token may be ahead of this one."""
_NO_KEYS: Final = KeySet(())


@dataclass(slots=True, eq=False)
class VerifiedTokens:
    """Verifies the tokens of one issuer for the issuer itself (RFC 9068 4).

    What is remembered rests on the set of keys it was verified by, and goes with it. Times are checked every time;
    whether a token was revoked is for the caller to ask.

    Args:
        issuer: the ``iss`` and ``aud`` demanded.
    """

    issuer: str
    _keys: KeySet = field(default=_NO_KEYS, init=False, repr=False)
    _young: dict[str | bytes, AccessToken] = field(default_factory=dict, init=False, repr=False)
    _old: dict[str | bytes, AccessToken] = field(default_factory=dict, init=False, repr=False)

    def verify(self, token: str | bytes, keys: KeySet, now: float) -> AccessToken:
        """Check *token* whole.

        Args:
            token: the compact serialization.
            keys: the issuer's public keys.
            now: seconds since the epoch.

        Raises:
            InvalidToken: it is malformed, forged, expired or for somebody else.
        """
        if len(token) > access_token.MAX_SIZE:
            raise InvalidToken("the token is too long")  # before a dict would hash the whole of it
        if keys is not self._keys:
            self._keys, self._young, self._old = keys, {}, {}
        found = self._young.get(token)
        if found is None:
            found = self._old.get(token) or access_token.verify(
                token,
                keys,
                issuer=self.issuer,
                audience=self.issuer,
                algorithms=ASYMMETRIC,
                now=now,
                leeway=_AHEAD,
            )
            self._remember(token, found)
        jwt.check_times(exp=found.exp, iat=found.iat, nbf=found.nbf, now=now, leeway=_AHEAD)
        if found.exp <= now:
            raise InvalidToken("the token has expired")
        return found

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def _remember(self, token: str | bytes, found: AccessToken) -> None:
        if len(self._young) >= _HALF:
            # Forgetting is dropping a dict: no order to keep.
            self._old, self._young = self._young, {}
        self._young[token] = found
