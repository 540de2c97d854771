"""Taking access tokens back one by one, or all at once (RFC 7009 2.1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from watchword.errors import InvalidToken
from watchword.jose import jws
from watchword.jose.jwk import KeySet
from watchword.protocol import access_token
from watchword.protocol.access_token import AccessToken
from watchword.server.keys.ring import KeyRing
from watchword.server.policies import AccessTokenPolicy
from watchword.server.store.intentions.revocations import Revocations
from watchword.server.store.records import Origin

__all__ = ["Withdrawal"]


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Kills access tokens and nothing else: their sessions go on."""

    ring: KeyRing
    log: Revocations
    policy: AccessTokenPolicy

    async def token(self, text: str, origin: Origin) -> AccessToken:
        """Kill one access token, whomever it is for; one that has expired is dead already.

        It must be shown whole: a name alone would let somebody kill what he never saw.

        Raises:
            InvalidToken: it is no access token of ours.
        """
        found = await self.read(text)
        await self.revoke(found, origin)
        return found

    async def read(self, text: str) -> AccessToken:
        """What an access token of ours says, whether or not it is good for anything.

        Raises:
            InvalidToken: it is no access token of ours.
        """
        found = await self._read(text)
        if found.iss != self.policy.issuer:
            raise InvalidToken("the token is from another issuer")
        return found

    async def revoke(self, token: AccessToken, origin: Origin) -> None:
        """Revoke one that was read."""
        await self.log.revoke_token(token.jti, token.sid, datetime.fromtimestamp(token.exp, UTC), origin)

    async def everything(self, origin: Origin) -> None:
        """Kill every access token there is; clients refresh and go on."""
        await self.log.brake(origin)

    async def _read(self, text: str) -> AccessToken:
        kid = jws.parse(text, max_size=access_token.MAX_SIZE).kid
        if kid is None:
            raise InvalidToken("the token does not name its key")
        key = await self.ring.find(kid)
        if key is None:
            raise InvalidToken("the signing key is not known")
        _, payload, _ = jws.verify(
            text,
            KeySet((key,)),
            typ=access_token.TYP,
            algorithms=key.algorithms,
            max_size=access_token.MAX_SIZE,
        )
        return access_token.read(payload, kid=key.kid)
