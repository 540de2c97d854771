"""Hashes of other programs and of cheaper days: one log-in with the password, and they are today's."""

from __future__ import annotations

import pytest

from tests.server.accounts.test_foreign_hashes import FORMS, PUBLISHED
from tests.server.accounts.test_foreign_hashes import PASSWORD as FOREIGN_PASSWORD
from tests.server.stage import PASSWORD, Stage, open_stage, problem
from watchword.server.accounts.transfer import TransferService
from watchword.server.accounts.user_file import Row
from watchword.server.store.records import Origin

pytestmark = pytest.mark.anyio

HASHES = {name: (FOREIGN_PASSWORD, digest) for name, digest in FORMS.items()} | {
    "argon2i": PUBLISHED["argon2i"]
}


async def digest_of(stage: Stage, email: str) -> str:
    user = await stage.services.users.find_by_email(email)
    assert user is not None
    assert user.password_digest is not None
    return user.password_digest


async def move_in(stage: Stage, digest: str, **members: object) -> str:
    """An account of another system."""
    row = Row(1, {"email": "moved@example.com", "password_hash": digest, **members})
    transfer = TransferService(stage.services.users, stage.services.store.roles)
    report = await transfer.bring_in([row], origin=Origin())
    assert (report.added, report.refused) == (1, [])
    return "moved@example.com"


class TestUpgrade:
    @pytest.mark.parametrize("name", HASHES)
    async def test_req_p06_the_first_log_in_replaces_the_hash(self, stage: Stage, name: str) -> None:
        """A wrong password leaves it, the right one makes it Argon2id; both log-ins after it work as for anybody."""
        password, digest = HASHES[name]
        email = await move_in(stage, digest)
        problem(await stage.post_login(email=email, password=password + "x"), 401, "invalid_credentials")
        assert await digest_of(stage, email) == digest
        for _ in range(2):
            assert (await stage.post_login(email=email, password=password)).status_code == 200
            assert (await digest_of(stage, email)).startswith("$argon2id$v=19$m=8,t=1,p=1$")
        problem(await stage.post_login(email=email, password=password + "x"), 401, "invalid_credentials")

    async def test_the_sessions_stay(self, stage: Stage) -> None:
        """It is the same password: a new hash of it ends nothing."""
        email = await move_in(stage, FORMS["bcrypt"])
        first = (await stage.post_login(email=email, password=FOREIGN_PASSWORD)).json()
        await stage.post_login(email=email, password=FOREIGN_PASSWORD)
        bearer = {"Authorization": f"Bearer {first['access_token']}"}
        assert (await stage.http.get("/auth/me", headers=bearer)).status_code == 200

    async def test_who_was_banned_there_is_banned_here(self, stage: Stage) -> None:
        """From the first moment, and told only to somebody who has the password."""
        email = await move_in(stage, FORMS["bcrypt"], banned=True)
        problem(await stage.post_login(email=email, password="not-the-password"), 401, "invalid_credentials")
        problem(await stage.post_login(email=email, password=FOREIGN_PASSWORD), 403, "account_disabled")


class TestProfiles:
    async def test_req_p05_a_raised_cost_comes_at_the_next_log_in(self) -> None:
        """``strong`` is 64 MiB, three passes, four lanes (RFC 9106 4); going back weakens nothing."""
        async with (
            open_stage(password_hash="strong") as strong,
            open_stage(password_hash="standard") as standard,
        ):
            for stage, cost in ((standard, "m=19456,t=2,p=1"), (strong, "m=65536,t=3,p=4")):
                ada = await stage.somebody()
                assert f"${cost}$" in await digest_of(stage, ada.email)
            email = await move_in(strong, await made(standard))
            assert (await strong.post_login(email=email, password=PASSWORD)).status_code == 200
            raised = await digest_of(strong, email)
            assert "$m=65536,t=3,p=4$" in raised
            email = await move_in(standard, raised)
            assert (await standard.post_login(email=email, password=PASSWORD)).status_code == 200
            assert await digest_of(standard, email) == raised


async def made(stage: Stage) -> str:
    """A digest of this server's profile."""
    return await stage.services.passwords.hash(PASSWORD)
