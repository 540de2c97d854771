"""Refresh cookies that another host of the same site planted: they count for nothing and lock nobody out."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.server.stage import PASSWORD, Somebody, Stage, open_stage, problem

pytestmark = pytest.mark.anyio

ACCESS, REFRESH, BINDER = "__Host-watchword", "__Secure-watchword-refresh", "__Host-watchword-binder"
OURS = {"X-CSRF": "1"}


async def login(stage: Stage, person: Somebody) -> dict[str, str]:
    """The cookies of a login in a browser."""
    body = {"email": person.email, "password": PASSWORD, "cookie": True}
    answer = await stage.http.post("/auth/login", json=body, headers=OURS)
    assert answer.status_code == 200, answer.text
    stage.http.cookies.clear()
    return cookies_in(answer)


def cookies_in(answer: httpx2.Response) -> dict[str, str]:
    """What an answer leaves in a browser; what it clears isn't in it."""
    pairs = [line.partition(";")[0].partition("=") for line in answer.headers.get_list("set-cookie")]
    return {name: value for name, _, value in pairs if value}


async def send(stage: Stage, path: str, *cookies: tuple[str, str], **more: Any) -> httpx2.Response:
    field = "; ".join(f"{name}={value}" for name, value in cookies)
    fields = {"Cookie": field, **OURS, **more.pop("headers", {})}
    answer = await stage.http.post(path, headers=fields, **more)
    stage.http.cookies.clear()
    return answer


def cleared(answer: httpx2.Response) -> set[tuple[str, str]]:
    """Path and domain of every refresh cookie that an answer makes a browser forget."""
    found = set()
    for line in answer.headers.get_list("set-cookie"):
        pair, *attributes = line.split("; ")
        if pair == f"{REFRESH}=":
            known = dict(attribute.partition("=")[::2] for attribute in attributes)
            found.add((known["Path"], known.get("Domain", "")))
    return found


async def me(stage: Stage, cookies: dict[str, str]) -> Any:
    answer = await stage.http.get("/auth/me", headers={"Cookie": f"{ACCESS}={cookies[ACCESS]}"})
    stage.http.cookies.clear()
    return answer.json().get("id") if answer.status_code == 200 else answer.status_code


