"""Who asks, and what they may still do when it is written."""

from __future__ import annotations

from watchword.server.store.records.record import Record

__all__ = ["Authority", "Origin"]


class Authority(Record, frozen=True, kw_only=True):
    """What a request acts on, checked again in the transaction that writes for it: meanwhile much can end.

    Attributes:
        user_id, session_id: the caller.
        jti, kid, exp, uv, cv: the token, its key, its end, and the versions of user and client it was made from.
        role: the role that the route requires.
        proven: the user version under which ``current_password`` was checked, if it was.
    """

    user_id: str
    session_id: str
    jti: str
    kid: str
    exp: float
    uv: int
    cv: int
    role: str | None = None
    proven: int | None = None


class Origin(Record, frozen=True, kw_only=True):
    """Who asks, for the audit log: an actor (``usr_…``, ``cli_…``, ``command-line``, ``system``) and his address."""

    actor: str = "system"
    address: str | None = None
    user_agent: str | None = None
    session_id: str | None = None
    authority: Authority | None = None
    """``None``: the operator, or the server itself, who need none."""

    @property
    def agent(self) -> str | None:
        """As much of the user agent as is kept: 200 bytes."""
        text = (self.user_agent or "")[:200]
        if text.isascii():
            return text or None
        return text.encode("utf-8", "replace")[:200].decode("utf-8", "ignore") or None
