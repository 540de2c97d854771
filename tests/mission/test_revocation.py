"""Taking access back: sessions, bans, tokens, keys; heard by guards over HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.mission.stage import Server, User, start_server, within
from watchword import Guard
from watchword.errors import InvalidToken, TemporarilyUnavailable
from watchword.jose import jws
from watchword.protocol.access_token import FIRST_PARTY_CLIENT_ID

ROOTS = ("the-first-secret-of-the-payroll-0001", "a-second-secret-for-the-payroll-0002")


@pytest.fixture
def guard(server: Server) -> Iterator[Guard]:
    """The guard of an API that has been running for a while."""
    with listening(server) as found:
        yield found


@pytest.fixture(scope="module")
def drill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of our own: its keys and clients suffer."""
    running = start_server(
        tmp_path_factory.mktemp("drill"),
        WATCHWORD_API_SECRETS=f"api={ROOTS[0]}",
        WATCHWORD_MAX_SESSIONS_PER_USER="2",
        WATCHWORD_PASSWORD_HASH="test",
    )
    yield running
    running.http.close()
    assert running.process.stop() == 0, running.process.log.read_text()


@contextmanager
def listening(server: Server, **options: Any) -> Iterator[Guard]:
    """A guard that hears the server."""
    guard = Guard(server.url, **options)
    try:
        guard.refresh()
        until(lambda: accepts(guard, server.newcomer()))
        yield guard
    finally:
        guard.close()


def accepts(guard: Guard, user: User) -> bool:
    try:
        guard.verify(user.tokens["access_token"])
    except (InvalidToken, TemporarilyUnavailable):
        return False
    return True


