"""Intentions as they travel from a process that may not write to the one that does, and what comes back.

Only what stands in ``WRITING`` can be asked for, each with the members its method takes: bytes from the
other side become records and plain values, never code.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, get_type_hints

import msgspec

from watchword import errors
from watchword.errors import ServerError, WatchwordError
from watchword.server.ephemeral.memory import MemoryCounters
from watchword.server.store import records
from watchword.server.store.intentions import (
    SqlApis,
    SqlClients,
    SqlRoles,
    SqlSessions,
    SqlUsers,
)
from watchword.server.store.links import SqlEmailChanges, SqlOneTime, SqlPasswordResets
from watchword.server.store.log import SqlEvents, SqlKeys, SqlRevocations
from watchword.server.store.meta import SqlMeta

__all__ = ["WRITING", "Answer", "Ask", "answered", "asking", "frame", "outcome", "refused", "taken"]

WRITING: Final[Mapping[str, tuple[type, tuple[str, ...]]]] = {
    "users": (
        SqlUsers,
        ("add", "update", "set_password", "rehash", "ban", "unban", "delete", "log_out_everywhere"),
    ),
    "sessions": (SqlSessions, ("open", "advance", "give_pair", "add_key", "use_key", "end", "sweep")),
    "clients": (SqlClients, ("disable",)),
    "roles": (SqlRoles, ("set", "delete")),
    "apis": (SqlApis, ("add", "set_encryption", "delete")),
    "keys": (SqlKeys, ("add", "schedule", "activate", "replace_waiting", "compromise", "sweep")),
    "events": (SqlEvents, ("add", "sweep")),
    "revocations": (
        SqlRevocations,
        ("revoke_token", "brake", "open_epoch", "set_longest_life", "name_issuer", "sweep"),
    ),
    "one_time": (SqlOneTime, ("add", "spend")),
    "password_resets": (SqlPasswordResets, ("offer", "grant", "complete", "sweep")),
    "email_changes": (SqlEmailChanges, ("offer", "complete", "sweep")),
    "meta": (SqlMeta, ("put_new", "announce", "leave")),
    "counters": (MemoryCounters, ("look", "settle")),
}
"""Protocol of the store -> what implements it, and which of its methods write."""


class Ask(msgspec.Struct, frozen=True, array_like=True):
    """An intention: the answer bears the same number."""

    number: int
    protocol: str
    method: str
    members: msgspec.Raw


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """An outcome: ``kind`` is the record's class, empty for a plain value; of an error it begins with ``!``."""

    number: int
    kind: str
    value: msgspec.Raw


class _Refusal(msgspec.Struct, frozen=True):
    """The members of an error."""

    description: str
    retry_after: int | msgspec.UnsetType = msgspec.UNSET
    errors: tuple[tuple[str, str], ...] | msgspec.UnsetType = msgspec.UNSET


def _members(implementation: type, name: str) -> tuple[inspect.Signature, type[msgspec.Struct]]:
    method = getattr(implementation, name)
    signature = inspect.signature(method)
    signature = signature.replace(parameters=list(signature.parameters.values())[1:])
    hints = get_type_hints(method)
    fields = [(parameter, hints[parameter]) for parameter in signature.parameters]
    return signature, msgspec.defstruct(f"{implementation.__name__}_{name}", fields, array_like=True)


_METHODS: Final = {
    (protocol, name): _members(implementation, name)
    for protocol, (implementation, names) in WRITING.items()
    for name in names
}
_RECORDS: Final[Mapping[str, Any]] = {
    name: kind for name in records.__all__ if isinstance(kind := getattr(records, name), type)
}
_ERRORS: Final[Mapping[str, type[WatchwordError]]] = {name: getattr(errors, name) for name in errors.__all__}


def frame(message: Ask | Answer) -> bytes:
    """*message* as it is sent: its length, then itself."""
    content = msgspec.msgpack.encode(message)
    return len(content).to_bytes(4, "big") + content


def asking(number: int, protocol: str, method: str, *args: Any, **named: Any) -> Ask:
    """The call of a method, as a message."""
    signature, struct = _METHODS[protocol, method]
    bound = signature.bind(*args, **named)
    bound.apply_defaults()
    return Ask(number, protocol, method, msgspec.Raw(msgspec.msgpack.encode(struct(**bound.arguments))))


def taken(ask: Ask, store: Any) -> Callable[[], Any]:
    """What carries *ask* out on *store*.

    Raises:
        KeyError: it is none of those that write.
        msgspec.ValidationError: its members are not those of the method.
    """
    signature, struct = _METHODS[ask.protocol, ask.method]
    members = msgspec.msgpack.decode(ask.members, type=struct)
    bound = signature.bind_partial()
    bound.arguments.update({name: getattr(members, name) for name in signature.parameters})
    method = getattr(getattr(store, ask.protocol), ask.method)
    return lambda: method(*bound.args, **bound.kwargs)


def answered(number: int, value: Any) -> Answer:
    """An outcome, as a message."""
    kind = type(value).__name__ if isinstance(value, records.Record) else ""
    return Answer(number, kind, msgspec.Raw(msgspec.msgpack.encode(value)))


def refused(number: int, fault: Exception) -> Answer:
    """An error, as a message; what is none of ours is a fault of the server, without its words."""
    if type(fault).__name__ not in _ERRORS:
        fault = ServerError()
    described = vars(fault)
    known = {name: described[name] for name in _Refusal.__struct_fields__ if name in described}
    return Answer(number, f"!{type(fault).__name__}", msgspec.Raw(msgspec.msgpack.encode(_Refusal(**known))))


def outcome(answer: Answer) -> Any:
    """What the intention came to.

    Raises:
        WatchwordError: what it raised there.
    """
    if not answer.kind.startswith("!"):
        return msgspec.msgpack.decode(answer.value, type=_RECORDS[answer.kind] if answer.kind else Any)
    refusal = msgspec.msgpack.decode(answer.value, type=_Refusal)
    told = msgspec.structs.asdict(refusal)
    raise _ERRORS[answer.kind[1:]](**{name: v for name, v in told.items() if v is not msgspec.UNSET})
