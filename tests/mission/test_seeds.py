"""The requests that introductions print, sent as they are printed; and the tokens that they print, corrected."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import bcrypt
import httpx2
import jwt
import pytest

from tests.mission.stage import TOP, Server
from watchword import Guard, InvalidToken

VECTORS: list[dict[str, Any]] = json.loads((TOP / "examples" / "seeds" / "vectors.json").read_text())[
    "vectors"
]
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def lesson(server: Server, tmp_path_factory: pytest.TempPathFactory) -> httpx2.Client:
    """The server with the lessons' people, whose passwords only a hash of another program can bring along."""
    people = {"user@example.com,": "securepassword", "fernando@example.com,fernando": "fernando123"}
    rows = [
        f"{name},{bcrypt.hashpw(password.encode(), bcrypt.gensalt(5)).decode()}"
        for name, password in people.items()
    ]
    table = tmp_path_factory.mktemp("lesson") / "users.csv"
    table.write_text("\n".join(["email,username,password_hash", *rows]) + "\n")
    server.manage("user", "import", str(table))
    return server.http


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


class TestLogin:
    def test_s03_the_lesson_s_log_in_and_profile(self, lesson: httpx2.Client) -> None:
        """``POST /login`` with the printed body, ``{"token": …}`` back; with it ``GET /profile`` gives the data."""
        body = '{ "email": "user@example.com", "password": "securepassword" }'
        answer = lesson.post("/login", content=body, headers=JSON)
        assert answer.status_code == 200
        assert list(answer.json()) == ["token"]
        profile = lesson.get("/profile", headers=bearer(answer.json()["token"]))
        assert (profile.status_code, profile.json()["email"]) == (200, "user@example.com")

    def test_s03_the_lesson_s_refusal(self, lesson: httpx2.Client) -> None:
        """The printed, shortened token is invalid: 401 and the printed document, word for word."""
        answer = lesson.get("/profile", headers=bearer("eyJhbGciOiJIUzI1NiIsInR..."))
        assert answer.status_code == 401
        assert answer.json() == {"error": "Unauthorized", "message": "Invalid or expired token"}
        missing = lesson.get("/profile")
        assert (missing.status_code, missing.json()["error"]) == (401, "Unauthorized")

    def test_s04_a_session_is_made_by_user_name(self, lesson: httpx2.Client, server: Server) -> None:
        """``POST /api/users-sessions`` with ``Username`` and ``Password``: a token whose subject is the user."""
        body = {"Username": "fernando", "Password": "fernando123"}
        answer = lesson.post("/api/users-sessions", json=body)
        assert answer.status_code == 200
        principal = Guard(server.url, keys=server.jwks()).verify(answer.json()["token"])
        assert principal.issuer == server.url
        assert principal.subject.startswith("usr_")
        assert principal.claims["admin"] is False
        wrong = lesson.post("/api/users-sessions", json={**body, "Password": "wrong"})
        assert (wrong.status_code, wrong.json()["error"]) == (401, "Unauthorized")

    def test_s04_the_printed_body_is_no_json(self, lesson: httpx2.Client) -> None:
        """Typographic quotes and a missing comma: 400, not a guess at what was meant."""
        printed = "{ “Username”: “fernando” “Password”: “fernando123” }"
        answer = lesson.post("/api/users-sessions", content=printed.encode(), headers=JSON)
        assert (answer.status_code, answer.json()["error"]) == (400, "Bad Request")

    def test_s06_log_in_find_the_user_log_out(self, lesson: httpx2.Client) -> None:
        """The six steps: log in, keep the token, send it; checked, 401 for no, the user for yes; and log out."""
        body = {"email": "user@example.com", "password": "securepassword"}
        token = lesson.post("/api/v1/login", json=body).json()["token"]
        assert lesson.get("/api/v1/findUser").status_code == 401
        found = lesson.get("/api/v1/findUser", headers=bearer(token))
        assert (found.status_code, found.json()["email"]) == (200, "user@example.com")
        assert lesson.post("/api/v1/logout", headers=bearer(token)).status_code == 204
        assert lesson.get("/api/v1/findUser", headers=bearer(token)).status_code == 401


def signature(token: str, secret: str) -> str:
    signed = token.rpartition(".")[0].encode()
    return (
        base64.urlsafe_b64encode(hmac.digest(secret.encode(), signed, hashlib.sha256)).rstrip(b"=").decode()
    )


class TestVectors:
    @pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
    def test_s20_the_printed_tokens_by_computation(self, vector: dict[str, Any]) -> None:
        """Whether each token's signature is that of its parts under its secret is as the file says."""
        fits = signature(vector["token"], vector["secret"]) == vector["token"].rpartition(".")[2]
        assert fits is vector["valid"]

    def test_s20_a_guard_takes_the_corrected_one_alone(self) -> None:
        """At a moment within its eight hours; each of the others is refused, whatever its secret."""
        accepted = []
        for vector in VECTORS:
            secret = vector["secret"].encode().ljust(32, b"\0")  # a guard loads no shorter secret
            key = {"kty": "oct", "alg": "HS256", "kid": "payroll-1"}
            key["k"] = base64.urlsafe_b64encode(secret).rstrip(b"=").decode()
            guard = Guard(
                "https://auth.example.com", "payroll", keys={"keys": [key]}, clock=lambda: 1_550_930_000.0
            )
            with suppress(InvalidToken):
                accepted.append((vector["name"], guard.verify(vector["token"]).subject))
        assert accepted == [("corrected", "usr_fernando")]

    def test_s20_another_library_agrees(self) -> None:
        """PyJWT verifies the corrected one and refuses the edited one."""
        whole, edited = VECTORS[3], VECTORS[4]
        lax = {"verify_exp": False}
        claims = jwt.decode(whole["token"], whole["secret"], ["HS256"], audience="payroll", options=lax)
        assert claims["admin"] is False
        with pytest.raises(jwt.InvalidSignatureError):
            jwt.decode(edited["token"], edited["secret"], ["HS256"], audience="payroll", options=lax)


def test_the_page_tells_of_each_vector() -> None:
    """examples/seeds/README.md names all of them."""
    page = (Path(TOP) / "examples" / "seeds" / "README.md").read_text("utf-8")
    assert all(vector["name"] in page for vector in VECTORS)
