"""One connection: how long its client may take, how large a head may be, and what is no HTTP (RFC 9112).

The server that runs us closes connections that idle between two requests and nothing else, so a client
that sends a byte a minute would hold its place for ever (slow loris). Here each phase has a deadline.
"""

from __future__ import annotations

from asyncio import Transport
from asyncio.events import TimerHandle
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final, Literal, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from watchword.errors import (
    HeaderFieldsTooLarge,
    InvalidRequest,
    RequestTimeout,
    TemporarilyUnavailable,
    WatchwordError,
)
from watchword.server.policies import WebPolicy
from watchword.server.web.address import is_peer_of
from watchword.server.web.admission import Places
from watchword.server.web.answering import OFFERED, answer_at_once, refusal
from watchword.server.web.framing import check_head, without_upgrade

__all__ = ["LAST_CALL", "Ending", "connections"]

_LINGER: Final = 2.0
"""Seconds in which a client that is still sending may fetch its last answer: a close at once would destroy it."""
LAST_CALL: Final = 2.0
"""Seconds in which a client that has connected may send its first request when the server ends."""
_ON_ITS_WAY: Final = 0.2
"""Seconds in which the next request of an idle connection may arrive then: unread, it would make of a close a reset."""
_TOLD: Final = 64
"""Connections too many that are told to come back later, at once; even more of them are closed without a word."""
_AT_ONCE: Final = 16
"""Requests of one read that are answered while it is read; behind more of them everybody else would wait."""
_PIECE: Final = 4096
"""Bytes of one read that are parsed in one go; the rest is kept until the requests in them have been answered."""
_WRAPPING: Final = 8
"""Bytes of chunk headers, their extensions and trailers for each byte of a body; the smallest chunks need five."""
_MORE_TO_COME: Final = frozenset((b"content-length", b"transfer-encoding", b"expect"))
"""Fields of a request whose head may not be all of it, or whose client waits for a word before the rest."""


@dataclass(slots=True)
class Ending:
    """Whether the server ends, told to all its connections: each answer is the last of its connection."""

    begun: bool = False


def connections(
    policy: WebPolicy, instant: Collection[str] = (), ending: Ending | None = None
) -> type[HttpToolsProtocol]:
    """What uvicorn makes of each connection under *policy*; *instant* are paths that are answered without waiting."""
    places = (Places(policy.connections, policy.connections_per_network), Places(_TOLD, _TOLD))
    proxy = is_peer_of(policy.trusted_proxies)
    made = partial(_Connection, policy, frozenset(instant), ending or Ending(), places, proxy)
    return cast("type[HttpToolsProtocol]", made)


