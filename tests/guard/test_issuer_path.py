"""An issuer with a path: where a guard looks for its metadata, how often, and what it says when it finds none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tests.guard.host import PASSWORD, Running, running
from tests.guard.stage import PretendIssuer, mint, pretend_issuer, until
from tests.server.web.fronts import FRONTS, Front
from watchword import Guard, InvalidToken, TemporarilyUnavailable
from watchword.protocol.metadata import METADATA_PATH

PATH = "/identity"
FIRST, SECOND = METADATA_PATH + PATH, METADATA_PATH
"""The second as the pretend issuer counts it, which is without its own path."""
JSON = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b"
ELSEWHERE = {
    "a status": b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    "a fault": b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
    "a login": b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n",
    "a page": JSON % (22, b"<!doctype html><html/>"),
    "a large page": JSON % (1_100_000, b" " * 1_100_000),
    "another issuer": JSON % (32, b'{"issuer":"https://example.com"}'),
    "a list": JSON % (2, b"[]"),
}
"""What a host says at the first place when it passes on nothing but the path."""


@pytest.fixture
def issuer() -> Iterator[PretendIssuer]:
    with pretend_issuer(path=PATH) as found:
        yield found


@contextmanager
def warmed(issuer: PretendIssuer) -> Iterator[Guard]:
    with closing(Guard(issuer.url)) as guard:
        guard.refresh()
        guard.verify(mint(issuer.now(), issuer=issuer.url))
        yield guard


class TestPlaces:
    def test_f_b27_the_place_of_the_standard_is_the_only_one_asked(self, issuer: PretendIssuer) -> None:
        """RFC 8414 3.1; one request, as without a path."""
        with warmed(issuer) as guard:
            assert (issuer.asked[FIRST], issuer.asked[SECOND]) == (1, 0)
            guard.refresh()
            assert (issuer.asked[FIRST], issuer.asked[SECOND]) == (2, 0)

    def test_f_b27_without_a_path_there_is_one_place(self) -> None:
        """One request, and none after it when there is nothing."""
        with pretend_issuer() as issuer:
            with warmed(issuer):
                assert issuer.asked[METADATA_PATH] == 1
            issuer.down.add(METADATA_PATH)
            with (
                closing(Guard(issuer.url)) as guard,
                pytest.raises(TemporarilyUnavailable, match=r"answered 503$"),
            ):
                guard.refresh()
            assert [path for path in issuer.asked if "oauth" in path] == [METADATA_PATH]

    @pytest.mark.parametrize("kind", ELSEWHERE)
    def test_f_b27_what_the_host_says_there_is_passed_over(self, issuer: PretendIssuer, kind: str) -> None:
        """Below the path it is found, and asked for there first from then on."""
        issuer.raw[FIRST] = ELSEWHERE[kind]
        with warmed(issuer) as guard:
            assert (issuer.asked[FIRST], issuer.asked[SECOND]) == (1, 1)
            guard.refresh()
            assert (issuer.asked[FIRST], issuer.asked[SECOND]) == (1, 2)
            issuer.down.add(SECOND)
            del issuer.raw[FIRST]
            guard.refresh()
            assert (issuer.asked[FIRST], issuer.asked[SECOND]) == (2, 3), "the proxy was changed"

    def test_f_b27_a_host_that_does_not_answer_is_not_asked_twice(self, issuer: PretendIssuer) -> None:
        """It would cost the same patience again."""
        issuer.raw[FIRST] = b""
        with closing(Guard(issuer.url)) as guard:
            with pytest.raises(TemporarilyUnavailable, match=FIRST):
                guard.refresh()
            assert (issuer.asked[FIRST] > 0, issuer.asked[SECOND]) == (True, 0)

    def test_f_b27_a_cold_guard_names_both_places(self, issuer: PretendIssuer) -> None:
        """And what came back from each."""
        issuer.down.add(SECOND)
        issuer.raw[FIRST] = ELSEWHERE["a page"]
        host = issuer.url.removesuffix(PATH)
        with closing(Guard(issuer.url)) as guard:
            with pytest.raises(TemporarilyUnavailable) as found:
                guard.refresh()
            assert f"{host}{FIRST} is no JSON document" in found.value.description
            assert f"{issuer.url}{SECOND} answered 503" in found.value.description


class TestServer:
    @pytest.mark.parametrize("kind", FRONTS)
    @pytest.mark.parametrize("metadata", [True, False])
    def test_f_b27_a_guard_is_warm_behind_every_proxy(self, kind: str, metadata: bool) -> None:
        """The path kept or stripped, the place of the standard passed on or not: a log-out is heard all the same."""
        front = lambda app: Front(kind, app, PATH, metadata)  # noqa: E731
        with running(path=PATH, front=front) as server, closing(Guard(server.url)) as guard:
            self.check(server, guard)

    def test_f_b27_a_guard_is_warm_without_any_proxy(self) -> None:
        """The server itself answers at its issuer's URL."""
        with running(path=PATH) as server, closing(Guard(server.url)) as guard:
            self.check(server, guard)

    def check(self, server: Running, guard: Guard) -> None:
        guard.refresh()
        tokens = server.newcomer("ada@example.com")
        assert guard.verify(tokens["access_token"]).subject == tokens["user"]["id"]
        until(lambda: guard.health()["state"] == "live")
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert server.http.post("/auth/logout", headers=headers).status_code == 204

        def refused() -> bool:
            try:
                guard.verify(tokens["access_token"])
            except InvalidToken:
                return True
            return False

        until(refused)
        headers["Authorization"] = f"Bearer {server.login('ada@example.com')['access_token']}"
        made = server.http.post(
            "/auth/api-keys", json={"name": "ci", "current_password": PASSWORD}, headers=headers
        )
        assert made.status_code == 201, made.text
        assert guard.authenticate(f"Bearer {made.json()['key']}").subject == tokens["user"]["id"]
