"""A60: secrets go through every flow, and nowhere else: not into logs, answers, metrics or the database."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.server.stage import ISSUER, SECRET, Stage, open_stage
from watchword.protocol.api_key import parse_api_key
from watchword.server.store.records import Origin

pytestmark = pytest.mark.anyio

PASSWORDS = {
    "first": "canary-password-one",
    "second": "canary-password-two",
    "wrong": "canary-wrong-password",
    "short": "canary",
    "administrator": "canary-root-password",
    "in the wrong field": "canary-typed-as-address",
}


@dataclass
class Leaks:
    """What must not be seen, what was seen, and the answers in which tokens have their place."""

    secrets: dict[str, bytes] = field(default_factory=dict)
    answers: list[tuple[str, httpx2.Response]] = field(default_factory=list)

    def keep(self, **secrets: str | bytes) -> None:
        for name, value in secrets.items():
            raw = value.encode() if isinstance(value, str) else value
            assert len(raw) >= 6
            assert self.secrets.setdefault(name, raw) == raw, f"two secrets are called {name}"

    def keep_tokens(self, name: str, tokens: dict[str, Any]) -> None:
        """Both tokens, the signature alone, and the secret inside the refresh token, raw and in hex."""
        access, refresh = tokens["access_token"], tokens["refresh_token"]
        inside = base64.urlsafe_b64decode(refresh.removeprefix("wwr_") + "==")
        secret = inside[1 + 1 + 8 + 16 + 4 :][:16]
        self.keep(
            **{
                f"{name} access token": access,
                f"{name} signature": access.rpartition(".")[2],
                f"{name} refresh token": refresh,
                f"{name} secret": secret,
                f"{name} secret in hex": secret.hex(),
                f"{name} MAC": inside[-16:],
            }
        )

    def found_in(self, text: bytes) -> list[str]:
        return [name for name, secret in self.secrets.items() if secret in text]


class Flows:
    """Every flow there is, right and wrong."""

    def __init__(self, stage: Stage, leaks: Leaks) -> None:
        self.stage, self.leaks = stage, leaks

    async def call(
        self, method: str, path: str, *, bearer: str | None = None, **more: Any
    ) -> httpx2.Response:
        """One request; its answer must hold no secret, unless ``tokens`` are what it is for."""
        tokens = more.pop("tokens", False)
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        answer = await self.stage.http.request(
            method, path, headers={**headers, **more.pop("headers", {})}, **more
        )
        if not tokens:
            self.leaks.answers.append((f"{method} {path.partition('?')[0][:40]}", answer))
        return answer

    async def login(self, name: str, password: str, **more: str) -> dict[str, Any]:
        body = {"email": f"{name}@example.com", "password": password, **more}
        answer = await self.call("POST", "/auth/login", json=body, tokens=True)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        self.leaks.keep_tokens(f"{name} {found['session_id']}", found)
        return found

    async def set_up(self) -> None:
        """The one-time link, used, used again, and used with a bad password."""
        token = await self.stage.services.setup.offer()
        assert token is not None
        self.leaks.keep(link=token)
        form = {"token": token, "email": "root@example.com"}
        own = {"Origin": ISSUER}
        # The page of the link holds it, as the form's hidden field.
        await self.call("GET", f"/setup?token={token}", tokens=True)
        await self.call(
            "POST", "/setup", data={**form, "password": PASSWORDS["short"]}, headers=own, tokens=True
        )
        for _ in range(2):
            await self.call(
                "POST", "/setup", data={**form, "password": PASSWORDS["administrator"]}, headers=own
            )
        await self.call("GET", f"/setup?token={token}")

    async def people(self) -> None:
        """Registration, log-in, refresh, replay, profile, password, log-out."""
        ada = {"email": "ada@example.com", "password": PASSWORDS["first"]}
        await self.call("POST", "/auth/register", json={**ada, "password": PASSWORDS["short"]})
        for _ in range(2):
            await self.call("POST", "/auth/register", json=ada)
        await self.call("POST", "/auth/register", json={**ada, "role": "admin"})
        await self.call("POST", "/auth/login", json={**ada, "password": PASSWORDS["wrong"]})
        await self.call("POST", "/auth/login", json={**ada, "scope": "beyond"})
        await self.call(
            "POST", "/auth/login", json={"email": PASSWORDS["in the wrong field"], "password": "x" * 9}
        )
        await self.call("POST", "/auth/login", json={"password": PASSWORDS["first"]})
        tokens = await self.login("ada", PASSWORDS["first"])
        await self.call("GET", "/auth/me", bearer=tokens["access_token"])
        await self.call("GET", "/auth/sessions", bearer=tokens["access_token"])
        spent = tokens["refresh_token"]
        answer = await self.call("POST", "/auth/token", json={"refresh_token": spent}, tokens=True)
        fresh = answer.json()
        self.leaks.keep_tokens("ada's second", fresh)
        await self.call(
            "POST", "/auth/token", json={"refresh_token": fresh["refresh_token"], "scope": "beyond"}
        )
        change = {"current_password": PASSWORDS["wrong"], "new_password": PASSWORDS["second"]}
        await self.call("POST", "/auth/password", bearer=fresh["access_token"], json=change)
        change["current_password"] = PASSWORDS["first"]
        await self.call(
            "POST", "/auth/password", bearer=fresh["access_token"], json={**change, "new_password": "canary"}
        )
        changed = await self.call("POST", "/auth/password", bearer=fresh["access_token"], json=change)
        assert changed.status_code == 204
        self.stage.clock.forward(minutes=1)
        replay = await self.call("POST", "/auth/token", json={"refresh_token": spent})
        assert replay.status_code == 401
        tokens = await self.login("ada", PASSWORDS["second"])
        await self.call("POST", "/auth/logout", json={"refresh_token": tokens["refresh_token"]})
        await self.call("GET", "/auth/me", bearer=tokens["access_token"])

    async def forgotten(self) -> None:
        """A link to choose another password: opened, used with a bad password, used, and used again."""
        ada = await self.stage.services.users.find_by_email("ada@example.com")
        assert ada is not None
        link = await self.stage.services.recovery.link(ada.id, Origin())
        token = link.partition("?token=")[2]
        self.leaks.keep(reset_token=token)
        # The page of the link holds it, as the form's hidden field.
        await self.call("GET", f"/reset?token={token}", tokens=True)
        form = {"token": token, "password": PASSWORDS["short"]}
        await self.call("POST", "/reset", data=form, headers={"Origin": ISSUER}, tokens=True)
        for _ in range(2):
            await self.call(
                "POST", "/auth/password/reset", json={"token": token, "password": PASSWORDS["second"]}
            )
        await self.call("GET", f"/reset?token={token}")
        await self.call("POST", "/auth/password/forgot", json={"email": PASSWORDS["in the wrong field"]})

    async def administration(self) -> None:
        """Users with passwords, bans, keys, the audit log."""
        root = (await self.login("root", PASSWORDS["administrator"], audience=ISSUER))["access_token"]
        made = {"email": "bob@example.com", "password": PASSWORDS["first"]}
        bob = await self.call("POST", "/admin/v1/users", bearer=root, json=made)
        assert bob.status_code == 201
        await self.call("POST", "/admin/v1/users", bearer=root, json=made)
        await self.call(
            "POST", f"/admin/v1/users/{bob.json()['id']}/ban", bearer=root, json={"reason": "left"}
        )
        await self.call("POST", "/auth/login", json=made)
        await self.call("POST", "/admin/v1/keys/rotate", bearer=root, json={"now": True})
        for path in ("users", "events", "keys", "roles", "apis"):
            await self.call(
                "GET", f"/admin/v1/{path}?limit=200" if path == "events" else f"/admin/v1/{path}", bearer=root
            )

    async def api_keys(self) -> None:
        """A key, made, listed, traded, mistyped, shown where it does not belong, ended and shown again."""
        access = (await self.login("ada", PASSWORDS["second"]))["access_token"]
        answer = await self.call(
            "POST",
            "/auth/api-keys",
            bearer=access,
            json={"name": "deploy", "current_password": PASSWORDS["second"]},
            tokens=True,
        )
        made = answer.json()
        key, secret = made["key"], parse_api_key(made["key"]).secret
        self.leaks.keep(**{"API key": key, "API key secret": secret, "API key secret in hex": secret.hex()})
        await self.call(
            "POST",
            "/auth/api-keys",
            bearer=access,
            json={"name": "a\nb", "current_password": PASSWORDS["second"]},
        )
        await self.call("GET", "/auth/api-keys", bearer=access)
        given = await self.call("POST", "/auth/token", json={"api_key": key}, tokens=True)
        token = given.json()["access_token"]
        self.leaks.keep(**{"API key's token": token, "API key's signature": token.rpartition(".")[2]})
        for members in ({"audience": "nowhere"}, {"scope": "beyond"}, {"refresh_token": key}, {"key": key}):
            await self.call("POST", "/auth/token", json={"api_key": key, **members})
        await self.call("POST", "/auth/token", json={"api_key": key[:-1]})
        await self.call("POST", "/auth/token", json={"refresh_token": key})
        for bearer in (key, token):
            await self.call("GET", "/auth/me", bearer=bearer)
        await self.call("GET", f"/auth/me?access_token={key}")
        await self.call("DELETE", f"/auth/api-keys/{key}", bearer=access)
        await self.call("DELETE", f"/auth/api-keys/{made['id']}", bearer=access)
        await self.call("POST", "/auth/token", json={"api_key": key})

    async def misplaced(self) -> None:
        """Secrets where they do not belong: in the URL, as a wrong scheme, in broken and strange bodies."""
        tokens = await self.login("ada", PASSWORDS["second"])
        access, refresh = tokens["access_token"], tokens["refresh_token"]
        await self.call("GET", f"/auth/me?access_token={access}")
        await self.call("GET", f"/auth/{access}")
        await self.call("DELETE", f"/auth/sessions/{refresh}", bearer=access)
        await self.call("GET", "/auth/me", headers={"Authorization": f"Basic {access}"})
        await self.call("GET", "/auth/me", headers={"Authorization": f"Bearer {refresh}"})
        await self.call("GET", "/auth/me", bearer=access[:-1] + ("A" if access[-1] != "A" else "B"))
        await self.call("POST", "/auth/token", json={"refresh_token": access})
        await self.call("POST", "/auth/token", json={"refresh_token": refresh[:-1]})
        for body in (
            f'{{"email": "ada@example.com", "password": "{PASSWORDS["second"]}"',
            f'{{"email": "ada@example.com", "password": ["{PASSWORDS["second"]}"]}}',
            f'"{PASSWORDS["second"]}"',
            f'{{"password": "{PASSWORDS["second"]}", "password": "{PASSWORDS["second"]}"}}',
        ):
            await self.call("POST", "/auth/login", content=body, headers={"Content-Type": "application/json"})
        await self.call(
            "POST", "/auth/login", data={"email": "ada@example.com", "password": PASSWORDS["second"]}
        )

    async def broken(self, database: Path) -> None:
        """The database refuses in the middle of each flow: 500, and a stack in the log."""
        tokens = await self.login("ada", PASSWORDS["second"])
        with closing(sqlite3.connect(database)) as connection, connection:
            for table in ("sessions", "users", "events"):
                for verb in ("INSERT", "UPDATE"):
                    connection.execute(
                        f"CREATE TRIGGER broken_{table}_{verb} BEFORE {verb} ON {table}"
                        " BEGIN SELECT RAISE(ABORT, 'broken'); END"
                    )
        access = tokens["access_token"]
        change = {"current_password": PASSWORDS["second"], "new_password": PASSWORDS["first"]}
        fresh = {"email": "eve@example.com", "password": PASSWORDS["first"]}
        broken = [
            await self.call(
                "POST", "/auth/login", json={"email": "ada@example.com", "password": PASSWORDS["second"]}
            ),
            await self.call(
                "POST", "/auth/login", json={"email": "ada@example.com", "password": PASSWORDS["wrong"]}
            ),
            await self.call("POST", "/auth/token", json={"refresh_token": tokens["refresh_token"]}),
            await self.call("POST", "/auth/password", bearer=access, json=change),
            await self.call("POST", "/auth/register", json=fresh),
            await self.call("DELETE", f"/auth/sessions/{tokens['session_id']}", bearer=access),
        ]
        assert [answer.status_code for answer in broken] == [500] * 6


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@asynccontextmanager
async def played(tmp_path: Path, form: str) -> AsyncIterator[tuple[Stage, Leaks]]:
    """A server on a file, through which every flow has gone."""
    leaks = Leaks()
    leaks.keep(**PASSWORDS)
    leaks.keep(master=SECRET)
    settings = {"log_format": form, "log_requests": "true", "data_dir": str(tmp_path)}
    async with open_stage(database=f"sqlite:///{tmp_path}/watchword.db", **settings) as stage:
        flows = Flows(stage, leaks)
        await flows.set_up()
        await flows.people()
        await flows.forgotten()
        await flows.administration()
        await flows.api_keys()
        await flows.misplaced()
        await flows.broken(tmp_path / "watchword.db")
        await flows.call("GET", "/metrics")
        yield stage, leaks


class TestCanaries:
    @pytest.mark.parametrize("form", ["json", "console"])
    async def test_attack_a60_req_s10_no_secret_leaves_its_flow(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str], form: str
    ) -> None:
        """Neither log form, no error, no metric, no page and no list repeats a password, a token or a key."""
        async with played(tmp_path, form) as (_, leaks):
            seen = capfd.readouterr()
        log = (seen.out + seen.err).encode()
        assert log.count(b"/auth/login") > 8, "the log was there to look at"
        assert b"IntegrityError" in log, "and so were the stacks of the faults"
        assert leaks.found_in(log) == []
        for name, answer in leaks.answers:
            found = leaks.found_in(answer.content + str(answer.headers).encode())
            assert found == [], name

    async def test_attack_a60_req_s14_the_database_gives_nothing_away(self, tmp_path: Path) -> None:
        """In no file of the data folder, write-ahead log included, is a secret, plain or decoded."""
        async with played(tmp_path, "json") as (stage, leaks):
            for key in stage.services.keys.keyset:
                private = key.private_jwk()
                leaks.keep(**{f"private key {key.kid}": private["d"]})
                raw = base64.urlsafe_b64decode(private["d"] + "==")
                leaks.keep(**{f"private key {key.kid}, decoded": raw})
            files = contents(tmp_path)
            assert {"watchword.db", "watchword.db-wal"} <= files.keys()
            assert b"ada@example.com" in b"".join(files.values())
            for name, content in files.items():
                assert leaks.found_in(content) == [], name
            with closing(sqlite3.connect(tmp_path / "watchword.db")) as database:
                dump = "\n".join(database.iterdump())
            assert "ada@example.com" in dump
            assert leaks.found_in(dump.encode()) == []

    async def test_a_leak_would_be_found(self, tmp_path: Path) -> None:
        """The search finds what is there: a token in a text, its secret in bytes."""
        async with open_stage() as stage:
            ada = await stage.newcomer()
        leaks = Leaks()
        leaks.keep_tokens("ada's", ada.tokens)
        assert set(leaks.found_in(json.dumps(ada.tokens).encode())) == {
            "ada's access token",
            "ada's signature",
            "ada's refresh token",
        }
        inside = base64.urlsafe_b64decode(ada.tokens["refresh_token"][4:] + "==")
        assert leaks.found_in(inside) == ["ada's secret", "ada's MAC"]
