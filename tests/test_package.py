"""The package as it is installed: what an import loads, what the wheel carries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

TOP = Path(__file__).resolve().parent.parent
PACKAGE = TOP / "src" / "watchword"
HEAVY = {
    *(
        "argon2",
        "asyncpg",
        "bcrypt",
        "click",
        "email_validator",
        "fastapi",
        "flask",
        "django",
        "httptools",
        "httpx2",
    ),
    *(
        "jinja2",
        "joserfc",
        "jwt",
        "prometheus_client",
        "pydantic",
        "redis",
        "rich",
        "sqlite3",
        "ssl",
        "starlette",
    ),
    *("structlog", "uvicorn", "uvloop", "asyncio", "http", "email", "threading", "socket"),
}


def loaded(program: str) -> list[str]:
    """The modules that *program* adds to an interpreter of its own."""
    said = "print(json.dumps(sorted(set(sys.modules) - before)))"
    whole = f"import sys, json\nbefore = set(sys.modules)\n{program}\n{said}"
    env = {**os.environ, "PYTHONPATH": str(TOP / "src")}
    done = subprocess.run([sys.executable, "-c", whole], env=env, capture_output=True, text=True, check=True)
    found: list[str] = json.loads(done.stdout)
    return found


class TestImport:
    @pytest.mark.parametrize(
        ("program", "most"),
        [("import watchword", 60), ("from watchword import Guard, Principal", 190)],
    )
    def test_an_api_pays_for_the_guard_alone(self, program: str, most: int) -> None:
        """No server, framework, client or network module, and not many others: an API imports this at each start."""
        found = loaded(program)
        assert {name.partition(".")[0] for name in found} & HEAVY == set()
        others = [name for name in found if name.startswith("watchword.") and name.split(".")[1] not in
                  ("errors", "guard", "jose", "protocol")]  # fmt: skip
        assert others == []
        assert len(found) <= most

    def test_the_guard_offline_needs_no_network(self) -> None:
        """Not even to verify: a guard with keys of its own opens nothing."""
        found = loaded(
            "from watchword import Guard\nfrom watchword.jose.jwk import Key\n"
            "key = Key.generate('ES256')\nGuard('https://a.example', keys={'keys': [key.public_jwk()]})"
        )
        assert not {"socket", "ssl", "http.client", "watchword.guard.issuer"} & set(found)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from this tree without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    built = list(WheelBuilder(str(TOP)).build(directory=str(folder), versions=["standard"]))
    return zipfile.ZipFile(built[0])


class TestWheel:
    def test_it_carries_every_file_of_the_package(self, wheel: zipfile.ZipFile) -> None:
        """py.typed, templates, static files and migrations, too: without them nothing of the server works."""
        carried = set(wheel.namelist())
        files = [
            path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix not in (".pyc", ".pyo")
        ]
        missing = [path for path in files if str(path.relative_to(PACKAGE.parent)) not in carried]
        assert missing == []
        kinds = {path.suffix for path in files}
        assert {".py", ".typed", ".sql", ".html", ".css"} <= kinds

    def test_it_carries_nothing_else(self, wheel: zipfile.ZipFile) -> None:
        """No test, no secret, no database somebody left in the tree."""
        for name in wheel.namelist():
            assert name.startswith(("watchword/", "watchword-")), name
            assert not name.endswith((".db", ".sqlite", ".key", ".pem")), name

    def test_it_says_what_it_needs(self, wheel: zipfile.ZipFile) -> None:
        """The light install brings three packages; the licence and the command are in it."""
        metadata = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        lines = wheel.read(metadata).decode().splitlines()
        needs = [line for line in lines if line.startswith("Requires-Dist: ") and "extra ==" not in line]
        assert sorted(line.split()[1].split(">")[0] for line in needs) == ["click", "cryptography", "msgspec"]
        assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel.namelist())
        scripts = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
        assert "watchword = watchword.cli.main:main" in wheel.read(scripts).decode()
