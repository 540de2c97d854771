"""What reaches the server: heads, addresses, queries, cookies and bodies of requests, and what people are called."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from tests.fuzz.parser import Parser, at_once, fields, utf8
from tests.jose.forge import ISSUER, private
from watchword.errors import InvalidInput, InvalidRequest
from watchword.server.accounts.address import (
    email_key,
    normalise_email,
    normalise_name,
    normalise_username,
)
from watchword.server.accounts.passwords import PasswordService, normalise_password
from watchword.server.aliases import TUTORIALS, Aliases
from watchword.server.ephemeral.networks import network_of, wide_network_of
from watchword.server.feed.cursor import CursorCodec
from watchword.server.outbox.letter import mailbox
from watchword.server.policies import CookiePolicy, PasswordPolicy, WebPolicy
from watchword.server.routes import ROUTES
from watchword.server.store.position import Position
from watchword.server.web.address import client_address, is_confidential
from watchword.server.web.connection import connections
from watchword.server.web.cookies import Cookies
from watchword.server.web.paging import page_of
from watchword.server.web.request import (
    Message,
    Receive,
    Request,
    Scope,
    Send,
    read_body,
    read_form,
    read_json,
)

__all__ = ["SERVER"]

CURSORS = CursorCodec(bytes(32))
COOKIES = Cookies(CookiePolicy(ISSUER, origins=frozenset(("https://app.example.com",))))
PASSWORDS = PasswordService(PasswordPolicy(memory=8, passes=1))
PROXIES = ("10.0.0.0/8", "fd00::/8")
ADDRESS, CONFIDENTIAL = (
    client_address(PROXIES, lambda value, proxy: None),
    is_confidential(PROXIES, https=True),
)
FORMS = [route.body for route in ROUTES if route.body is not None]
LIMIT = 65_536
KEY = private("EdDSA").public_jwk()
BODIES = (
    {"email": "ada@example.com", "password": "nine-slow-lanterns", "name": "Ada", "username": "ada"},
    {"username": "ada", "password": "x", "audience": "api", "scope": "a b", "device": "é", "cookie": True},
    {"refresh_token": "wwr_x", "everywhere": False},
    {"email": None, "roles": ["user", "admin"], "name": None},
    {"reason": "spam", "until": "2030-01-01T00:00:00+01:00"},
    {"name": "editor", "scope": ["a", "b:c"]},
    {"audience": "https://api.example.com", "scope": ["a"], "encryption_jwks": {"keys": [KEY]}},
    {"name": "ci", "jwk": KEY, "expires_in": 3600, "current_password": "x"},
)


def _request(headers: list[tuple[bytes, bytes]], query: bytes = b"", body: bytes = b"") -> Request:
    scope: Scope = {
        "type": "http", "scheme": "http", "client": ("10.0.0.1", 1), "headers": headers, "query_string": query,
    }  # fmt: skip
    return Request("POST", "/x", scope, _giving(body), None)


def _giving(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _cursor(given: str) -> object:
    return CURSORS.parse(given, "a")


def _query(given: bytes) -> object:
    request = _request([], given)
    return page_of(request), request.query.get("after")


def _headers(given: bytes) -> object:
    """Everything that is read of the head of a request by more than its letters."""
    request = _request(fields(given))
    accepted = request.accepts("application/json"), request.accepts("text/html")
    address = ADDRESS(request.scope)
    keys = network_of(address), wide_network_of(address), CONFIDENTIAL(request.scope)
    return (
        accepted,
        keys,
        COOKIES.acts(request),
        COOKIES.credentials(request),
        COOKIES.refresh_tokens(request),
    )


def _json(given: bytes) -> object:
    """The body of the form whose number among all is its first byte."""
    form = FORMS[(given[0] if given else 0) % len(FORMS)]
    return at_once(read_json(_request([(b"content-type", b"application/json")], body=given[1:]), form, LIMIT))


def _formed(body: dict[str, Any]) -> bytes:
    """*body* with the number of a form that takes it."""
    raw = json.dumps(body).encode()
    for number, form in enumerate(FORMS):
        if body.keys() <= set(form.__struct_fields__):
            return bytes((number,)) + raw
    raise AssertionError(f"no body has {sorted(body)}")


def _form(given: bytes) -> object:
    kind = b"application/x-www-form-urlencoded"
    return at_once(read_form(_request([(b"content-type", kind)], body=given), LIMIT))


async def _endpoint(scope: Scope, receive: Receive, send: Send) -> None:
    """What stands behind an alias: it reads the body, and answers a problem."""
    request = Request(scope["method"], scope["path"], scope, receive, None)
    await read_body(request, LIMIT)
    await send({"type": "http.response.start", "status": 400, "headers": []})
    await send({"type": "http.response.body", "body": b'{"title":"Bad"}'})


def _alias(given: bytes) -> object:
    alias = next(alias for alias in TUTORIALS if alias.members)
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": alias.method, "path": alias.path, "headers": []}
    return at_once(Aliases(_endpoint)(scope, _giving(given), send)), sent  # type: ignore[arg-type]


def _password(given: str) -> object:
    return normalise_password(given), PASSWORDS.check(given, about=("ada@example.com", "Ada", None))


def _mailbox(given: str) -> str:
    try:
        return mailbox(given)
    except ValueError as fault:  # its word for a refusal
        raise InvalidInput(str(fault)) from None


class _Line(asyncio.Transport):
    """The client's end of a connection: what the server writes is kept."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 1), "sockname": ("192.0.2.2", 2)})
        self.written = bytearray()
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    abort = close

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that reads the body, except where it answers at once."""
    while scope["path"] != "/now" and (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


LOOP = asyncio.new_event_loop()
CONFIG = uvicorn.Config(
    _answer, log_config=None, access_log=False, ws="none", lifespan="off", proxy_headers=False
)
CONFIG.load()
CONNECTION: Callable[..., Any] = connections(WebPolicy(head=timedelta(seconds=1)), ["/now"])


def _wire(given: bytes) -> object:
    """A connection on which these bytes come in two pieces, and then nothing."""
    connection = CONNECTION(config=CONFIG, server_state=ServerState(), app_state={}, _loop=LOOP)
    line = _Line()
    connection.connection_made(line)
    half = len(given) // 2
    for piece in (given[:half], given[half:]):
        if not line.closed:
            connection.data_received(piece)
            LOOP.run_until_complete(asyncio.sleep(0))
    connection.connection_lost(None)
    LOOP.run_until_complete(asyncio.sleep(0))
    assert b"HTTP/1.1 500" not in line.written, "an exception of ours"
    if not line.written.startswith(b"HTTP/1.1 200"):
        raise InvalidRequest("refused")
    return line.written


SERVER: dict[str, Parser] = {
    "the cursor of the feed": Parser(
        utf8(_cursor), (CURSORS.mint(Position(1, 7, 9), "a").encode(), b"1.7.9."), 90
    ),
    "a query": Parser(_query, (b"limit=50&cursor=usr_a", b"after=12&nonce=a%20b", b"limit=1&x=%ff+"), 5),
    "the head of a request": Parser(
        _headers,
        (
            b"accept: application/json;q=0.5, text/*, */*;q=0\nx-forwarded-for: 192.0.2.7, 10.1.1.1"
            b"\nx-forwarded-proto: https, http\nforwarded: for=192.0.2.7",
            b"x-forwarded-for: ::ffff:192.0.2.7\ncookie: __Host-watchword=a.b.c; __Secure-watchword-refresh=wwr_x"
            b"\norigin: https://app.example.com\nx-csrf: 1",
            b"x-forwarded-for: fe80::1%eth0\nsec-fetch-site: same-origin\ncookie: __Host-watchword=a",
        ),
        20,
    ),
    "a connection": Parser(
        _wire,
        (
            b"GET /now HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /a%20b?c HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\nGET /now HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /now HTTP/1.0\r\n\r\n",
            b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nd: e\r\n\r\n",
            b"POST /d HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        ),
        10,
    ),
    "a JSON body": Parser(_json, tuple(map(_formed, BODIES)), 5),
    "a form": Parser(_form, (b"token=a&email=ada%40example.com&name=A+b", b"password=%C3%BC&x="), 20),
    "the body of an alias": Parser(_alias, (b'{"username":"ada","password":"x"}', b'{"email":"a@b.c"}'), 50),
    "normalise_email": Parser(
        utf8(normalise_email),
        (
            b"ada@example.com",
            "grün@bücher.example".encode(),
            b"a.b+c@xn--bcher-kva.example",
            b"=?utf-8?q?a?=@b.c",
        ),
        5,
    ),
    "email_key": Parser(
        utf8(lambda given: email_key(given[:320])),
        (
            b"Ada@Example.com ",
            "grün@BÜCHER.example".encode(),
            b"a@xn--bcher-kva.example",
            "ﬁ@ａ。ｂ".encode(),
        ),
        90,
    ),
    "mailbox": Parser(
        utf8(_mailbox),
        (
            b"Ada <ada@example.com>",
            "ä@bücher.example".encode(),
            b'"a b"@c.d (e), f@g.h',
            b"=?utf-8?b?YQ==?= <a@b.c>",
        ),
        5,
    ),
    "normalise_username": Parser(utf8(normalise_username), (b"ada.lovelace", b"A_1-b"), 5),
    "normalise_name": Parser(utf8(normalise_name), ("Ada Lovelace, née Byron".encode(), b" x "), 5),
    "a password": Parser(
        utf8(_password),
        (b"nine-slow-lanterns", "Pa55wort für Ädä".encode(), b"1qaz2wsx3edc", b"ada@example.com"),
        5,
    ),
}
