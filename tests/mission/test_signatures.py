"""Requests that are signed, in place of a token that travels (RFC 9421)."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx2

from tests.mission.stage import Server, User
from watchword.jose.jwk import Key
from watchword.protocol.signature import RequestSigner

PAYMENT = {"employee_id": 1, "month": "2026-11", "amount_cents": 100_00}


def hand_in(server: Server, user: User) -> RequestSigner:
    """A key of *user*, handed in as he does it himself."""
    key = Key.generate("ES256")
    body = {"name": "nightly run", "jwk": key.public_jwk(), "current_password": user.password}
    answer = server.http.post("/auth/signing-keys", json=body, headers=user.bearer)
    assert answer.status_code == 201, answer.text
    return RequestSigner(key, answer.json()["id"])


def signed(
    payroll: httpx2.Client, signer: RequestSigner, method: str, path: str, document: Any = None
) -> httpx2.Request:
    content = b"" if document is None else json.dumps(document).encode()
    request = payroll.build_request(
        method, path, content=content, headers={"Content-Type": "application/json"} if content else {}
    )
    fields = signer.sign(method, str(request.url), request.headers.items(), content)
    request.headers.update(fields)
    return request


def refused_within(seconds: float, payroll: httpx2.Client, signer: RequestSigner) -> None:
    deadline = time.monotonic() + seconds
    while (answer := payroll.send(signed(payroll, signer, "GET", "/me"))).status_code != 401:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.01)


class TestSigned:
    def test_s70_a_request_is_signed_with_a_key_that_never_travels(
        self, server: Server, payroll: httpx2.Client
    ) -> None:
        """No token is sent; the signed payment is made, once, and no other payment by what was heard of it."""
        root = server.administrator()
        signer = hand_in(server, root)
        request = signed(payroll, signer, "POST", "/payments", PAYMENT)
        assert "authorization" not in request.headers
        assert payroll.send(request).status_code == 201
        again = payroll.send(request)
        assert again.status_code == 401
        assert again.json()["detail"] == "this request came before"
        for change in (
            {"content": json.dumps({**PAYMENT, "amount_cents": 1}).encode()},
            {"url": "/payments?x=1"},
        ):
            heard = signed(payroll, signer, "POST", "/payments", PAYMENT)
            fields = {n: v for n, v in heard.headers.items() if n != "content-length"}
            other = {"url": "/payments", "content": heard.content, **change}
            assert payroll.post(other["url"], content=other["content"], headers=fields).status_code == 401

    def test_s70_a_ban_and_a_revocation_kill_a_key(self, server: Server, payroll: httpx2.Client) -> None:
        """Within moments, at an API that asks nobody."""
        banned, careful = server.newcomer(), server.newcomer()
        signers = hand_in(server, banned), hand_in(server, careful)
        for signer in signers:
            # let in, and not on the payroll
            assert payroll.send(signed(payroll, signer, "GET", "/me")).status_code == 404
        server.manage("user", "ban", banned.email)
        refused_within(2, payroll, signers[0])
        path = f"/auth/signing-keys/{signers[1].keyid}"
        assert server.http.delete(path, headers=careful.bearer).status_code == 204
        refused_within(2, payroll, signers[1])

    def test_s70_what_the_issuer_gives_for_a_key_opens_nothing(
        self, server: Server, payroll: httpx2.Client, user: User
    ) -> None:
        """Whoever knows a key's name gets a token that is bound to it: no door takes it as a bearer token."""
        signer = hand_in(server, user)
        given = server.http.post("/auth/token", json={"signing_key": signer.keyid})
        assert given.status_code == 200
        found = {"Authorization": f"Bearer {given.json()['access_token']}"}
        assert payroll.get("/me", headers=found).status_code == 401
        assert server.http.get("/auth/me", headers=found).status_code == 401
        stranger = RequestSigner(Key.generate("ES256"), signer.keyid)
        assert payroll.send(signed(payroll, stranger, "GET", "/me")).status_code == 401
