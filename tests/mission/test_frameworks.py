"""What an API is given: its caller in every framework, and a kit to test it with."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest

from examples.forum.app import create_app
from tests.frameworks.faces import FACES, load
from tests.frameworks.wire import Answer, Request, Send, ask_wsgi
from tests.mission.stage import Process, Server, environment, free_port
from watchword.testing import PretendIssuer


class TestCaller:
    @pytest.mark.parametrize("face", FACES)
    def test_s33_the_view_knows_who_calls(self, face: str, watchword_issuer: PretendIssuer) -> None:
        """In every framework the view is given the principal; nobody's request does not reach it."""
        guard, send = load(face)
        watchword_issuer.take_over(guard)
        ada = tuple(watchword_issuer.headers("usr_ada").items())
        assert json.loads(send(Request(fields=ada)).body) == {"subject": "usr_ada"}
        assert send(Request()).status == 401

    def test_s33_who_wrote_the_topic(self, server: Server, tmp_path: Path) -> None:
        """The forum: everybody reads, who is logged in writes, and the topic bears the writer's subject."""
        port = free_port()
        env = environment(FORUM_ISSUER=server.url, FORUM_DATABASE=str(tmp_path / "forum.db"))
        flask = ["-m", "flask", "--app", "examples.forum.app:from_environment", "run", "--port", str(port)]
        forum = Process(flask, env, tmp_path, f"http://127.0.0.1:{port}")
        forum.start("/topics")
        bob, eve = server.newcomer(), server.newcomer()
        try:
            with httpx2.Client(base_url=forum.url) as http:
                topic = {"title": "Herons", "author": eve.id}
                assert http.post("/topics", json=topic).status_code == 401
                written = http.post("/topics", json=topic, headers=bob.bearer)
                assert (written.status_code, written.json()["author"]) == (201, bob.id)
                assert http.get("/topics").json()[0]["mine"] is False
                assert http.get("/topics", headers=bob.bearer).json()[0]["mine"] is True
                assert http.delete("/topics/1", headers=eve.bearer).status_code == 403
                assert http.delete("/topics/1", headers=bob.bearer).status_code == 204
        finally:
            assert forum.child is not None
            forum.stop()


class TestKit:
    """The forum's own tests, as its author writes them: no server, no network, no waiting."""

    def forum(self, issuer: PretendIssuer, tmp_path: Path) -> Send:
        return ask_wsgi(create_app(issuer.guard(), str(tmp_path / "forum.db")))

    def delete(self, send: Send, **headers: Any) -> Answer:
        return send(Request("DELETE", "/topics/7", tuple(headers.items())))

    def test_s73_tokens_are_minted_without_a_server(
        self, tmp_path: Path, watchword_issuer: PretendIssuer
    ) -> None:
        """Whoever the test needs calls: nobody, a user, an administrator."""
        send = self.forum(watchword_issuer, tmp_path)
        assert self.delete(send).status == 401
        assert self.delete(send, **watchword_issuer.headers("usr_ada")).status == 404
        assert self.delete(send, **watchword_issuer.headers("usr_root", roles=["admin"])).status == 404

    def test_s73_the_clock_and_the_feed_are_in_its_hand(
        self, tmp_path: Path, watchword_issuer: PretendIssuer
    ) -> None:
        """An hour goes by in no time, and a ban arrives at once."""
        send = self.forum(watchword_issuer, tmp_path)
        first = watchword_issuer.headers("usr_ada")
        watchword_issuer.clock.advance(3600)
        refused = self.delete(send, **first)
        assert re.search("expired", str(refused.field("www-authenticate")))
        second = watchword_issuer.headers("usr_ada")
        assert self.delete(send, **second).status == 404
        watchword_issuer.revoke(subject="usr_ada")
        assert re.search("revoked", str(self.delete(send, **second).field("www-authenticate")))
