"""RFC 6750, Bearer tokens, at an API behind a guard: credentials in, challenges out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.frameworks.wire import Answer, Request, ask_asgi
from tests.jose.forge import ISSUER, NOW, claims, private
from tests.server.stage import Stage, open_stage
from watchword import Guard
from watchword.errors import InvalidToken, MissingCredentials
from watchword.frameworks.asgi import protect
from watchword.protocol import access_token
from watchword.protocol.challenge import www_authenticate


async def view(scope: Any, receive: Any, send: Any) -> None:
    """An API's answer, which says nothing of caching itself."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["state"]["principal"].subject.encode()})


def ask(*values: str, query: str = "", **demands: Any) -> Answer:
    """What a protected route answers a request with these Authorization fields."""
    guard = Guard(ISSUER, keys={"keys": [private("ES256").public_jwk()]}, clock=lambda: NOW)
    send = ask_asgi(protect(guard, **demands)(view))
    return send(Request(fields=tuple(("Authorization", value) for value in values), query=query))


def bearer(**more: Any) -> str:
    return f"Bearer {access_token.issue(claims(**more), private('ES256'))}"


class TestSection2:
    def test_2_1_the_authorization_field(self) -> None:
        """A good token in it is let in; the scheme compares without case."""
        for scheme in ("Bearer", "bearer", "BEARER"):
            answer = ask(f"{scheme} {bearer().partition(' ')[2]}")
            assert (answer.status, answer.body) == (200, b"usr_ada")

    def test_req_a06_2_3_a_token_in_the_query_is_refused(self) -> None:
        """Alone and beside a good field: 400, because addresses end in logs."""
        token = bearer().partition(" ")[2]
        for answer in (
            ask(query=f"access_token={token}"),
            ask(bearer(), query=f"access_token={token}"),
            ask(bearer(), query="a=1&%61ccess_token=x"),
        ):
            assert answer.status == 400
            assert 'error="invalid_request"' in (answer.field("www-authenticate") or "")

    def test_req_a06_2_2_a_token_in_a_form_is_no_credential(self) -> None:
        """The body belongs to the API; a request without the field has none."""
        assert ask().status == 401


class TestSection3:
    def test_the_examples(self) -> None:
        """The two challenges of the document, written by the one function that writes them."""
        assert www_authenticate(MissingCredentials(), realm="example") == 'Bearer realm="example"'
        expired = InvalidToken("The access token expired")
        assert www_authenticate(expired, realm="example") == (
            'Bearer realm="example", error="invalid_token", error_description="The access token expired"'
        )

    def test_req_a04_3_1_without_credentials_no_code(self) -> None:
        """401 and the bare scheme."""
        answer = ask()
        assert (answer.status, answer.field("www-authenticate")) == (401, "Bearer")

    @pytest.mark.parametrize(
        ("values", "status", "code"),
        [
            ([bearer(exp=NOW - 60)], 401, "invalid_token"),
            ([bearer(aud="other")], 401, "invalid_token"),
            (["Bearer x.y.z"], 401, "invalid_token"),
            ([bearer(), bearer()], 400, "invalid_request"),
            ([f"{bearer()}, {bearer()}"], 400, "invalid_request"),
            ([bearer(scope="read")], 403, "insufficient_scope"),
            ([bearer(scope="read pay:writer")], 403, "insufficient_scope"),
        ],
    )
    def test_req_a05_3_1_each_error_has_its_code(self, values: list[str], status: int, code: str) -> None:
        """401 a bad token, 400 two of them, 403 too little scope, with the scope that is lacking."""
        answer = ask(*values, scope="pay:write")
        challenge = answer.field("www-authenticate") or ""
        assert answer.status == status
        assert challenge.startswith(f'Bearer error="{code}"')
        assert ('scope="pay:write"' in challenge) is (status == 403)

    def test_req_a12_a_refusal_is_a_problem_document(self) -> None:
        """Of its media type, with no more in it than the caller may know (RFC 9457 3)."""
        for answer in (ask(), ask("Bearer x"), ask(bearer(), scope="pay:write")):
            assert answer.field("content-type") == "application/problem+json"
            assert b"Traceback" not in answer.body
            assert b"signature" not in ask("Bearer x").body

    @pytest.mark.parametrize(
        "value", ["Bearer", "Bearer ", "Bearer  x y", "Bearer\tx", "Bearer x y", "Digest x", "x"]
    )
    def test_req_a07_one_space_and_one_credential(self, value: str) -> None:
        """Everything else is refused with one status."""
        assert ask(value).status == 401


class TestSection5:
    def test_req_a08_5_3_a_refusal_is_not_stored(self) -> None:
        """By nobody on the way."""
        for answer in (ask(), ask("Bearer x"), ask(bearer(), bearer())):
            assert answer.field("cache-control") == "no-store"


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with open_stage() as opened:
        yield opened


class TestServer:
    @pytest.mark.anyio
    async def test_req_a08_answers_with_tokens_and_about_people_are_not_stored(self, stage: Stage) -> None:
        """Log-in, refresh, the account and its sessions: ``no-store`` (RFC 6749 5.1)."""
        ada = await stage.newcomer()
        answers = [
            await stage.post_login(email=ada.email, password="nine-slow-lanterns"),
            await stage.post_login(email=ada.email, password="wrong"),
            await stage.http.post("/auth/token", json={"refresh_token": ada.tokens["refresh_token"]}),
            await stage.http.get("/auth/me", headers=ada.bearer),
            await stage.http.get("/auth/sessions", headers=ada.bearer),
            await stage.http.get("/auth/me"),
        ]
        assert [answer.status_code for answer in answers] == [200, 401, 200, 200, 200, 401]
        assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}
