"""What verifiers and probes read."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from tests.server.stage import ISSUER, Stage, each_ground, problem
from watchword.jose.jwk import KeySet
from watchword.protocol import revocation_list
from watchword.protocol.metadata import REVOCATIONS_JWKS

pytestmark = pytest.mark.anyio

kind = each_ground


async def read_metadata(stage: Stage) -> dict[str, Any]:
    document: dict[str, Any] = (await stage.http.get("/.well-known/oauth-authorization-server")).json()
    return document


async def parse_feed(stage: Stage, message: str) -> revocation_list.RevocationList:
    """A message of the feed, as a guard reads it: with the feed's own keys."""
    keys = KeySet.parse((await read_metadata(stage))[REVOCATIONS_JWKS])
    return revocation_list.parse(message, keys, issuer=ISSUER)


class TestJwks:
    async def test_req_j23_public_members_alone(self, stage: Stage) -> None:
        """The active and the waiting key, without any private member; it may be cached for a minute."""
        answer = await stage.http.get("/.well-known/jwks.json")
        keys = answer.json()["keys"]
        assert len(keys) == 2
        for key in keys:
            assert not key.keys() & {"d", "p", "q", "dp", "dq", "qi", "k", "oth"}
            assert (key["kty"], key["alg"]) == ("EC", "ES256")
        assert answer.headers["cache-control"] == "public, max-age=60"

    async def test_the_feed_s_keys_are_not_among_them(self, stage: Stage) -> None:
        """A key of the feed must not verify a token, nor the other way round."""
        tokens = {key["kid"] for key in (await stage.http.get("/.well-known/jwks.json")).json()["keys"]}
        feed = {key["kid"] for key in (await read_metadata(stage))[REVOCATIONS_JWKS]["keys"]}
        assert feed
        assert not tokens & feed

    async def test_a_compromised_key_is_gone_at_once(self, stage: Stage) -> None:
        """The next answer does not have it."""
        root = await stage.administrator()
        listed = (await stage.http.get("/admin/v1/keys", headers=root.bearer)).json()["items"]
        active = next(key["kid"] for key in listed if key["state"] == "active")
        answer = await stage.http.post(f"/admin/v1/keys/{active}/compromise", headers=root.bearer)
        assert answer.status_code == 200
        kids = {key["kid"] for key in (await stage.http.get("/.well-known/jwks.json")).json()["keys"]}
        assert active not in kids
        assert len(kids) == 2


class TestMetadata:
    async def test_req_x01_it_names_the_issuer_and_what_is_there(self, stage: Stage) -> None:
        """``issuer`` is the configured one, and every address it names answers (RFC 8414 3.3)."""
        document = await read_metadata(stage)
        assert document["issuer"] == ISSUER
        addresses = {
            name: value
            for name, value in document.items()
            if isinstance(value, str) and name.endswith(("_endpoint", "_uri", "_documentation"))
        }
        assert {"jwks_uri", "watchword_revocations_endpoint", "watchword_revocations_stream_endpoint"} <= set(
            addresses
        )
        for name, address in addresses.items():
            assert address.startswith(ISSUER + "/")
            answer = await stage.http.options(address)
            assert answer.status_code == 204, (name, answer.status_code)
            assert answer.headers["allow"]


