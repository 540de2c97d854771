"""What a log-in or a key may be for: the audience asked for, and the scope that roles carry there (RFC 8707)."""

from __future__ import annotations

from dataclasses import dataclass

from watchword.errors import InvalidScope, InvalidTarget
from watchword.protocol.scope import format_scope
from watchword.server.policies import AccessTokenPolicy
from watchword.server.store.intentions.apis import Apis
from watchword.server.store.intentions.roles import Roles
from watchword.server.store.records import User

__all__ = ["Targets"]


@dataclass(frozen=True, slots=True)
class Targets:
    """The APIs there are and what each user may do at them."""

    apis: Apis
    roles: Roles
    policy: AccessTokenPolicy

    async def require(self, audience: str) -> None:
        """Check that there is an API of this audience.

        Raises:
            InvalidTarget: there is none.
        """
        if await self.apis.get(audience) is None:
            raise InvalidTarget("no such audience")

    async def check_scope(self, user: User, audience: tuple[str, ...], asked: tuple[str, ...]) -> None:
        """Check that *user* may have the scope *asked* at *audience*.

        Raises:
            InvalidScope: he may not, or nobody knows such a scope.
        """
        carried = {word for role in await self.roles.list() if role.name in user.roles for word in role.scope}
        known = [api for name in audience if (api := await self.apis.get(name)) is not None]
        allowed = carried.intersection(*(api.scope for api in known if api.scope))
        if beyond := [word for word in asked if word not in allowed]:
            raise InvalidScope(f"not allowed: {format_scope(beyond)}")