def until(condition: Callable[[], object], seconds: float = 10, every: float = 0.005) -> None:
    """Come back when *condition* holds: what travels arrives within a bound, not at an instant."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(every)


def again(user: User) -> User:
    """The same person with tokens of his own."""
    return User(user.id, user.email, user.password)


def refresh(server: Server, user: User) -> httpx2.Response:
    answer = server.http.post("/auth/token", json={"refresh_token": user.tokens["refresh_token"]})
    if answer.status_code == 200:
        user.tokens = {**user.tokens, **answer.json()}
    return answer


def key_of(user: User) -> str:
    return str(jws.parse(user.tokens["access_token"]).kid)


def algorithm_of(user: User) -> str:
    return jws.parse(user.tokens["access_token"]).alg


class TestSessions:
    def test_s51_a_user_has_so_many_sessions_and_no_more(self, drill: Server) -> None:
        """The least recently used one makes room: it is over, and its live access token dies at every API."""
        with listening(drill) as guard:
            user = drill.register()
            first, second = drill.login(again(user)), drill.login(again(user))
            assert refresh(drill, first).status_code == 200
            third = drill.login(again(user))
            until(lambda: not accepts(guard, second))
            assert refresh(drill, second).status_code == 401
            for kept in (first, third):
                assert accepts(guard, kept)
                assert refresh(drill, kept).status_code == 200

    def test_s53_log_out_of_one_of_all_of_none(self, server: Server, guard: Guard) -> None:
        """Here, everywhere, or not at all: who only goes away stays logged in."""
        user = server.register()
        here, there, gone = (server.login(again(user)) for _ in range(3))
        assert server.http.post("/auth/logout", headers=here.bearer).status_code == 204
        until(lambda: not accepts(guard, here))
        assert refresh(server, here).status_code == 401
        for kept in (there, gone):
            assert accepts(guard, kept)
        assert refresh(server, gone).status_code == 200
        answer = server.http.post("/auth/logout", json={"everywhere": True}, headers=there.bearer)
        assert answer.status_code == 204
        for over in (there, gone):
            until(lambda over=over: not accepts(guard, over))  # type: ignore[misc]
            assert refresh(server, over).status_code == 401
        assert accepts(guard, server.login(again(user)))

    def test_s57_signing_out_ends_the_live_token(
        self, server: Server, payroll: httpx2.Client, user: User
    ) -> None:
        """One call; from then on the API that took the token refuses it, and no refresh brings another."""
        assert payroll.get("/me", headers=user.bearer).status_code == 404
        assert server.http.post("/auth/logout", headers=user.bearer).status_code == 204
        refused = within(2, payroll, "/me", user, 401)
        assert 'error="invalid_token"' in refused.headers["www-authenticate"]
        assert refresh(server, user).status_code == 401


class TestBans:
    def test_s54_ban_timed_ban_unban_reason_and_audit(self, server: Server, guard: Guard) -> None:
        """Nothing works and nothing will, until it is lifted or its time is over; the log says who and why."""
        user = server.newcomer()
        end = datetime.now(UTC) + timedelta(hours=1)
        server.manage(
            "user", "ban", user.email, "--reason", "spam", "--until", end.isoformat(timespec="seconds")
        )
        until(lambda: not accepts(guard, user))
        assert refresh(server, user).status_code == 401
        answer = server.post_login(email=user.email, password=user.password)
        assert (answer.status_code, answer.json()["error"]) == (403, "account_disabled")
        shown = server.manage("user", "show", user.email)
        assert (shown["banned"], shown["ban_reason"]) == (True, "spam")
        assert datetime.fromisoformat(shown["banned_until"]) == end.replace(microsecond=0)
        server.manage("user", "unban", user.email)
        assert not accepts(guard, user)
        root = server.administrator(audience=server.url)
        soon = datetime.now(UTC) + timedelta(seconds=4)
        answer = server.http.post(
            f"/admin/v1/users/{user.id}/ban", json={"until": soon.isoformat()}, headers=root.bearer
        )
        assert answer.status_code == 200, answer.text
        # Each of these log-ins costs a hash.
        until(lambda: server.post_login(email=user.email, password=user.password).status_code == 200, 30, 0.1)
        assert accepts(guard, server.login(again(user)))
        for name, reasons in (("user.banned", {"spam", None}), ("user.unbanned", {None})):
            page = server.http.get(
                "/admin/v1/events", params={"user_id": user.id, "type": name}, headers=root.bearer
            ).json()
            assert {event["detail"].get("reason") for event in page["items"]} == reasons


class TestReach:
    @pytest.mark.parametrize("what", ["token", "session", "user", "client", "key", "everything"])
    def test_s55_each_kind_is_taken_back_alone(self, drill: Server, what: str) -> None:
        """One token, one session, one user, one client, one key, or all of it: no more dies than was meant."""
        with listening(drill) as guard:
            ada = drill.register()
            meant, beside = drill.login(again(ada)), drill.login(again(ada))
            bob = drill.newcomer()
            match what:
                case "token":
                    drill.manage("token", "revoke", meant.tokens["access_token"])
                case "session":
                    drill.manage("session", "revoke", meant.tokens["session_id"])
                case "user":
                    drill.manage("session", "revoke", "--user", ada.email)
                case "client":
                    drill.manage("client", "disable", FIRST_PARTY_CLIENT_ID)
                case "key":
                    drill.manage("key", "compromise", key_of(meant))
                case "everything":
                    drill.manage("token", "revoke", "--all")
            until(lambda: not accepts(guard, meant))
            wide = what in ("client", "key", "everything")
            assert accepts(guard, bob) != wide
            assert accepts(guard, beside) == (what in ("token", "session"))
            if what == "client":
                assert refresh(drill, bob).status_code == 401
                drill.manage("client", "enable", FIRST_PARTY_CLIENT_ID)
            assert refresh(drill, meant).status_code == (401 if what in ("session", "user") else 200)
            assert refresh(drill, bob).status_code == 200
            until(lambda: accepts(guard, bob))

    def test_s56_a_live_token_is_taken_back(
        self, server: Server, payroll: httpx2.Client, guard: Guard, user: User
    ) -> None:
        """Minutes before it expires it is dead in every process that checks it; others do not notice."""
        other = server.newcomer()
        for one in (user, other):
            assert accepts(guard, one)
            assert payroll.get("/me", headers=one.bearer).status_code == 404
        assert guard.verify(user.tokens["access_token"]).claims["exp"] > time.time() + 300
        server.manage("user", "ban", user.email, "--reason", "stolen laptop")
        within(2, payroll, "/me", user, 401)
        until(lambda: not accepts(guard, user))
        assert accepts(guard, other)
        assert payroll.get("/me", headers=other.bearer).status_code == 404

    def test_n3_a_demotion_acts_on_tokens_already_issued(
        self, server: Server, payroll: httpx2.Client
    ) -> None:
        """The same token pays, then is refused the payment and still reads: no new log-in, no new token."""
        boss = server.register()
        server.manage("user", "role", "add", boss.email, "admin")
        boss = server.login(boss)
        assert payroll.get("/employees", headers=boss.bearer).status_code == 200
        server.manage("user", "role", "remove", boss.email, "admin")
        refused = within(2, payroll, "/employees", boss, 403)
        assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]
        assert payroll.get("/me", headers=boss.bearer).status_code == 404
        server.manage("user", "role", "add", boss.email, "admin")
        within(2, payroll, "/employees", boss, 200)


class Traffic:
    """Somebody who refreshes without pause, and guards that check every token he ever got."""

    def __init__(self, server: Server, guards: list[Guard]) -> None:
        self._server = server
        self._guards = guards
        self._user = server.newcomer()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.kept = [again(self._user)]
        self.kept[0].tokens = dict(self._user.tokens)
        self.checked = 0
        self.refused: list[str] = []

    @property
    def algorithms(self) -> list[str]:
        return list(dict.fromkeys(algorithm_of(one) for one in self.kept))

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *fault: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            answer = refresh(self._server, self._user)
            if answer.status_code != 200:
                self.refused.append(answer.text)
                return
            one = again(self._user)
            one.tokens = dict(self._user.tokens)
            if key_of(one) not in {key_of(other) for other in self.kept}:
                self.kept.append(one)
            for guard in self._guards:
                for token in (one, *self.kept):
                    self.checked += 1
                    try:
                        guard.verify(token.tokens["access_token"])
                    except (InvalidToken, TemporarilyUnavailable) as fault:
                        self.refused.append(f"{algorithm_of(token)}: {fault.description}")


def rotate(server: Server, guards: list[Guard], **members: str) -> str:
    """Let the waiting key act as soon as every guard knows it; a minute is for those without a feed."""
    root = server.administrator(audience=server.url)

    def ask(**more: bool) -> str:
        answer = server.http.post("/admin/v1/keys/rotate", json={**members, **more}, headers=root.bearer)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["kid"])

    kid = ask()
    until(lambda: all(kid in guard.health()["kids"] for guard in guards))
    assert ask(now=True) == kid
    return kid


class TestKeys:
    def test_s58_a_shared_key_is_changed_and_nobody_logs_in_again(self, tmp_path: Path) -> None:
        """By its number, without being sent; and when the root has leaked, by a second line on both sides."""
        server = start_server(
            tmp_path, WATCHWORD_API_SECRETS=f"api={ROOTS[0]}", WATCHWORD_PASSWORD_HASH="test"
        )
        try:
            with listening(server, secrets=ROOTS) as guard:
                rotate(server, [guard], algorithm="HS256")
                first = server.newcomer()
                rotate(server, [guard], algorithm="HS256")
                second = server.newcomer()
                assert algorithm_of(first) == algorithm_of(second) == "HS256"
                assert key_of(first) != key_of(second)
                assert accepts(guard, first)
                assert accepts(guard, second)
                assert server.process.stop() == 0
                server.process.env = {
                    **server.process.env,
                    "WATCHWORD_API_SECRETS": f"api={ROOTS[0]} api={ROOTS[1]}",
                }
                server.process.start("/readyz")
                assert accepts(guard, second)
                rotate(server, [guard])
                third = server.newcomer()
                for old in {key_of(first), key_of(second)}:
                    server.manage("key", "compromise", old)
                until(lambda: not accepts(guard, first) and not accepts(guard, second))
                assert accepts(guard, third)
                for user in (first, second):
                    assert refresh(server, user).status_code == 200
                    assert accepts(guard, user)
                with listening(server, secrets=ROOTS[1]) as careful:
                    assert accepts(careful, third)
        finally:
            server.http.close()
            server.process.stop()

    def test_s59_keys_change_under_many_clients(self, drill: Server) -> None:
        """Ten rotations under four guards: no good token is refused, and no client does anything for it."""
        guards = [Guard(drill.url) for _ in range(4)]
        try:
            for guard in guards:
                guard.refresh()
            until(lambda: all(accepts(guard, drill.newcomer()) for guard in guards))
            with Traffic(drill, guards) as traffic:
                for _ in range(10):
                    kid = rotate(drill, guards)
                    until(lambda kid=kid: kid in {key_of(one) for one in traffic.kept})  # type: ignore[misc]
            assert traffic.refused == []
            assert traffic.checked > 100
        finally:
            for guard in guards:
                guard.close()

    def test_n6_rotation_as_a_drill_with_a_stolen_key_at_its_end(self, drill: Server) -> None:
        """HS256, HS256 again, RS256, Ed25519, ES256 under traffic: nothing good is refused; then a key is stolen."""
        guards = [Guard(drill.url, secrets=ROOTS[0]) for _ in range(2)]
        order = ["HS256", "HS256", "RS256", "Ed25519", "ES256"]
        try:
            for guard in guards:
                guard.refresh()
            until(lambda: all(accepts(guard, drill.newcomer()) for guard in guards))
            with Traffic(drill, guards) as traffic:
                for name in order:
                    kid = rotate(drill, guards, algorithm=name)
                    until(lambda kid=kid: kid in {key_of(one) for one in traffic.kept})  # type: ignore[misc]
            assert traffic.refused == []
            assert [algorithm_of(one) for one in traffic.kept[1:]] == order
            last = traffic.kept[-1]
            drill.manage("key", "compromise", key_of(last))
            until(lambda: not any(accepts(guard, last) for guard in guards))
            assert all(accepts(guard, one) for guard in guards for one in traffic.kept[:-1])
            assert refresh(drill, last).status_code in (200, 401)
        finally:
            for guard in guards:
                guard.close()
