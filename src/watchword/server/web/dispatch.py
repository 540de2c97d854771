"""The ASGI application over the route table: exact paths by one look-up, the others by pattern.

One function sees every request: it finds the route, authenticates, reads the body, calls the
endpoint, and writes the answer with the fields that belong on every one.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, Final, NamedTuple

from starlette.routing import compile_path

from watchword.errors import (
    AccessDenied,
    InvalidRequest,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    ServerError,
    TemporarilyUnavailable,
    WatchwordError,
)
from watchword.protocol.challenge import holds_token
from watchword.server.policies import WebPolicy
from watchword.server.web.address import client_address, is_confidential
from watchword.server.web.admission import Places
from watchword.server.web.cookies import Cookies, CookieTwice
from watchword.server.web.errors import error_response
from watchword.server.web.observe import Observer
from watchword.server.web.request import Receive, Request, Scope, Send, read_form, read_json
from watchword.server.web.responses import ANSWER, JSON, PROTECTIONS, Field, Response, fields_of, lines_of
from watchword.server.web.route import COUNTED_FIRST, Route

__all__ = ["Dispatcher", "send_and_close"]

_HSTS: Final = (b"strict-transport-security", b"max-age=63072000; includeSubDomains")
_CROWDED: Final = 5
"""Seconds after which a place for a stream may be free."""
_KINDS: Final = 256
"""Kinds of answers whose fields are remembered; entity tags and waits make new ones for ever."""
_NO_COOKIES: Final = Cookies()
_METHODS: Final = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"))


class _Head(NamedTuple):
    """Fields that several answers share, made once: as ASGI takes them, and as they stand on the wire."""

    fields: Sequence[Field]
    lines: bytes


@dataclass(slots=True)
class Dispatcher:
    """Serves *routes* with *services*."""

    routes: Sequence[Route]
    services: Any
    policy: WebPolicy
    observer: Observer
    https: bool
    cookies: Cookies = field(default_factory=Cookies)
    token_bytes: Callable[[int], bytes] = field(default=os.urandom, repr=False)
    _exact: dict[str, dict[str, Route]] = field(default_factory=dict, repr=False)
    _patterns: list[tuple[re.Pattern[str], dict[str, Route]]] = field(default_factory=list, repr=False)
    _address: Callable[[Scope], str | None] = field(init=False, repr=False)
    _confidential: Callable[[Scope], bool] = field(init=False, repr=False)
    _names: Iterator[str] = field(init=False, repr=False)
    _streams: Places = field(init=False, repr=False)
    _common: tuple[Field, ...] = field(init=False, repr=False)
    _heads: dict[tuple[Any, ...], _Head] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._names = _names(self.token_bytes)
        self._streams = Places(self.policy.streams, self.policy.streams_per_network)
        self._address = client_address(self.policy.trusted_proxies, self._warn_of_proxy)
        self._confidential = is_confidential(self.policy.trusted_proxies, https=self.https)
        self._common = (*PROTECTIONS, _HSTS) if self.https else PROTECTIONS
        patterns: dict[str, dict[str, Route]] = {}
        for route in self.routes:
            table = patterns if "{" in route.path else self._exact
            table.setdefault(route.path, {})[route.method] = route
        self._patterns = [(compile_path(path)[0], methods) for path, methods in patterns.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = perf_counter()
        name = next(self._names)
        request = Request(scope["method"], scope["path"], scope, receive, self._address(scope), name, self)
        route: Route | None = None
        try:
            methods, request.params = self._find(request.path)
            if request.method == "OPTIONS":
                response = Response(204, media_type="", headers={"Allow": _allow(methods)})
            else:
                route = self._choose(request.method, methods)
                response = await self._answer(route, request)
        except CookieTwice as error:
            response = replace(
                error_response(error), cookies=self.cookies.clear_planted(request, access=True)
            )
        except WatchwordError as error:
            response = error_response(error)
        except Exception as fault:
            self.observer.failed(request, route, fault)
            response = error_response(ServerError(f"the server failed; its log knows why under {name}"))
        if response.stream is None:
            await self._send(request, route, response, send)
        else:
            response = await self._send_stream(request, route, response, send)
        self.observer.answered(request, route, response.status, perf_counter() - started)

    def serves(self, path: str) -> bool:
        """Whether *path* is a route's."""
        return path in self._exact or any(pattern.match(path) for pattern, _ in self._patterns)

    def _warn_of_proxy(self, value: str, proxy: str | None) -> None:
        self.observer.logger.warning(
            "X-Forwarded-For holds no address: clients of this proxy share its limits. Let it write addresses,"
            " as 203.0.113.7, 203.0.113.7:51234 or [2001:db8::1]:443",
            value=value,
            proxy=proxy,
        )

    def _find(self, path: str) -> tuple[dict[str, Route], dict[str, str]]:
        methods = self._exact.get(path)
        if methods is not None:
            return methods, {}
        for pattern, found in self._patterns:
            if match := pattern.match(path):
                return found, match.groupdict()
        raise NotFound

    def _choose(self, method: str, methods: dict[str, Route]) -> Route:
        route = methods.get("GET" if method == "HEAD" else method)
        if route is None:
            raise MethodNotAllowed(allow=_allow(methods).split(", "))
        return route

    async def _answer(self, route: Route, request: Request) -> Response:
        if not route.plain and not self._confidential(request.scope):
            raise AccessDenied("come by https; plain HTTP is for this machine and for trusted proxies")
        if (query := request.scope["query_string"]) and holds_token(query):
            raise InvalidRequest("a token does not belong in the URL")
        if route.media_type == JSON and route.status != 204 and not request.accepts(JSON):
            raise NotAcceptable
        if route.auth != "none":
            # A cookie comes with whatever a page sends: the server is not administered by one.
            cookies = self.cookies if route.auth == "first-party" else _NO_COOKIES
            request.caller = await self.services.introspection.authenticate(
                cookies.credentials(request), audience=route.auth, by_cookie=cookies.acts(request)
            )
            if route.limit in COUNTED_FIRST:
                await self.services.writes.enter(route.limit, request.caller.user.id, request.address)
        if route.form:
            request.body = await read_form(request, self.policy.body_limit)
        elif route.body is not None and not (route.optional_body and _is_bare(request)):
            request.body = await read_json(request, route.body, self.policy.body_limit)
        return await route.endpoint(self.services, request)

    async def _send_stream(
        self, request: Request, route: Route | None, response: Response, send: Send
    ) -> Response:
        """Send a stream if there is a place for one more, or say that there is none."""
        if not self._streams.take(request.address):
            await response.stream.aclose()  # type: ignore[union-attr]
            response = error_response(TemporarilyUnavailable("too many streams", retry_after=_CROWDED))
            await self._send(request, route, response, send)
            return response
        try:
            await self._send(request, route, response, send)
        finally:
            self._streams.give_back(request.address)
        return response

    async def _send(self, request: Request, route: Route | None, response: Response, send: Send) -> None:
        # What a page of one origin may read of an answer, a cache must not hand to a page of another (Fetch 3.2.5).
        varies = route.cors != "none" if route is not None else request.method == "OPTIONS"
        head = self._head(response, varies)
        origins = request.header_values("origin")
        answer = (request.scope.get("extensions") or {}).get(ANSWER) if response.stream is None else None
        if answer is not None and not origins and not response.cookies:
            lines = b"%bx-request-id: %b\r\n" % (head.lines, request.id.encode())
            if response.status != 204 and response.status != 304:
                lines += b"content-length: %d\r\n" % len(response.body)
            await answer(send, response.status, lines, b"" if request.method == "HEAD" else response.body)
            return
        own = [(b"x-request-id", request.id.encode())]
        own += [(b"set-cookie", cookie.encode()) for cookie in response.cookies]
        if origins:
            own += self._cors(origins[0], request, route)
        if response.stream is not None:
            await _start(response.status, [*head.fields, *own], send)
            if request.method != "HEAD":
                await _pump(response, request.receive, send)
            await send({"type": "http.response.body", "body": b""})
            return
        if response.status != 204 and response.status != 304:
            own.append((b"content-length", b"%d" % len(response.body)))
        body = b"" if request.method == "HEAD" else response.body
        if answer is not None:
            await answer(send, response.status, head.lines + lines_of(own), body)
            return
        await _start(response.status, [*head.fields, *own], send)
        await send({"type": "http.response.body", "body": body})

    def _head(self, response: Response, varies: bool) -> _Head:
        """The fields of an answer that follow from what kind it is; there are few kinds, so each is made once."""
        kind = (varies, response.media_type, *response.headers.items())
        head = self._heads.get(kind)
        if head is None:
            own = fields_of(response)
            if varies:
                others = [value for name, value in own if name == b"vary"]
                own = [field for field in own if field[0] != b"vary"]
                own.append((b"vary", b", ".join((*others, b"Origin"))))
            fields = (*own, *self._common)
            head = _Head(fields, lines_of(fields))
            if len(self._heads) >= _KINDS:
                self._heads.clear()
            self._heads[kind] = head
        return head

    def _cors(self, origin: str, request: Request, route: Route | None) -> list[Field]:
        asked = route
        if asked is None and request.method == "OPTIONS":
            method = request.header_values("access-control-request-method")
            try:
                asked = self._find(request.path)[0].get(method[0]) if method else None
            except NotFound:
                return []
        if asked is None or asked.cors == "none":
            return []
        if asked.cors == "public":
            return [(b"access-control-allow-origin", b"*")]
        by_cookie = origin in self.cookies.origins
        if not by_cookie and origin not in self.policy.cors_origins:
            return []
        fields = [(b"access-control-allow-origin", origin.encode("latin-1"))]
        if by_cookie:
            fields.append((b"access-control-allow-credentials", b"true"))
        if request.method == "OPTIONS":
            own = b", x-csrf" if by_cookie else b""
            fields += [
                (b"access-control-allow-methods", asked.method.encode()),
                (b"access-control-allow-headers", b"authorization, content-type" + own),
                (b"access-control-max-age", b"600"),
            ]
        return fields