class _Connection(HttpToolsProtocol):
    """uvicorn offers no other way in than its class; its callbacks come in the order of the methods here.

    In *head* and *body* the client owes us bytes; *ready* means a whole request has been read. Deadlines are
    touched when a piece of a request comes alone, so that a request in one piece pays nothing for them.
    """

    def __init__(
        self,
        policy: WebPolicy,
        instant: frozenset[str],
        ending: Ending,
        places: Sequence[Places],
        is_proxy: Callable[[Any], bool],
        *args: Any,
        **more: Any,
    ) -> None:
        super().__init__(*args, **more)
        self._policy = policy
        self._instant = instant
        self._answering: RequestResponseCycle | None = None
        self._ending = ending
        self._places = places
        self._is_proxy = is_proxy
        self._place: Places | None = None
        self._holder: str | None = None
        self._quiet_since: float | None = None
        self._quiet: TimerHandle | None = None
        self._phase: Literal["head", "body", "ready"] = "ready"
        self._received = 0
        self._before = 0
        self._whole = 0
        self._bare = False
        self._kept = b""
        self._again = b""
        self._content = 0
        self._carried = 0
        self._owed: Literal["", "head", "body"] = ""
        self._deadline: TimerHandle | None = None
        self._unread: TimerHandle | None = None
        self._fault: WatchwordError | None = None
        self._over = False
        self._hesitates = False

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # A proxy stands for all its clients.
        proxied = self.client is None or self._is_proxy({"client": self.client})
        self._holder = None if proxied or self.client is None else self.client[0]
        self._place = next((places for places in self._places if places.take(self._holder)), None)
        if self._place is None:
            self.transport.abort()
        elif self._place is not self._places[0]:
            self._refuse(TemporarilyUnavailable("too many connections"))
        else:
            self._expect("head")
            if self._ending.begun:
                self.shutdown()

    def data_received(self, data: bytes) -> None:
        if self._kept:
            self._kept += data
            return
        self._whole = 0
        if len(data) <= _PIECE:
            self._parse(data)
        else:
            self._kept = data
            self._read_on()

    def _read_on(self) -> None:
        while self._kept and not self.pipeline:
            piece, self._kept = self._kept[:_PIECE], self._kept[_PIECE:]
            self._parse(piece)
        if self._kept:
            self._expect("")  # it is not the client who lets us wait

    def _read_again(self) -> None:
        self._whole = 0
        self._read_on()
        if not self.pipeline and not self.transport.is_closing():
            self.flow.resume_reading()

    def _parse(self, data: bytes) -> None:
        if self._over:
            return
        self._received += len(data)
        self._feed(data)
        if self._over:
            return
        if self._phase == "ready":
            # Line breaks before a request are no request yet: whoever sends only them owes us a head.
            idle = (self.cycle is None or self.cycle.response_complete) and self._quiet_since is None
            self._expect("head" if idle else "")
        else:
            if self._whole:
                self._expect("")  # what was owed has come; this is another request's
            self._expect(self._phase)
        if self._phase == "body":
            self._carried += len(data)
            wrapped = self._carried - self._content
            if wrapped > self._policy.head_limit + _WRAPPING * min(self._content, self._policy.body_limit):
                self._refuse(InvalidRequest("the chunks of the body are mostly wrapping"))
        if self._phase != "head":
            self._received = self._before = 0
        elif self._whole:
            # Where in this read the head began is not known: it is measured from the next one, and when it is whole.
            self._before = self._received
        elif self._received - self._before > self._policy.head_limit:
            self._refuse(HeaderFieldsTooLarge())

    def _feed(self, data: bytes) -> None:
        self._quiet_since = None
        while True:
            try:
                self.parser.feed_data(data)
            except HttpParserUpgrade as offer:
                # The parser takes what follows for another protocol. It reads the request again, without the offer.
                data = self._again + data[offer.args[0] :]
                self._again = b""
                self.parser = HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            except HttpParserError:
                if not self._over:
                    self.logger.warning("Invalid HTTP request received.")
                    self._refuse(self._fault or InvalidRequest("this is not HTTP/1.1"))
                return
            else:
                return

    def on_message_begin(self) -> None:
        if self.cycle is not None and not self.cycle.keep_alive:
            # What comes behind the last request of a connection is not read as one (RFC 9112 9.6).
            self._over = True
            self._expect("")
            self._fail(InvalidRequest())
        super().on_message_begin()
        self.scope["extensions"] = OFFERED
        self._phase = "head"

    def on_headers_complete(self) -> None:
        if self._received > self._policy.head_limit and self._head_size() > self._policy.head_limit:
            self._fail(HeaderFieldsTooLarge())
        method, version = self.parser.get_method(), self.parser.get_http_version()
        names = [name for name, _ in self.headers]
        try:
            check_head(method, self.url, version, names, self.headers)
        except InvalidRequest as fault:
            self._fail(fault)
        if self.parser.should_upgrade():
            self._again = without_upgrade(method, self.url, version, self.headers)
            return
        self._bare = _MORE_TO_COME.isdisjoint(names)
        if not self._bare and version != "1.0":
            self.expect_100_continue = any(
                name == b"expect" and value.lower() == b"100-continue" for name, value in self.headers
            )
        super().on_headers_complete()
        self._phase = "body"
        self._content = self._carried = 0
        # A client that waits for 100 may never send its body after another answer: its next request would be the body.
        self._hesitates = self.cycle.waiting_for_100_continue and self.cycle.keep_alive
        if self._hesitates:
            self.cycle.keep_alive = False

    def _go_on(self) -> None:
        """The body has come after all, so that the end of the request is certain."""
        self._hesitates = False
        if not self.cycle.response_started:
            self.cycle.keep_alive = not self._ending.begun

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._phase == "body":
            return  # a trailer: what it says comes too late to be acted on (RFC 9110 6.5.1)
        self.headers.append((name.lower(), value.strip(b" \t")))

    def on_body(self, body: bytes) -> None:
        self._content += len(body)
        if self._hesitates:
            self._go_on()
        super().on_body(body)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        # Called where a head has just been read and no other request is under way.
        self._answering = cycle
        scope = cycle.scope
        if self._ending.begun:
            cycle.keep_alive = False
        if (
            scope["path"] in self._instant
            and scope["method"] == "GET"
            and self._bare
            and self._whole < _AT_ONCE
            and not self.flow.write_paused
        ):
            answer_at_once(cycle, app)
        else:
            super()._start_asgi_task(cycle, app)

    def on_message_complete(self) -> None:
        if self._again:
            return
        if self._hesitates:
            self._go_on()
        if not self.cycle.response_complete:
            super().on_message_complete()
        self._phase = "ready"
        self._whole += 1

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._answering, app = self.pipeline.pop()
            super()._start_asgi_task(self._answering, app)
            if not self.pipeline:
                self.loop.call_soon(self._read_again)
            return
        self.flow.resume_reading()
        # One timer for many requests: to make and cancel one for each costs more than to let it look again.
        self._quiet_since = self.loop.time()
        if self._quiet is None:
            self._quiet = self.loop.call_later(self.timeout_keep_alive, self._look_whether_quiet)

    def _unset_keepalive_if_required(self) -> None:
        self._quiet_since = None

    def _look_whether_quiet(self) -> None:
        self._quiet = None
        if self._quiet_since is None:
            return
        left = self._quiet_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._quiet = self.loop.call_later(left, self._look_whether_quiet)
        else:
            self.timeout_keep_alive_handler()

    def shutdown(self) -> None:
        """Close, but not before an answer that is owed: what was let in may ask once, what has begun may go on."""
        if self.cycle is None:
            self._later(timedelta(seconds=LAST_CALL), self._close_if_silent)
        elif not self.cycle.response_complete:
            super().shutdown()
        elif self._phase != "head":
            self._later(timedelta(seconds=_ON_ITS_WAY), partial(self._close_if_idle, self.cycle))

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self._later(self._policy.unread, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._place is not None:
            self._place.give_back(self._holder)
        self._kept = b""
        # uvicorn tells the request that came last; the one that is being answered may be one before it.
        if self._answering is not None and not self._answering.response_complete:
            self._answering.disconnected = True
            self._answering.message_event.set()
        self.pipeline.clear()
        for timer in (self._deadline, self._unread, self._quiet):
            if timer is not None:
                timer.cancel()

    def _close_if_idle(self, last: RequestResponseCycle) -> None:
        if self.cycle is last and self._phase != "head":
            self.transport.close()

    def _close_if_silent(self) -> None:
        if self.cycle is None and not self._received:
            self.transport.close()

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _fail(self, fault: WatchwordError) -> None:
        # The parser ends at an exception of a callback, and ``_feed`` goes on from there.
        self._fault = fault
        raise fault

    def _expect(self, owed: Literal["", "head", "body"]) -> None:
        if owed == self._owed:
            return
        self._owed = owed
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if owed:
            span = self._policy.head if owed == "head" else self._policy.body
            self._deadline = self._later(span, self._late)

    def _later(self, span: timedelta, call: Callable[[], None]) -> TimerHandle:
        return self.loop.call_later(span.total_seconds(), call)

    def _late(self) -> None:
        if self._received or self._phase != "ready":
            self._refuse(RequestTimeout())
        else:
            self.transport.close()

    def _refuse(self, error: WatchwordError) -> None:
        """Answer with *error* where no other answer has begun, and close."""
        if self._over or self.transport.is_closing():
            return
        self._over = True
        self._expect("")
        cycle = self.cycle
        pending = cycle is not None and not cycle.response_complete
        # An answer out of turn, or a second one, would be taken for that of another request.
        if pending:
            silent = cycle.response_started or self._phase == "head" or bool(self.pipeline)
        else:
            silent = cycle is not None and self._phase == "body"
        if not silent:
            self.transport.write(refusal(error, self.server_state.default_headers))
        if pending:
            cycle.disconnected = True
            cycle.message_event.set()
        if silent or not self.transport.can_write_eof():
            self.transport.close()
        else:
            self.transport.write_eof()
        self.loop.call_later(_LINGER, self.transport.abort)
