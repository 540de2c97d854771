"""Intentions as they travel from a process that may not write to the one that does, and what comes back.

Only the doors of the topics that write can be asked for, and the counters, each with the arguments that it takes: bytes
from the other side become records and plain values, never code.
"""

from __future__ import annotations

import inspect
from collections.abc import Coroutine, Mapping
from functools import lru_cache
from typing import Any, Final, get_type_hints

import msgspec

from watchword import errors
from watchword.errors import ServerError, WatchwordError
from watchword.server.ephemeral.memory import MemoryCounters
from watchword.server.store import records
from watchword.server.store.engine import WRITES
from watchword.server.store.store import Store

__all__ = ["COUNTERS", "Answer", "Ask", "answered", "asking", "frame", "outcome", "refused", "taken"]

COUNTERS: Final = "counters"
"""What counters are asked for under, in the place of a topic."""


class Ask(msgspec.Struct, frozen=True, array_like=True):
    """An intention: the answer bears the same number."""

    number: int
    topic: str
    name: str
    arguments: msgspec.Raw


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


_COUNTING: Final[Mapping[str, Any]] = {"look": MemoryCounters.look, "settle": MemoryCounters.settle}


@lru_cache
def _form(topic: str, name: str) -> tuple[inspect.Signature, type[msgspec.Struct]]:
    """What may be asked for, as it is called and as it is sent.

    Raises:
        KeyError: it is none of those that write.
    """
    function = _COUNTING[name] if topic == COUNTERS else WRITES[topic, name].body
    called = inspect.signature(function)
    called = called.replace(parameters=list(called.parameters.values())[1:])
    hints = get_type_hints(function)
    fields = [(argument, hints[argument]) for argument in called.parameters]
    return called, msgspec.defstruct(f"{topic}_{name}", fields, array_like=True)


_RECORDS: Final[Mapping[str, Any]] = {
    name: kind for name in records.__all__ if isinstance(kind := getattr(records, name), type)
}
_ERRORS: Final[Mapping[str, type[WatchwordError]]] = {name: getattr(errors, name) for name in errors.__all__}


def frame(message: Ask | Answer) -> bytes:
    """*message* as it is sent: its length, then itself."""
    content = msgspec.msgpack.encode(message)
    return len(content).to_bytes(4, "big") + content


def asking(number: int, topic: str, name: str, *args: Any, **named: Any) -> Ask:
    """A call, as a message."""
    called, form = _form(topic, name)
    bound = called.bind(*args, **named)
    bound.apply_defaults()
    return Ask(number, topic, name, msgspec.Raw(msgspec.msgpack.encode(form(**bound.arguments))))


def taken(ask: Ask, store: Store) -> Coroutine[Any, Any, Any]:
    """What carries *ask* out on *store*.

    Raises:
        KeyError: it is none of those that write.
        msgspec.ValidationError: its arguments are not those it takes.
    """
    called, form = _form(ask.topic, ask.name)
    sent = msgspec.msgpack.decode(ask.arguments, type=form)
    bound = called.bind_partial()
    bound.arguments.update({name: getattr(sent, name) for name in called.parameters})
    if ask.topic == COUNTERS:
        answer: Coroutine[Any, Any, Any] = getattr(store.counters, ask.name)(*bound.args, **bound.kwargs)
        return answer
    return store.engine.carry_out(WRITES[ask.topic, ask.name], *bound.args, **bound.kwargs)


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
