"""The pytest plug-in, as an API's own tests use it: pytest in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from watchword.testing import PretendIssuer

TOP = Path(__file__).resolve().parents[2]

TESTS = """
from api import app, guard
import httpx2, pytest

@pytest.fixture
def http(watchword_issuer):
    watchword_issuer.take_over(guard)
    transport = httpx2.ASGITransport(app=app)
    return httpx2.AsyncClient(transport=transport, base_url="http://api")

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_banned_user_is_refused(http, watchword_issuer):
    ada = watchword_issuer.headers("usr_ada")
    assert (await http.get("/me", headers=ada)).json() == {"subject": "usr_ada"}
    watchword_issuer.revoke(subject="usr_ada")
    assert (await http.get("/me", headers=ada)).status_code == 401

def test_every_test_has_an_issuer_of_its_own(watchword_issuer):
    from watchword import InvalidToken
    with pytest.raises(InvalidToken):
        guard.verify(watchword_issuer.token())
"""

API = """
from fastapi import Depends, FastAPI
from watchword import Guard, Principal
from watchword.frameworks.fastapi import protect

guard = Guard("https://auth.example.com", keys={keys!r})
app = FastAPI()

@app.get("/me")
def me(principal: Principal = Depends(protect(guard))):
    return {{"subject": principal.subject}}
"""


def pytest_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(TOP / "src"), str(folder)))}
    # Other plug-ins of this environment import what they like.
    others = [word for name in ("cacheprovider", "xdist", "valkey") for word in ("-p", f"no:{name}")]
    command = [sys.executable, "-m", "pytest", *others, *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60)


class TestPlugin:
    def test_s73_the_fixture_is_there_without_an_import(self, tmp_path: Path) -> None:
        """Installing Watchword is enough; the API's own guard is taken over for the test, and only for it."""
        (tmp_path / "api.py").write_text(API.format(keys=PretendIssuer().jwks()))
        (tmp_path / "test_api.py").write_text(TESTS)
        done = pytest_in(tmp_path, "-q")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "2 passed" in done.stdout

    def test_it_says_what_it_is(self, tmp_path: Path) -> None:
        """``pytest --fixtures`` explains the fixture."""
        (tmp_path / "test_nothing.py").write_text("")
        told = pytest_in(tmp_path, "--fixtures").stdout
        assert "watchword_issuer" in told
        assert "mints tokens" in told

    def test_a_run_that_does_not_use_it_imports_nothing(self, tmp_path: Path) -> None:
        """Every pytest run on the machine loads the plug-in; it costs none of them cryptography."""
        (tmp_path / "test_it.py").write_text(
            "import sys\ndef test_it(): assert not {'cryptography', 'watchword.guard'} & set(sys.modules)\n"
        )
        done = pytest_in(tmp_path, "-q")
        assert done.returncode == 0, done.stdout
