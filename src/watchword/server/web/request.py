"""A request as the endpoints see it, and its body read strictly."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, TypeVar

import msgspec

from watchword.errors import (
    ContentTooLarge,
    InvalidInput,
    InvalidRequest,
    MalformedContent,
    UnsupportedMediaType,
)
from watchword.jose.encoding import parse_json_object
from watchword.server.store.records import Origin
from watchword.server.web.bounds import cut_members
from watchword.server.web.urlencoded import parse_fields

__all__ = ["Message", "Receive", "Request", "Scope", "Send", "read_body", "read_form", "read_json"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
T = TypeVar("T")

_MEMBER: Final = re.compile(r"(?:unknown|required) field `([^`]*)`")
_TOLD: Final = 20
_TOLD_LENGTH: Final = 100
_ACCEPT: Final = 1024
_DIGITS: Final = 100
_PATH: Final = re.compile(r" - at `\$([^`]*)`$")


@dataclass(slots=True)
class Request:
    """One request.

    Attributes:
        method: in capitals; ``HEAD`` comes as ``GET``.
        path: the path, decoded once.
        params: the parts of the path that the route names.
        query: the query's parameters; one that repeats is refused.
        body: what ``read_json`` or ``read_form`` made of the body.
        caller: who calls, where the route demands it (an ``introspection.Caller``).
        address: the client's address.
        id: our name for this request, in its answer and in the log; never taken from the client.
        dispatcher: who answers it: what describes the server itself reads its routes and counts.
    """

    method: str
    path: str
    scope: Scope = field(repr=False)
    receive: Receive = field(repr=False)
    address: str | None
    id: str = ""
    dispatcher: Any = field(default=None, repr=False)
    params: Mapping[str, str] = field(default_factory=dict)
    body: Any = field(default=None, repr=False)
    caller: Any = None
    _fields: dict[bytes, bytes] | None = field(default=None, repr=False)
    """The fields by name, of a request in which none repeats."""
    _query: Mapping[str, str] | None = field(default=None, repr=False)

    def header(self, name: str) -> str | None:
        """The one value of a field; ``None`` when it is absent.

        Raises:
            InvalidRequest: it came more than once.
        """
        values = self.header_values(name)
        if not values:
            return None
        if len(values) > 1:
            raise InvalidRequest(f"the field {name} came twice")
        return values[0]

    def header_values(self, name: str) -> Sequence[str]:
        """Every value of a field, without the spaces and tabs around it (RFC 9110 5.5)."""
        fields = self._fields
        if fields is None:
            fields = self._read_fields()
        wanted = name.encode()
        if fields:
            value = fields.get(wanted)
            return () if value is None else (value.decode("latin-1").strip(" \t"),)
        fields = self.scope["headers"]
        return [value.decode("latin-1").strip(" \t") for found, value in fields if found == wanted]

    def _read_fields(self) -> dict[bytes, bytes]:
        raw: Sequence[tuple[bytes, bytes]] = self.scope["headers"]
        fields = dict(raw)
        # Where some field repeats, a dict would hold its last value alone.
        self._fields = fields if len(fields) == len(raw) else {}
        return self._fields

    def accepts(self, media_type: str) -> bool:
        """Whether the client takes *media_type*; the most specific range counts (RFC 9110 12.5.1)."""
        values = self.header_values("accept")
        if not values:
            return True
        value = ",".join(values)
        # Reading a long one costs more than the answer: it passes for */*.
        return len(value) > _ACCEPT or _accepts(value, media_type)

    @property
    def query(self) -> Mapping[str, str]:
        """The query's parameters.

        Raises:
            InvalidRequest: one came twice (RFC 6749 3.1), or there are very many.
        """
        found = self._query
        if found is None:
            try:
                found = self._query = parse_fields(self.scope["query_string"])
            except ValueError as fault:
                raise InvalidRequest(f"the query cannot be read: {fault}") from None
        return found

    def origin(self) -> Origin:
        """Who asks, for the audit log, and what they act on, for the check in the transaction."""
        caller = self.caller
        agent = self.header_values("user-agent")
        return Origin(
            actor=caller.user.id if caller is not None else "anonymous",
            address=self.address,
            user_agent=agent[0] if agent else None,
            session_id=caller.session.id if caller is not None else None,
            authority=caller.authority if caller is not None else None,
        )


async def read_body(request: Request, limit: int) -> bytes:
    """The body, of at most *limit* bytes; one that is larger is refused before it is read.

    Raises:
        ContentTooLarge: it is larger.
        InvalidRequest: its length can't be read.
        MalformedContent: it has another length, or the client went away in the middle.
    """
    declared = request.header("content-length")
    length = None if declared is None else _length(declared)
    if length is not None and length > limit:
        raise ContentTooLarge(f"the body may have {limit} bytes")
    chunks, size = [], 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise MalformedContent("the body ended early")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise ContentTooLarge(f"the body may have {limit} bytes")
        chunks.append(chunk)
        if not message.get("more_body"):
            if length is not None and size != length:
                raise MalformedContent("the body doesn't have the length that Content-Length says")
            return b"".join(chunks)


def _length(declared: str) -> int:
    # Python refuses to read numbers of thousands of digits.
    if not (declared.isascii() and declared.isdigit() and len(declared) <= _DIGITS):
        raise InvalidRequest("Content-Length must be a number")
    return int(declared)


async def read_json(request: Request, form: type[T], limit: int) -> T:
    """The body as *form*: strict JSON, every member known and of its type.

    Raises:
        UnsupportedMediaType: it is not ``application/json``, or is compressed.
        ContentTooLarge, MalformedContent: as they say.
        InvalidInput: a member is missing, unknown or of another type.
    """
    raw = await read_body(request, limit)
    media_type = (request.header("content-type") or "").partition(";")[0].strip().lower()
    if media_type != "application/json" or request.header("content-encoding") not in (None, "identity"):
        raise UnsupportedMediaType
    members = parse_json_object(_compact(raw), error=MalformedContent)
    cut_members(members, form, len(raw))
    try:
        return msgspec.convert(members, form)
    except msgspec.ValidationError:
        raise InvalidInput(errors=_faults(members, form)) from None


def _compact(raw: bytes) -> bytes:
    # Most clients write a space after a colon, and strict reading is quick where there is none.
    try:
        return msgspec.json.format(raw, indent=-1)
    except (msgspec.MsgspecError, RecursionError):
        return raw  # the reading tells what is wrong with it


async def read_form(request: Request, limit: int) -> Mapping[str, str]:
    """The body of a page's form; a field that repeats is refused.

    Raises:
        UnsupportedMediaType, ContentTooLarge, InvalidRequest: as they say.
    """
    raw = await read_body(request, limit)
    media_type = (request.header("content-type") or "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise UnsupportedMediaType("the body must be a form")
    try:
        raw.decode()
        return parse_fields(raw)
    except UnicodeDecodeError:
        raise InvalidRequest("the form cannot be read: it is not UTF-8") from None
    except ValueError as fault:
        raise InvalidRequest(f"the form cannot be read: {fault}") from None


@lru_cache(64)
def _accepts(value: str, media_type: str) -> bool:
    # A handful of clients write a handful of values, so reading them is remembered.
    ranges = {"*": 0, "*/*": 0, media_type.partition("/")[0] + "/*": 1, media_type: 2}
    found, weight = -1, 1.0
    for item in value.lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        rank = ranges.get(name, -1)
        if rank > found:
            found, weight = rank, _weight(parameters)
    return found >= 0 and weight > 0


def _weight(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q" and re.fullmatch(r"[01](\.\d{0,3})?", value.strip()):
            return float(value)
    return 1.0


def _faults(members: Mapping[str, Any], form: type) -> list[tuple[str, str]]:
    """Everything that is wrong with *members*, not only what msgspec stumbles over first."""
    known = {member.encode_name: member for member in msgspec.structs.fields(form)}
    unknown = [name for name in members if name not in known][:_TOLD]
    faults = [(name[:_TOLD_LENGTH], "is not a member here") for name in unknown]
    for name, member in known.items():
        if name in members:
            try:
                msgspec.convert(members[name], member.type)
            except msgspec.ValidationError as fault:
                faults.append(_fault(name, str(fault)))
        elif member.required:
            faults.append((name, "is missing"))
    return faults


def _fault(name: str, message: str) -> tuple[str, str]:
    where = _PATH.search(message)
    what = message[: where.start()] if where else message
    path = name + (where[1] if where else "")
    if member := _MEMBER.search(what):
        path, what = f"{path}.{member[1]}", "is missing" if "required" in what else "is not a member here"
    return path.replace("[...]", ""), what[:1].lower() + what[1:]
