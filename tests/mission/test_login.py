"""Logging in: what goes in, who checks it, what comes out."""

from __future__ import annotations

import base64
import hashlib
import json
import sqlite3
from pathlib import Path

import bcrypt
import httpx2
import pytest

from tests.mission.stage import PASSWORD, Server, User


def told(answer: httpx2.Response) -> tuple[int, dict[str, str], set[str]]:
    """All of an answer that could tell two refusals apart: status, document, names of the header fields."""
    document = answer.json()
    document.pop("instance", None)
    return answer.status_code, document, set(answer.headers)


def stored_texts(server: Server, user_id: str) -> str:
    """Every text of the database, as a thief of the file would read it."""
    with sqlite3.connect(f"file:{server.data_dir / 'watchword.db'}?mode=ro", uri=True) as connection:
        return "\n".join(connection.iterdump())


class TestPasswordLogin:
    def test_s01_e_mail_and_password_open_a_session(self, server: Server) -> None:
        """The right pair is a 200 with tokens; the server checked it, not the client."""
        user = server.newcomer()
        assert user.tokens["user"]["email"] == user.email
        assert user.tokens["token_type"] == "Bearer"

    def test_s01_wrong_password_and_unknown_e_mail_look_the_same(self, server: Server) -> None:
        """Nobody learns from a refusal whether an address has an account."""
        user = server.register()
        wrong = server.post_login(email=user.email, password="not-the-password")
        unknown = server.post_login(email="nobody@example.com", password="not-the-password")
        assert told(wrong) == told(unknown)
        assert wrong.status_code == 401
        assert wrong.json()["error"] == "invalid_credentials"

    def test_s05_the_server_stands_apart_from_the_api(
        self, server: Server, payroll: httpx2.Client, user: User
    ) -> None:
        """Two processes, two databases: a log-in at one is good at the other, which has no log-in at all."""
        assert payroll.post("/auth/login", json={}).status_code == 404
        assert payroll.get("/me", headers=user.bearer).status_code != 401
        assert str(payroll.base_url) != server.url


class TestStoredPasswords:
    def test_s02_a_password_is_kept_as_argon2id(self, server: Server) -> None:
        """The database holds an Argon2id string of at least 19 MiB, and the password nowhere."""
        user = server.register(password="very-particular-teapot")
        dump = stored_texts(server, user.id)
        assert "$argon2id$v=19$m=19456,t=2,p=1$" in dump
        assert "very-particular-teapot" not in dump

    @pytest.mark.parametrize("kind", ["bcrypt", "scrypt", "pbkdf2"])
    def test_s02_another_program_s_hash_logs_in_and_is_upgraded(
        self, server: Server, tmp_path: Path, kind: str
    ) -> None:
        """Accounts move over with their hashes; the first log-in replaces the hash with Argon2id."""
        salt = b"sixteen-byte-sal"
        secret = PASSWORD.encode()
        encoded = {
            "bcrypt": bcrypt.hashpw(secret, bcrypt.gensalt(4)).decode(),
            "scrypt": "$scrypt$ln=14,r=8,p=1$"
            + base64.b64encode(salt).decode().rstrip("=")
            + "$"
            + base64.b64encode(hashlib.scrypt(secret, salt=salt, n=2**14, r=8, p=1, dklen=32))
            .decode()
            .rstrip("="),
            "pbkdf2": "pbkdf2_sha256$100000$sixteen-byte-sal$"
            + base64.b64encode(hashlib.pbkdf2_hmac("sha256", secret, salt, 100_000)).decode(),
        }[kind]
        email = f"moved.{kind}@example.com"
        export = tmp_path / "users.jsonl"
        export.write_text(json.dumps({"email": email, "password_hash": encoded}) + "\n")
        server.manage("user", "import", str(export))
        assert encoded in stored_texts(server, "")
        assert server.post_login(email=email, password="something-else").status_code == 401
        assert server.post_login(email=email, password=PASSWORD).status_code == 200
        assert encoded not in stored_texts(server, "")
        assert server.post_login(email=email, password=PASSWORD).status_code == 200


class TestShapes:
    def test_s07_the_lesson_s_answer(self, server: Server, tmp_path: Path) -> None:
        """``POST /login`` answers ``{"token": …}`` and nothing else, for clients that were written so."""
        user = server.register()
        answer = server.http.post("/login", json={"email": user.email, "password": user.password})
        assert answer.status_code == 200
        assert list(answer.json()) == ["token"]
        profile = server.http.get("/profile", headers={"Authorization": f"Bearer {answer.json()['token']}"})
        assert profile.json()["id"] == user.id

    @pytest.mark.parametrize(
        ("body", "fields"),
        [
            ({}, {"email", "password"}),
            ({"email": "no address", "password": PASSWORD}, {"email"}),
            ({"email": "a@example.com", "password": "short"}, {"password"}),
            ({"email": "a@example.com", "password": PASSWORD, "admin": True}, {"admin"}),
            ({"email": ["a@example.com"], "password": PASSWORD}, {"email"}),
        ],
    )
    def test_s09_bad_input_is_told_by_field(
        self, server: Server, body: dict[str, object], fields: set[str]
    ) -> None:
        """The server validates: 422 and the name of each field that is wrong."""
        answer = server.http.post("/auth/register", json=body)
        assert answer.status_code == 422
        assert fields <= {fault["field"] for fault in answer.json()["errors"]} or not fields

    @pytest.mark.parametrize("text", ["{", "[]", '{"email": 1, "email": 2}', "nonsense"])
    def test_s09_what_is_no_json_object_is_400(self, server: Server, text: str) -> None:
        """Broken JSON and a name given twice are refused before anything is looked at."""
        answer = server.http.post(
            "/auth/register", content=text, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 400
