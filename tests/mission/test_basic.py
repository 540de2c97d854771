"""Temporary Basic pairs at the API: for clients that know nothing but a user name and a password."""

from __future__ import annotations

from typing import Any

import httpx2

from tests.mission.stage import Server, User, within


def give(server: Server, user: User) -> dict[str, Any]:
    answer = server.http.post("/auth/basic", headers=user.bearer)
    assert answer.status_code == 200, answer.text
    pair: dict[str, Any] = answer.json()
    return pair


class Holder(User):
    """Somebody who has a pair, and nothing else."""

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": self.tokens["authorization"]}


def holder(pair: dict[str, Any]) -> User:
    return Holder("", "", "", pair)


class TestBasic:
    def test_s29_a_guard_takes_a_temporary_pair(
        self, server: Server, payroll: httpx2.Client, user: User
    ) -> None:
        """User name and password of the pair, as ``curl -u`` sends them; the same caller as by his token."""
        pair = give(server, user)
        answer = payroll.get("/me", auth=(pair["username"], pair["password"]))
        assert answer.request.headers["authorization"] == pair["authorization"]
        assert answer.status_code == 404  # let in, and not on the payroll
        assert (
            payroll.post("/payments", json={}, auth=(pair["username"], pair["password"])).status_code == 403
        )

    def test_s29_neither_half_is_worth_anything(
        self, server: Server, payroll: httpx2.Client, user: User
    ) -> None:
        """Another user name, another password, the printed ``bobsession1:s3cret``, the account's own password."""
        pair = give(server, user)
        for name, password in (
            ("bobsession1", pair["password"]),
            (pair["username"].upper(), pair["password"]),
            (pair["username"], "s3cret"),
            ("bobsession1", "s3cret"),
            (user.email, user.password),
        ):
            answer = payroll.get("/me", auth=(name, password))
            assert answer.status_code == 401
            assert 'error="invalid_token"' in answer.headers["www-authenticate"]

    def test_s69_a_log_in_gives_a_pair_of_twenty_minutes(
        self, server: Server, payroll: httpx2.Client
    ) -> None:
        """Master name and password in, a temporary pair out; nothing at the server opens with it."""
        user = server.register()
        answer = server.http.post("/auth/basic", json={"email": user.email, "password": user.password})
        pair = answer.json()
        assert pair["expires_in"] == 20 * 60
        assert answer.headers["cache-control"] == "no-store"
        auth = (pair["username"], pair["password"])
        assert payroll.get("/me", auth=auth).status_code == 404
        for method, path in (("GET", "/auth/me"), ("POST", "/auth/basic"), ("GET", "/admin/v1/users")):
            assert server.http.request(method, path, auth=auth).status_code == 401

    def test_s69_it_dies_with_its_session(self, server: Server, payroll: httpx2.Client, user: User) -> None:
        """Log-out, and the pair is dead at the API; the next pair kills the one before."""
        first, second = give(server, user), give(server, user)
        within(2, payroll, "/me", holder(first), 401)
        assert payroll.get("/me", headers=holder(second).bearer).status_code == 404
        assert server.http.post("/auth/logout", headers=user.bearer).status_code == 204
        within(2, payroll, "/me", holder(second), 401)