class TestRevocations:
    async def test_the_snapshot_holds_what_died(self, stage: Stage) -> None:
        """A log-out is in it, signed by the feed's key."""
        ada = await stage.newcomer()
        await stage.http.post("/auth/logout", headers=ada.bearer)
        await stage.services.feed.poll()
        answer = await stage.http.get("/revocations")
        assert answer.headers["content-type"] == "application/jwt"
        feed = await parse_feed(stage, answer.text)
        assert (feed.iss, feed.after) == (ISSUER, 0)
        assert ada.session_id in {entry.id for entry in feed.entries}

    async def test_an_unchanged_snapshot_is_not_sent_again(self, stage: Stage) -> None:
        """304 for its entity tag; a new death makes another."""
        first = await stage.http.get("/revocations")
        tag = {"If-None-Match": first.headers["etag"]}
        again = await stage.http.get("/revocations", headers=tag)
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
        ada = await stage.newcomer()
        await stage.http.post("/auth/logout", headers=ada.bearer)
        await stage.services.feed.poll()
        assert (await stage.http.get("/revocations", headers=tag)).status_code == 200

    async def test_after_gives_what_came_since(self, stage: Stage) -> None:
        """A cursor in the past gets the rest, one from the future the whole."""
        for _ in range(2):
            ada = await stage.newcomer()
            await stage.http.post("/auth/logout", headers=ada.bearer)
        await stage.services.feed.poll()
        whole = await parse_feed(stage, (await stage.http.get("/revocations")).text)
        cursor = whole.entries[-2].sequence
        rest = await parse_feed(stage, (await stage.http.get(f"/revocations?after={cursor}")).text)
        assert rest.after == cursor
        assert [entry.id for entry in rest.entries] == [ada.session_id]
        future = await parse_feed(stage, (await stage.http.get("/revocations?after=999999")).text)
        assert future.after == 0

    async def test_a_nonce_is_answered_with_what_is_true_now(self, stage: Stage) -> None:
        """The log is read for the question, not for the next heartbeat; the answer names the question."""
        ada = await stage.newcomer()
        before = stage.services.feed.sequence
        await stage.http.post("/auth/logout", headers=ada.bearer)
        answer = await stage.http.get(f"/revocations?after={before}&nonce=q-1")
        assert answer.headers["cache-control"] == "no-store"
        feed = await parse_feed(stage, answer.text)
        assert (feed.nonce, feed.after, feed.sequence) == ("q-1", before, before + 1)
        assert [entry.id for entry in feed.entries] == [ada.session_id]

    @pytest.mark.parametrize("after", [0, 999_999])
    async def test_a_nonce_never_has_much_signed(self, stage: Stage, after: int) -> None:
        """Strangers may ask, too: who has no place in the log is told where it ends, and fetches the snapshot."""
        for _ in range(3):
            ada = await stage.newcomer()
            await stage.http.post("/auth/logout", headers=ada.bearer)
        answer = await stage.http.get(f"/revocations?after={after}&nonce=q-2")
        feed = await parse_feed(stage, answer.text)
        assert (feed.nonce, feed.entries) == ("q-2", ())
        assert feed.after == feed.sequence == stage.services.feed.sequence

    @pytest.mark.parametrize("nonce", ["", "é", "%00", "x" * 65])
    async def test_a_nonce_that_is_no_short_text_is_refused(self, stage: Stage, nonce: str) -> None:
        """It is signed, so it stays small and plain."""
        problem(await stage.http.get(f"/revocations?after=0&nonce={nonce}"), 400, "invalid_request")

    @pytest.mark.parametrize("after", ["-1", "x", "1e3", "٣", "9" * 30, "", "1&after=2"])
    async def test_a_cursor_that_is_no_number_is_refused(self, stage: Stage, after: str) -> None:
        """400, and never 500."""
        problem(await stage.http.get(f"/revocations?after={after}"), 400, "invalid_request")


class Listener:
    """A guard that listens: the ASGI channel of one streaming request."""

    def __init__(self, stage: Stage, headers: list[tuple[bytes, bytes]]) -> None:
        self.chunks: asyncio.Queue[bytes] = asyncio.Queue()
        self.start: dict[str, Any] = {}
        self.gone = asyncio.Event()
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/revocations/stream",
            "scheme": "https",
            "query_string": b"",
            "headers": headers,
            "client": ("192.0.2.9", 1),
        }
        self.task = asyncio.create_task(stage.app(scope, self.receive, self.send))

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.start = dict(message)
        elif message["body"]:
            self.chunks.put_nowait(message["body"])

    async def event(self) -> dict[str, str]:
        async with asyncio.timeout(5):
            text = (await self.chunks.get()).decode()
        return dict(line.split(": ", 1) for line in text.strip().split("\n"))