class TestPlanted:
    @pytest.mark.parametrize("path", ["/auth/token", "/auth/logout"])
    async def test_f_s9_many_of_them_do_not_hide_our_own(self, stage: Stage, path: str) -> None:
        """Those with a longer path come first, as many as a head has room for."""
        own = await login(stage, await stage.somebody())
        eve = (await login(stage, await stage.somebody()))[REFRESH]
        planted = [(REFRESH, f"{eve[:-6]}{number:06}") for number in range(60)]
        mine = [(REFRESH, own[REFRESH]), (ACCESS, own[ACCESS]), (BINDER, own[BINDER])]
        answer = await send(stage, path, *planted, *mine)
        assert answer.status_code in (200, 204), answer.text
        assert (await me(stage, own) == 401) is path.endswith("logout")
        again = await send(stage, "/auth/token", (REFRESH, own[REFRESH]), (BINDER, own[BINDER]))
        assert again.status_code == (401 if path.endswith("logout") else 200)

    @pytest.mark.parametrize("value", ["eve", "nonsense", ""])
    @pytest.mark.parametrize("first", [True, False])
    async def test_f_s9_beside_our_own_it_changes_nothing(
        self, stage: Stage, value: str, first: bool
    ) -> None:
        """In either order the refresh is the visitor's own, and the planted one is cleared wherever it can be from."""
        ada = await stage.somebody()
        own = await login(stage, ada)
        planted = (await login(stage, await stage.somebody()))[REFRESH] if value == "eve" else value
        twice = [(REFRESH, planted), (REFRESH, own[REFRESH])]
        rest = [(ACCESS, own[ACCESS]), (BINDER, own[BINDER])]
        answer = await send(stage, "/auth/token", *(twice if first else twice[::-1]), *rest)
        assert answer.status_code == 200, answer.text
        assert await me(stage, cookies_in(answer)) == ada.id
        assert cleared(answer) == {
            (path, domain)
            for path in ("/", "/auth", "/auth/", "/auth/token")
            for domain in ("", "auth.example.com", "example.com")
        }
        assert answer.headers.get_list("set-cookie")[-2].startswith(f"{REFRESH}=wwr_")

    @pytest.mark.parametrize("value", ["eve", "nonsense"])
    async def test_f_s9_in_place_of_our_own_it_signs_nobody_in(self, stage: Stage, value: str) -> None:
        """With the access cookie, with the binder, with both or with neither: 401, and nobody becomes Eve."""
        ada, eve = await stage.somebody(), await stage.somebody()
        own, hers = await login(stage, ada), await login(stage, eve)
        planted = (REFRESH, hers[REFRESH] if value == "eve" else value)
        for names in ((), (ACCESS,), (BINDER,), (ACCESS, BINDER)):
            answer = await send(stage, "/auth/token", planted, *((name, own[name]) for name in names))
            problem(answer, 401, "invalid_grant")
            assert cookies_in(answer) == {}
            assert ("/auth", "example.com") in cleared(answer)
        assert await me(stage, own) == ada.id
        answer = await send(stage, "/auth/token", *own.items())
        assert await me(stage, cookies_in(answer)) == ada.id

    @pytest.mark.parametrize("first", [True, False])
    @pytest.mark.parametrize("bound", [True, False])
    async def test_f_s9_logout_always_works(self, stage: Stage, first: bool, bound: bool) -> None:
        """204 with the planted one in either order, the visitor's session is over and every cookie cleared."""
        own = await login(stage, await stage.somebody())
        hers = await login(stage, await stage.somebody())
        twice = [(REFRESH, hers[REFRESH]), (REFRESH, own[REFRESH])]
        rest = [(BINDER, own[BINDER])] if bound else []
        answer = await send(stage, "/auth/logout", *(twice if first else twice[::-1]), *rest)
        assert answer.status_code == 204, answer.text
        assert await me(stage, own) == 401
        assert cookies_in(answer) == {}
        assert ("/auth/logout", "example.com") in cleared(answer)

    async def test_f_s9_logout_by_the_access_cookie_beside_a_planted_one(self, stage: Stage) -> None:
        """The refresh cookie of the visitor is gone already: it is their session that ends all the same."""
        own = await login(stage, await stage.somebody())
        hers = await login(stage, await stage.somebody())
        for planted in (hers[REFRESH], "nonsense"):
            own = await login(stage, await stage.somebody())
            answer = await send(stage, "/auth/logout", (REFRESH, planted), (ACCESS, own[ACCESS]))
            assert answer.status_code == 204
            assert await me(stage, own) == 401

    async def test_f_s9_pages_that_keep_tokens_themselves_go_on(self, stage: Stage) -> None:
        """A planted cookie beside a token in the body or in a header is no second credential, and is cleared."""
        hers = await login(stage, await stage.somebody())
        for planted in (hers[REFRESH], "nonsense"):
            ada = await stage.newcomer()
            body = {"refresh_token": ada.tokens["refresh_token"]}
            answer = await send(stage, "/auth/token", (REFRESH, planted), json=body)
            assert (answer.status_code, answer.json()["session_id"]) == (200, ada.session_id)
            assert ("/", "example.com") in cleared(answer)
            body = {"refresh_token": answer.json()["refresh_token"]}
            assert (await send(stage, "/auth/logout", (REFRESH, planted), json=body)).status_code == 204
            ada = await stage.newcomer()
            answer = await send(stage, "/auth/logout", (REFRESH, planted), headers=ada.bearer)
            assert answer.status_code == 204
            assert (await stage.http.get("/auth/me", headers=ada.bearer)).status_code == 401

    async def test_f_s9_another_site_s_page_clears_nothing(self, stage: Stage) -> None:
        """An answer that clears cookies is for our own pages too."""
        hers = await login(stage, await stage.somebody())
        evil = {"Origin": "https://evil.example"}
        for path in ("/auth/token", "/auth/logout"):
            answer = await send(stage, path, (REFRESH, hers[REFRESH]), headers=evil)
            problem(answer, 403, "cross_site")
            assert "set-cookie" not in answer.headers

    async def test_f_s9_a_login_begins_with_nothing_beside_it(self, stage: Stage) -> None:
        """What was planted before is cleared by the login, ahead of what it sets."""
        hers, ada = await login(stage, await stage.somebody()), await stage.somebody()
        body = {"email": ada.email, "password": PASSWORD, "cookie": True}
        answer = await send(stage, "/auth/login", (REFRESH, hers[REFRESH]), json=body)
        assert ("/auth", "example.com") in cleared(answer)
        assert await me(stage, cookies_in(answer)) == ada.id


