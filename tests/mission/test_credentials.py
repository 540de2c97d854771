"""Whatever a caller holds: the same caller, at an API of three lines, and one ban that ends it all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import httpx2
import pytest

from tests.mission.stage import Server, User
from watchword.jose.jwk import Key
from watchword.protocol.basic import format_basic
from watchword.protocol.signature import RequestSigner

Show = Callable[[httpx2.Request], None]
"""Puts the credential on a request."""
Make = Callable[[Server, User], Show]
"""Gets it from the server, as its user does."""


def _post(server: Server, path: str, user: User | None = None, **members: object) -> httpx2.Response:
    headers = user.bearer if user is not None else {}
    answer = server.http.post(path, json=members, headers=headers)
    assert answer.status_code in (200, 201), answer.text
    return answer


def _field(name: str, value: str) -> Show:
    return lambda request: request.headers.update({name: value})


def _basic(user_name: str, password: str) -> Show:
    return lambda request: request.headers.update(
        {"Authorization": f"Basic {format_basic(user_name, password)}"}
    )


def bearer(server: Server, user: User) -> Show:
    return _field("Authorization", user.bearer["Authorization"])


def temporary_basic(server: Server, user: User) -> Show:
    pair = server.http.post("/auth/basic", headers=user.bearer).json()
    return _basic(pair["username"], pair["password"])


def cookie(server: Server, user: User) -> Show:
    body = {"email": user.email, "password": user.password, "cookie": True}
    with httpx2.Client(base_url=server.url, timeout=30) as browser:
        assert browser.post("/auth/login", json=body, headers={"X-CSRF": "1"}).status_code == 200
        return _field("Cookie", f"watchword={browser.cookies['watchword']}")


def _key(server: Server, user: User) -> str:
    return str(
        _post(server, "/auth/api-keys", user, name="deploy", current_password=user.password).json()["key"]
    )


def api_key(server: Server, user: User) -> Show:
    return _field("Authorization", f"Bearer {_key(server, user)}")


def api_key_by_basic(server: Server, user: User) -> Show:
    return _basic(_key(server, user), "")


def signature(server: Server, user: User) -> Show:
    key = Key.generate("ES256")
    handed = _post(
        server,
        "/auth/signing-keys",
        user,
        name="nightly",
        jwk=key.public_jwk(),
        current_password=user.password,
    )
    signer = RequestSigner(key, handed.json()["id"])
    return lambda request: request.headers.update(signer.sign(request.method, str(request.url)))


CREDENTIALS: Mapping[str, Make] = {
    "bearer": bearer,
    "temporary Basic": temporary_basic,
    "cookie": cookie,
    "API key": api_key,
    "API key by Basic": api_key_by_basic,
    "signature": signature,
}


def ask(payroll: httpx2.Client, show: Show, path: str = "/me") -> httpx2.Response:
    request = payroll.build_request("GET", path)
    show(request)
    return payroll.send(request)


class TestCredentials:
    def test_n7_one_ban_ends_every_credential(self, server: Server, payroll: httpx2.Client) -> None:
        """One user holds them all, and each lets him in as himself; one command, and each is refused alike."""
        user, other = server.newcomer(), server.newcomer()
        held = {name: make(server, user) for name, make in CREDENTIALS.items()}
        others = api_key(server, other)
        for name, show in held.items():
            answer = ask(payroll, show)
            # let in, and not on the payroll
            assert (name, answer.status_code) == (name, 404)
            assert answer.json()["detail"] == "you are not on the payroll yet"
            assert (name, ask(payroll, show, "/employees").status_code) == (name, 403)
        server.manage("user", "ban", user.email)
        deadline = time.monotonic() + 2
        waiting = dict(held)
        while waiting and time.monotonic() < deadline:
            waiting = {name: show for name, show in waiting.items() if ask(payroll, show).status_code != 401}
        assert list(waiting) == []
        answers = {name: ask(payroll, show) for name, show in held.items()}
        told = {(a.status_code, a.headers["www-authenticate"], a.text) for a in answers.values()}
        assert len(told) == 1, {name: answer.text for name, answer in answers.items()}
        assert ask(payroll, others).status_code == 404

    @pytest.mark.parametrize("name", ["API key", "API key by Basic"])
    def test_n7_an_api_key_does_what_its_user_may(
        self, server: Server, payroll: httpx2.Client, name: str
    ) -> None:
        """An administrator's key without a scope reads the employees; with one it does what that says."""
        root = server.administrator()
        assert ask(payroll, CREDENTIALS[name](server, root), "/employees").status_code == 200
        narrow = _post(
            server, "/auth/api-keys", root, name="narrow", scope="profile", current_password=root.password
        ).json()["key"]
        assert ask(payroll, _field("Authorization", f"Bearer {narrow}"), "/employees").status_code == 403

    def test_n7_an_api_key_is_revoked_alone(self, server: Server, payroll: httpx2.Client) -> None:
        """By its user, by its id: it dies within moments, and his log-in and his other key live."""
        user = server.newcomer()
        made = _post(server, "/auth/api-keys", user, name="leaked", current_password=user.password).json()
        leaked, kept = _field("Authorization", f"Bearer {made['key']}"), api_key(server, user)
        assert ask(payroll, leaked).status_code == 404
        assert server.http.delete(f"/auth/api-keys/{made['id']}", headers=user.bearer).status_code == 204
        deadline = time.monotonic() + 2
        while ask(payroll, leaked).status_code != 401:
            assert time.monotonic() < deadline
        assert ask(payroll, kept).status_code == ask(payroll, bearer(server, user)).status_code == 404