def _names(token_bytes: Callable[[int], bytes]) -> Iterator[str]:
    """Names for requests, of eight random bytes each; drawn many at a time, as each draw is a system call."""
    while True:
        block = token_bytes(512).hex()
        yield from [block[start : start + 16] for start in range(0, len(block), 16)]


async def send_and_close(response: Response, send: Send) -> None:
    """Send *response* as the last one of its connection: what comes behind the request can't be trusted."""
    fields = [*fields_of(response), *PROTECTIONS, (b"content-length", b"%d" % len(response.body))]
    await _start(response.status, [*fields, (b"connection", b"close")], send)
    await send({"type": "http.response.body", "body": response.body})


async def _start(status: int, fields: list[Field], send: Send) -> None:
    await send({"type": "http.response.start", "status": status, "headers": fields})


async def _pump(response: Response, receive: Receive, send: Send) -> None:
    """Send the chunks of a stream until it ends or the client goes."""

    assert response.stream is not None

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async def chunks() -> None:
        assert response.stream is not None
        async for chunk in response.stream:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})

    tasks = {asyncio.ensure_future(gone()), asyncio.ensure_future(chunks())}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _is_bare(request: Request) -> bool:
    """Whether a request has no body: neither a length nor chunks are announced (RFC 9112 6.3)."""
    length = request.header_values("content-length")
    return (not length or length[0] == "0") and not request.header_values("transfer-encoding")


def _allow(methods: dict[str, Route]) -> str:
    found = {*methods, "OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
    return ", ".join(sorted(found & _METHODS))
