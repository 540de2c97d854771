"""Header fields as they are written: spaces around a value, lengths, and who the client is."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.server.stage import PASSWORD, Stage, open_stage
from tests.server.wire import Wire, open_wire

pytestmark = pytest.mark.anyio


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with open_wire() as opened:
        yield opened


async def ask(
    stage: Stage, method: str, path: str, body: bytes = b"", *, client: str = "192.0.2.1", **fields: str
) -> tuple[int, Any]:
    """The answer to a request whose fields reach the application as they are written here."""
    headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]
    scope = {
        "type": "http", "http_version": "1.1", "method": method, "path": path, "scheme": "https",
        "query_string": b"", "headers": headers, "client": (client, 1), "extensions": {},
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await stage.app(scope, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"] or b"null")


class TestSpaces:
    async def test_f_b11_spaces_around_a_value_are_no_part_of_it(self, wire: Wire) -> None:
        """Every field that decides something, on a connection of ours."""
        ada = await wire.stage.newcomer()
        body = json.dumps({"email": ada.email, "password": PASSWORD})
        for around in (" ", "\t", " \t "):
            answer = await wire.ask(
                f"GET /auth/me HTTP/1.1\nAuthorization:{around}Bearer   {ada.tokens['access_token']}{around}"
                f"\nAccept:{around}application/json{around}"
            )
            assert answer.status == 200, around
            answer = await wire.ask(
                f"POST /auth/login HTTP/1.1\nContent-Type:{around}application/json{around}"
                f"\nContent-Length:{around}{len(body)}{around}\nContent-Encoding:{around}identity{around}"
                f"\nExpect:{around}100-continue{around}",
                body.encode(),
            )
            assert answer.status == 200, around
            answer = await wire.ask(
                f"GET /.well-known/jwks.json HTTP/1.1\nOrigin:{around}https://a.example{around}"
            )
            tag = answer.headers.get("etag")
            if tag is not None:
                answer = await wire.ask(
                    f"GET /.well-known/jwks.json HTTP/1.1\nIf-None-Match:{around}{tag}{around}"
                )
                assert answer.status == 304

    async def test_f_b11_another_server_may_leave_them_there(self, stage: Stage) -> None:
        """The application takes them off itself."""
        ada = await stage.newcomer()
        body = json.dumps({"email": ada.email, "password": PASSWORD}).encode()
        for around in (" ", "\t", " \t "):
            token = f"{around}Bearer  {ada.tokens['access_token']}{around}"
            assert (await ask(stage, "GET", "/auth/me", authorization=token))[0] == 200
            length, kind = f"{around}{len(body)}{around}", f"{around}application/json{around}"
            found = await ask(
                stage, "POST", "/auth/login", body, content_type=kind, content_length=length,
                content_encoding=f"{around}identity{around}", accept=f"{around}*/*{around}",
            )  # fmt: skip
            assert found[0] == 200, found


PROXY = "10.0.0.1"


@asynccontextmanager
async def behind() -> AsyncIterator[Stage]:
    """A server behind proxies that logs its requests."""
    proxies = f"{PROXY}, ::ffff:10.1.0.0/112, fd00::/8"
    async with open_stage(trusted_proxies=proxies, log_requests="true") as stage:
        yield stage


class TestForwarded:
    @pytest.mark.parametrize(
        ("forwarded", "address"),
        [
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.7:51234", "203.0.113.7"),
            (' "203.0.113.7:51234" ', "203.0.113.7"),
            ("2001:db8::1", "2001:db8::1"),
            ("2001:DB8:0::0001", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ('"[2001:db8::1]"', "2001:db8::1"),
            ('"[2001:db8::1]:4711"', "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%25eth0]:443", "fe80::1"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("[::ffff:cb00:7107]:80", "203.0.113.7"),
            ("198.51.100.9, 203.0.113.7:1, 10.1.2.3:80, [fd00::1]:9, ::ffff:10.1.2.3", "203.0.113.7"),
            ("203.0.113.7,, ,\t", "203.0.113.7"),
            ("", PROXY),
        ],
    )
    async def test_f_b23_the_client_is_found_however_its_address_is_written(
        self, capsys: pytest.CaptureFixture[str], forwarded: str, address: str
    ) -> None:
        """With a port, in brackets, quoted, with a zone, mapped into IPv6, past several proxies."""
        async with behind() as stage:
            for peer in (PROXY, f"::ffff:{PROXY}"):
                await ask(stage, "GET", "/healthz", client=peer, x_forwarded_for=forwarded)
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        assert [(line["event"], line["address"]) for line in lines] == [("request", address)] * 2

    async def test_f_b23_several_fields_are_one_list(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Read from the right, past the proxies."""
        fields = [("x-forwarded-for", "198.51.100.9"), ("x-forwarded-for", "203.0.113.7:51234")]
        async with behind() as stage, stage.client(PROXY) as http:
            await http.get("/healthz", headers=[*fields, ("x-forwarded-for", "10.1.0.1:80")])
        assert json.loads(capsys.readouterr().err)["address"] == "203.0.113.7"

    async def test_f_b23_what_holds_no_address_is_warned_about_once(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The proxy's own address counts then; the value is in the log on one line, and short."""
        values = ("\x1b[2J\x85" + "x" * 1000, "unknown", "_hidden", "203.0.113.7:x", "[2001:db8::1", "203.0.113.7:1:2",
                  "203.0.113.300", "2001:db8::1]:443", "1.2.3.4 5.6.7.8", "203.0.113.7, unknown")  # fmt: skip
        async with behind() as stage:
            for value in values:
                await ask(stage, "GET", "/healthz", client=PROXY, x_forwarded_for=value)
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        assert [line["address"] for line in lines if line["event"] == "request"] == [PROXY] * len(values)
        (warning,) = (line for line in lines if line["level"] == "warning")
        assert (warning["proxy"], len(warning["value"])) == (PROXY, 98 + len("\\x1b\\x85"))
        assert "\x1b" not in warning["value"]

    async def test_f_b23_a_proxy_with_another_field_is_warned_about_once(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """``Forwarded`` alone isn't read; beside the field that is, or from a stranger, it says nothing."""
        other = {"forwarded": "for=203.0.113.7;proto=https"}
        async with behind() as stage:
            await ask(stage, "GET", "/healthz", client="198.51.100.1", **other)
            await ask(stage, "GET", "/healthz", client=PROXY, x_forwarded_for="203.0.113.7", **other)
            assert "warning" not in capsys.readouterr().err
            for _ in range(3):
                await ask(stage, "GET", "/healthz", client=PROXY, **other)
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        (warning,) = (line for line in lines if line["level"] == "warning")
        assert (warning["proxy"], warning["value"]) == (PROXY, "Forwarded: for=203.0.113.7;proto=https")

    async def test_f_b23_a_mapped_peer_is_the_ipv4_address_it_stands_for(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Without a proxy, too: a server that listens on IPv6 sees IPv4 clients so."""
        async with open_stage(log_requests="true") as stage:
            for peer in ("203.0.113.7", "::ffff:203.0.113.7", "::ffff:cb00:7107"):
                await ask(stage, "GET", "/healthz", client=peer)
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        assert {line["address"] for line in lines if line["event"] == "request"} == {"203.0.113.7"}


class TestVary:
    @pytest.mark.parametrize("origin", [None, "https://app.example.com", "https://evil.example"])
    async def test_f_s14_answers_whose_cors_fields_depend_on_the_origin_say_so(
        self, origin: str | None
    ) -> None:
        """With and without ``Origin``: a cache may not give the answer for one page to another."""
        headers = {} if origin is None else {"Origin": origin}
        async with open_stage(cors_origins="https://app.example.com") as stage:
            for route in stage.app.dispatch.routes:
                path = route.path.replace("{", "").replace("}", "").replace(":path", "")
                if route.media_type == "text/event-stream":
                    continue
                answer = await stage.http.request(route.method, path, headers=headers)
                varies = [part.strip() for part in answer.headers.get("vary", "").split(",")]
                assert ("Origin" in varies) is (route.cors != "none"), (route.method, path)
                assert varies.count("Origin") <= 1


class TestLength:
    @pytest.mark.parametrize(
        "length", ["", "x", "+2", "-2", "2, 2", "2_0", "0x2", "²", "9" * 5_000, "0" * 5_000 + "2"]
    )
    async def test_f_b11_an_unreadable_length_is_400(self, stage: Stage, length: str) -> None:
        """The request is malformed; it isn't too large."""
        status, document = await ask(
            stage, "POST", "/auth/login", b"{}", content_type="application/json", content_length=length
        )
        assert (status, document["error"]) == (400, "invalid_request")

    async def test_f_s1_a_body_of_another_length_is_refused(self, stage: Stage) -> None:
        """The server that runs the application lost it, or found more."""
        for length in ("1", "3", "60"):
            status, document = await ask(
                stage, "POST", "/auth/login", b"{}", content_type="application/json", content_length=length
            )
            assert (status, document["error"]) == (400, "malformed_content")
        status, _ = await ask(
            stage, "POST", "/auth/login", b"{}", content_type="application/json", content_length="99999999"
        )
        assert status == 413
