"""Records a store keeps, and the facts its intentions answer with; times are aware datetimes in UTC."""

from __future__ import annotations

from watchword.server.store.records.api import Api, Role
from watchword.server.store.records.authority import Authority, Origin
from watchword.server.store.records.client import Client
from watchword.server.store.records.event import Event
from watchword.server.store.records.key import SigningKey
from watchword.server.store.records.live import (
    Advance,
    Advanced,
    Live,
    Opened,
    PresentedRefreshToken,
    Refused,
    Replayed,
)
from watchword.server.store.records.record import Page, Record
from watchword.server.store.records.session import NewPair, NewSession, Session, SessionKind, SessionRules
from watchword.server.store.records.subject import TokenFacts, TokenSession, TokenSubject
from watchword.server.store.records.user import LinkLimit, NewUser, User, UserChange

__all__ = [
    "Advance",
    "Advanced",
    "Api",
    "Authority",
    "Client",
    "Event",
    "LinkLimit",
    "Live",
    "NewPair",
    "NewSession",
    "NewUser",
    "Opened",
    "Origin",
    "Page",
    "PresentedRefreshToken",
    "Record",
    "Refused",
    "Replayed",
    "Role",
    "Session",
    "SessionKind",
    "SessionRules",
    "SigningKey",
    "TokenFacts",
    "TokenSession",
    "TokenSubject",
    "User",
    "UserChange",
]
