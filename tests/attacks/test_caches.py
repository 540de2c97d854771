"""Caches that outlive a request hold nothing that a secret could be read from."""

from __future__ import annotations

import functools
import gc
from collections.abc import Iterator

import pytest

from tests.server.stage import Stage

pytestmark = pytest.mark.anyio

CANARY = "nineteen-canaries-in-a-cage"


def remembered() -> Iterator[str]:
    """Every argument that a cached function of ours remembers, as text."""
    for found in gc.get_objects():
        # The type itself: isinstance() would wake what other libraries load lazily.
        if type(found) is functools._lru_cache_wrapper and found.__module__.startswith("watchword"):
            for kept in gc.get_referents(found):
                if type(kept) is dict:
                    yield from map(repr, kept)


async def test_f_s14_no_cache_remembers_a_secret(stage: Stage) -> None:
    """Passwords that are set, tried and refused, tokens, keys and Basic pairs go through, and none of them stays."""
    http = stage.http
    person = {"email": "canary@example.com", "password": CANARY}
    assert (await http.post("/auth/register", json=person)).status_code == 201
    tokens = (await http.post("/auth/login", json=person)).json()
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    change = {"current_password": CANARY, "new_password": f"{CANARY}-2"}
    assert (await http.post("/auth/password", json=change, headers=bearer)).status_code == 204
    await http.post("/auth/login", json={**person, "password": f"{CANARY}-3"})
    await http.post("/auth/register", json={"email": "other@example.com", "password": f"{CANARY}-4"})
    pair = (await http.post("/auth/basic", json={**person, "password": f"{CANARY}-2"})).json()
    asked = {"name": "canary", "current_password": f"{CANARY}-2"}
    key = (await http.post("/auth/api-keys", json=asked, headers=bearer)).json()["key"]
    assert (await http.post("/auth/token", json={"api_key": key})).status_code == 200
    spent = {"refresh_token": tokens["refresh_token"]}
    assert (await http.post("/auth/token", json=spent)).status_code == 200
    kept = "\n".join(remembered())
    for secret in (CANARY, key, pair["password"], tokens["access_token"], tokens["refresh_token"]):
        assert secret not in kept
