"""A route as data: what an endpoint demands and may answer, for the dispatcher, the OpenAPI document and the tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from watchword.server.policies import WriteKind
from watchword.server.web.bounds import unbounded
from watchword.server.web.request import Request
from watchword.server.web.responses import Response

__all__ = ["COUNTED_FIRST", "Endpoint", "Route", "RouteLimit"]

RouteLimit = WriteKind | Literal["registrations", "resets", "refreshes"]

COUNTED_FIRST: Final = ("changes", "removals", "departures", "administration")
"""Kinds that the dispatcher counts."""

Endpoint = Callable[[Any, Request], Awaitable[Response]]
"""``(services, request) -> response``."""


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path.

    Attributes:
        method: the HTTP method.
        path: the path; ``{name}`` takes one segment, ``{name:path}`` the rest.
        endpoint: what answers.
        summary: one line for the documents.
        auth: who may call: anybody, a bearer of a first-party token, an administrator.
        body: the struct its JSON body must fit; ``None``: it takes none.
        form: whether the body is a page's form instead.
        optional_body: whether the body may be absent.
        answer: the struct of the good answer, for the documents.
        status: the status of the good answer.
        accepted: the struct of a 202, where what was asked for is done later.
        faults: the statuses of refusals that belong to this route alone.
        query: names and meanings of its query parameters.
        cors: whether pages of configured origins, or of any (``public``), may call.
        stands_in: what may take the place of the body: security schemes of the documents.
        tag: the chapter of the documents; empty: not in them.
        plain: whether it may be asked without TLS from another machine: probes, which tell nothing.
        instant: whether it answers without waiting for anything.
        limit: what a caller writes by it, which is counted. An authenticated route's is counted before its body is
            read, but for ``passwords``; the step behind any other counts once it knows whose write it is.
    """

    method: str
    path: str
    endpoint: Endpoint
    summary: str
    auth: Literal["none", "first-party", "admin"] = "none"
    body: type | None = None
    form: bool = False
    optional_body: bool = False
    answer: Any = None
    status: int = 200
    accepted: Any = None
    faults: tuple[int, ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    cors: Literal["none", "configured", "public"] = "configured"
    media_type: str = "application/json"
    stands_in: tuple[str, ...] = ()
    tag: str = ""
    plain: bool = False
    instant: bool = False
    limit: RouteLimit | None = None

    def __post_init__(self) -> None:
        if self.body is not None and (names := unbounded(self.body)):
            raise TypeError(f"{self.method} {self.path}: a text without a bound: {', '.join(names)}")

    @property
    def statuses(self) -> tuple[int, ...]:
        """Every status this route may answer with."""
        found = {self.status, 400, 500, 503, *self.faults}
        if self.accepted is not None:
            found.add(202)
        if self.auth != "none":
            found |= {401, 403}
        if self.limit is not None:
            found.add(429)
        if self.media_type == "application/json" and self.status != 204:
            found.add(406)
        if self.body is not None or self.form:
            found |= {408, 413, 415, 422} if not self.form else {408, 413, 415}
        return tuple(sorted(found))