class TestStream:
    async def test_a_log_out_arrives_and_a_cursor_resumes(self, stage: Stage) -> None:
        """First the whole, then each death; ``Last-Event-ID`` gets what was missed alone."""
        listener = Listener(stage, [])
        first = await listener.event()
        headers = dict(listener.start["headers"])
        assert listener.start["status"] == 200
        assert headers[b"content-type"] == b"text/event-stream"
        assert headers[b"x-accel-buffering"] == b"no"
        assert b"content-length" not in headers
        ada = await stage.newcomer()
        await stage.http.post("/auth/logout", headers=ada.bearer)
        await stage.services.feed.poll()
        heard = await parse_feed(stage, (await listener.event())["data"])
        assert [entry.id for entry in heard.entries] == [ada.session_id]
        listener.gone.set()
        await listener.task
        assert stage.services.feed.listeners == 0
        later = Listener(stage, [(b"last-event-id", first["id"].encode())])
        missed = await parse_feed(stage, (await later.event())["data"])
        assert [entry.id for entry in missed.entries] == [ada.session_id]
        stage.services.feed.close()
        async with asyncio.timeout(5):
            await later.task

    @pytest.mark.parametrize("cursor", ["x", "1.0", "1.0.AAAA", "9" * 200, "1.99999.0"])
    async def test_a_cursor_of_others_gets_the_whole(self, stage: Stage, cursor: str) -> None:
        """A forged one is no way to skip a death."""
        listener = Listener(stage, [(b"last-event-id", cursor.encode())])
        whole = await parse_feed(stage, (await listener.event())["data"])
        assert whole.after == 0
        assert whole.feed_keys
        listener.gone.set()
        await listener.task


class TestHealth:
    async def test_up_and_ready(self, stage: Stage) -> None:
        """Both answer 200; ready says how far the feed is."""
        assert (await stage.http.get("/healthz")).json() == {"status": "ok"}
        ready = (await stage.http.get("/readyz")).json()
        assert (ready["status"], ready["sequence"]) == ("ok", stage.services.feed.sequence)

    async def test_a_drain_is_not_ready(self, stage: Stage) -> None:
        """503, while the process is still up."""
        stage.services.feed.close()
        assert (await stage.http.get("/readyz")).status_code == 503
        assert (await stage.http.get("/healthz")).status_code == 200

    async def test_metrics_count_by_route(self, stage: Stage) -> None:
        """Routes, never paths: an id or a token in a path does not become a label."""
        ada = await stage.newcomer()
        await stage.http.delete("/auth/sessions/ses_canary", headers=ada.bearer)
        await stage.http.get("/canary")
        answer = await stage.http.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain")
        line = 'watchword_requests_total{method="DELETE",route="/auth/sessions/{id}",status="404"} 1.0'
        assert line in answer.text
        assert "canary" not in answer.text
        assert "watchword_feed_listeners 0.0" in answer.text

    async def test_times_are_counted_in_buckets(self, stage: Stage) -> None:
        """Cumulative, over every method and status of a route, as Prometheus wants a histogram."""
        await stage.http.get("/auth/me")
        await stage.http.patch("/auth/me", json={})
        text = (await stage.http.get("/metrics")).text
        marks = re.findall(r'seconds_bucket\{le="([^"]+)",route="/auth/me"\} (\S+)', text)
        counts = [float(count) for _, count in marks]
        assert [bound for bound, _ in marks] == ["0.001", "0.005", "0.02", "0.1", "0.5", "2.0", "+Inf"]
        assert counts == sorted(counts)
        assert counts[-1] == 2
        assert 'watchword_request_seconds_count{route="/auth/me"} 2.0' in text
