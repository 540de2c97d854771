"""Mail of a real server: its processes share what they count, its log holds no link, and its end waits for nobody."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.mailroom import Mailroom, open_mailroom
from tests.mission.stage import Server, start_server

OTHER = "seven-blue-harbours"


@pytest.fixture
def room() -> Iterator[Mailroom]:
    with open_mailroom(Mailroom()) as opened:
        yield opened


@contextmanager
def serving(room: Mailroom, folder: Path, **settings: str) -> Iterator[Server]:
    mail = {f"WATCHWORD_{name.upper()}": value for name, value in room.settings.items()}
    server = start_server(folder, **mail, **settings)
    try:
        yield server
    finally:
        server.http.close()
        assert server.process.stop() == 0, server.process.log.read_text()


class TestMail:
    def test_r_04_processes_share_links_and_their_number(self, room: Mailroom, tmp_path: Path) -> None:
        """Two answer on one port: three links at once are three, the newest works once, tokens die."""
        with serving(room, tmp_path, WATCHWORD_WORKERS="2") as server:
            ada = server.newcomer()
            for _ in range(12):
                # A new connection each time, so that either process is asked.
                body = {"email": ada.email}
                answer = server.http.post("/auth/password/forgot", json=body, headers={"Connection": "close"})
                assert answer.status_code == 202
            mails = room.wait(ada.email, 3)
            chosen = [
                server.http.post("/auth/password/reset", json={"token": mail.token, "password": OTHER})
                for mail in mails
            ]
            assert sorted(answer.status_code for answer in chosen) == [204, 401, 401]
            assert server.http.get("/auth/me", headers=ada.bearer).status_code == 401
            assert server.post_login(email=ada.email, password=OTHER).status_code == 200
            assert len([mail for mail in room.wait(ada.email, 4) if "was changed" in mail.text]) == 1
        assert len(room.to(ada.email)) == 4
        log = server.process.log.read_text()
        assert not [mail for mail in mails if mail.token in log]
        assert OTHER not in log
        assert "route=/auth/password/reset" in log

    @pytest.mark.parametrize("verb", ["", "DATA"])
    def test_a_server_that_ends_waits_for_no_relay(self, room: Mailroom, tmp_path: Path, verb: str) -> None:
        """Mails are under way, or the relay is silent in the middle of one: SIGTERM ends the server in order."""
        room.mute = verb
        limits = {f"WATCHWORD_PASSWORD_RESETS_PER_{each}": "0" for each in ("ACCOUNT", "ADDRESS")}
        with serving(room, tmp_path, **limits) as server:
            people = [server.register() for _ in range(5)]
            for number in range(100):
                server.http.post("/auth/password/forgot", json={"email": people[number % 5].email})
            deadline = time.monotonic() + 20
            while not (room.commands and room.commands[-1].startswith(verb)):
                assert time.monotonic() < deadline