class TestBinder:
    async def test_f_s9_a_session_from_before_the_binder_is_bound_by_its_access_cookie(
        self, stage: Stage
    ) -> None:
        """A login of the version before, or of a node of it beside this one, refreshes once and has a binder then."""
        ada = await stage.somebody()
        stale = (await login(stage, ada))[BINDER]
        for binders in ([], [(BINDER, stale)]):
            own = await login(stage, ada)
            answer = await send(
                stage, "/auth/token", (ACCESS, own[ACCESS]), (REFRESH, own[REFRESH]), *binders
            )
            assert answer.status_code == 200
            assert cookies_in(answer)[BINDER] == own[BINDER]
        other = await login(stage, ada)
        answer = await send(stage, "/auth/token", (ACCESS, other[ACCESS]), (REFRESH, own[REFRESH]))
        problem(answer, 401, "invalid_grant")

    async def test_f_s9_the_binder_alone_opens_nothing(self, stage: Stage) -> None:
        """It is no credential: not for the access cookie, nor in the body, nor for another session's token."""
        own = await login(stage, await stage.somebody())
        problem(await send(stage, "/auth/token", (BINDER, own[BINDER])), 422, "invalid_input")
        body = {"refresh_token": own[BINDER]}
        problem(await send(stage, "/auth/token", json=body), 401, "invalid_grant")
        answer = await stage.http.get("/auth/me", headers={"Cookie": f"{ACCESS}={own[BINDER]}"})
        assert answer.status_code == 401
        assert own[BINDER] not in own[REFRESH]

    async def test_f_s9_two_access_cookies_of_a_shared_domain(self) -> None:
        """With COOKIE_DOMAIN a neighbour can plant that one too: a 400 clears it, and the logout ends both."""
        async with open_stage(cookie_domain="example.com") as stage:
            access = "__Secure-watchword"
            own = await login(stage, await stage.somebody())
            hers = await login(stage, await stage.somebody())
            pairs = [(access, hers[access]), (access, own[access])]
            for order in (pairs, pairs[::-1]):
                answer = await stage.http.get(
                    "/auth/me", headers={"Cookie": "; ".join(f"{name}={value}" for name, value in order)}
                )
                problem(answer, 400, "invalid_request")
                lines = answer.headers.get_list("set-cookie")
                assert (
                    f"{access}=; Path=/; Max-Age=0; SameSite=Lax; HttpOnly; Secure; Domain=example.com"
                    in lines
                )
                assert all(line.startswith(f"{access}=;") for line in lines)
                stage.http.cookies.clear()
            refreshed = await send(
                stage, "/auth/token", *pairs, (REFRESH, own[REFRESH]), (BINDER, own[BINDER])
            )
            assert refreshed.status_code == 200
            assert (await send(stage, "/auth/logout", *pairs)).status_code == 204
            for token in (own[access], hers[access]):
                bearer = {"Authorization": f"Bearer {token}"}
                assert (await stage.http.get("/auth/me", headers=bearer)).status_code == 401

    async def test_f_s9_under_http_a_refresh_of_another_session_is_refused(self) -> None:
        """No prefix keeps a cookie ours there, so the access cookie says whose refresh token counts."""
        issuer = "http://127.0.0.1:8080"
        async with open_stage(issuer=issuer) as stage, stage.client("127.0.0.1", issuer) as stage.http:
            own = await login(stage, await stage.somebody())
            hers = await login(stage, await stage.somebody())
            assert set(own) == {"watchword", "watchword-refresh"}
            access, planted = (
                ("watchword", own["watchword"]),
                ("watchword-refresh", hers["watchword-refresh"]),
            )
            problem(await send(stage, "/auth/token", planted, access), 401, "invalid_grant")
            kept = ("watchword-refresh", own["watchword-refresh"])
            assert (await send(stage, "/auth/logout", planted, kept, access)).status_code == 204
            assert (await send(stage, "/auth/token", kept)).status_code == 401
