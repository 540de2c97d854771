"""Who hears what of the feed."""

from __future__ import annotations

import pytest

from tests.server.hearing import Hearing
from tests.server.stage import Somebody, Stage, call, open_stage, problem
from watchword.errors import ConfigurationError
from watchword.jose import jws
from watchword.server.settings import Settings

pytestmark = pytest.mark.anyio

SECRET = "the-secret-that-guards-show-0123456789"
SHOWN = {"Authorization": f"Bearer {SECRET}"}


async def demoted(stage: Stage) -> Somebody:
    """Somebody whose live token says more than he is, and who wrote his e-mail into it."""
    ada = await stage.login(await stage.somebody("admin"))
    root = await stage.administrator()
    await call(stage, root, "PATCH", f"/admin/v1/users/{ada.id}", json={"roles": ["user"]})
    await stage.services.feed.poll()
    return ada


def payload(message: bytes) -> str:
    return jws.parse(message, max_size=10**7).payload.decode()


class TestOpen:
    async def test_a_stranger_does_not_read_what_a_user_is(self) -> None:
        """Neither roles nor mapped claims, by none of its doors; whoever shows the secret reads both."""
        async with open_stage(feed="open", feed_secret=SECRET, claims="mail=email") as stage:
            ada = await demoted(stage)
            for path in ("/revocations", "/revocations?after=1", "/revocations?after=1&nonce=n"):
                message = payload((await stage.http.get(path)).content)
                assert ada.email not in message
                assert "roles" not in message
                whole = payload((await stage.http.get(path, headers=SHOWN)).content)
                assert ada.email in whole
            feed = stage.services.feed
            for shown, told in (([], False), ([SHOWN["Authorization"]], True)):
                frame = await anext(feed.stream(edition=feed.edition(shown)))
                data = frame.split(b"data: ")[1].strip()
                assert (ada.email in payload(data)) == told

    async def test_a_demotion_ends_the_token_there(self) -> None:
        """A guard without the secret refuses what it cannot correct; a refresh brings the truth."""
        async with open_stage(feed="open", feed_secret=SECRET) as stage:
            api = Hearing(stage)
            await api.update()
            ada = await demoted(stage)
            await api.update()
            assert api.refuses(ada.tokens["access_token"])
            refresh = {"refresh_token": ada.tokens["refresh_token"]}
            again = (await stage.http.post("/auth/token", json=refresh)).json()
            assert api.principal(again["access_token"]).roles == ("user",)

    async def test_the_two_are_not_mixed_up_by_a_cache(self) -> None:
        """What was asked for with the secret may be kept by nobody else."""
        async with open_stage(feed="open", feed_secret=SECRET) as stage:
            stranger = await stage.http.get("/revocations")
            guard = await stage.http.get("/revocations", headers=SHOWN)
            assert stranger.headers["cache-control"].startswith("public")
            assert guard.headers["cache-control"].startswith("private")
            assert stranger.headers["vary"] == guard.headers["vary"] == "Authorization"

    async def test_both_hear_of_a_log_out(self) -> None:
        """Kills are for everybody, in both editions, as they happen."""
        async with open_stage(feed="open", feed_secret=SECRET) as stage:
            feed = stage.services.feed
            streams = [feed.stream(edition=feed.edition(shown)) for shown in ([], [SHOWN["Authorization"]])]
            for stream in streams:
                await anext(stream)
            ada = await stage.newcomer()
            await stage.http.post("/auth/logout", headers=ada.bearer)
            await feed.poll()
            for stream in streams:
                data = (await anext(stream)).split(b"data: ")[1].strip()
                assert ada.session_id in payload(data)
            assert feed.listeners == 2


class TestClosed:
    async def test_nobody_hears_without_the_secret(self) -> None:
        """401, for a wrong one too; the metadata and the keys stay public."""
        async with open_stage(feed="closed", feed_secret=SECRET) as stage:
            for path in ("/revocations", "/revocations?after=1", "/revocations/stream"):
                answer = await stage.http.get(path)
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"].startswith("Bearer")
                wrong = await stage.http.get(path, headers={"Authorization": f"Bearer {SECRET}x"})
                problem(wrong, 401, "invalid_token")
            assert (await stage.http.get("/revocations", headers=SHOWN)).status_code == 200
            assert (await stage.http.get("/.well-known/jwks.json")).status_code == 200


class TestSettings:
    def test_auto_is_full_on_loopback_alone(self) -> None:
        """A developer carries no secret about; a server on the net tells strangers little."""
        assert Settings.load({}).feed.form == "full"
        assert Settings.load({"issuer": "https://auth.example.com"}).feed.form == "open"

    @pytest.mark.parametrize(
        "flags",
        [
            {"feed": "closed"},
            {"feed_secret": "short"},
            {"feed_secret": "a secret with spaces in it is no credential"},
            {"feed": "ajar"},
        ],
    )
    def test_what_cannot_be_stops_the_start(self, flags: dict[str, str]) -> None:
        """One line names the setting."""
        with pytest.raises(ConfigurationError, match="feed"):
            Settings.load(flags)
