"""Writes the databases of one version for the upgrade tests; runs in a checkout of that version.

    git worktree add ../old VERSION
    cd ../old && python .../tests/upgrade/make.py OUTPUT_FOLDER VERSION

For SQLite and for PostgreSQL it plays the same story through the HTTP API of that version and keeps what the
database holds (``VERSION.sqlite.sql``, ``VERSION.postgres.sql``), every credential that was handed out
(``VERSION.*.json``) and the program itself (``VERSION.zip``), which the tests run beside the new one.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path.cwd()), str(Path.cwd() / "src")]

from tests import databases  # noqa: E402
from tests.server.stage import PASSWORD, SECRET, Stage, call, open_stage  # noqa: E402
from watchword.jose.jwk import Key  # noqa: E402

SCHEMA = "upgrade"
SIGNING_KEY = Key.generate("Ed25519")


async def play(stage: Stage) -> dict[str, Any]:
    """What people have from the old version when the new one starts."""
    root = await stage.administrator()
    ada, bob, eve = [await stage.newcomer() for _ in range(3)]
    await stage.http.patch(f"/admin/v1/users/{ada.id}", json={"name": "Ada Lovelace"}, headers=root.bearer)
    await call(
        stage, root, "POST", "/admin/v1/apis", 201, json={"audience": "billing", "scope": ["bills:read"]}
    )
    spent = await stage.login(ada)
    renewed = await call(
        stage, ada, "POST", "/auth/token", json={"refresh_token": spent.tokens["refresh_token"]}
    )
    ended = await stage.login(ada)
    await call(stage, ended, "POST", "/auth/logout", 204)
    key = {"name": "nightly", "current_password": PASSWORD}
    api_key = await call(stage, ada, "POST", "/auth/api-keys", 201, json=key)
    signing_key = await call(
        stage, ada, "POST", "/auth/signing-keys", 201, json={**key, "jwk": SIGNING_KEY.public_jwk()}
    )
    pair = await call(stage, ada, "POST", "/auth/basic")
    await call(stage, root, "POST", f"/admin/v1/users/{bob.id}/ban", json={"reason": "spam"})
    await call(stage, root, "PATCH", f"/admin/v1/users/{eve.id}", json={"roles": ["user", "admin"]})
    await stage.services.feed.poll()
    return {
        "at": stage.clock.at.isoformat(),
        "issuer": stage.settings.issuer,
        "secret": SECRET,
        "password": PASSWORD,
        "root": vars(root),
        "ada": vars(ada),
        "bob": vars(bob),
        "eve": vars(eve),
        "spent": spent.tokens,
        "renewed": renewed,
        "ended": ended.tokens,
        "api_key": api_key,
        "signing_key": {**signing_key, "jwk": SIGNING_KEY.private_jwk()},
        "basic_pair": pair,
        "metadata": await call(stage, ada, "GET", "/.well-known/oauth-authorization-server"),
        "jwks": await call(stage, ada, "GET", "/.well-known/jwks.json"),
        "revocations": (await stage.http.get("/revocations")).text,
    }


async def sqlite(out: Path, version: str) -> None:
    """The story on SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "watchword.db"
        async with open_stage(database=f"sqlite:///{file}") as stage:
            story = await play(stage)
        connection = sqlite3.connect(file)
        dump = "\n".join(connection.iterdump()) + "\n"
        connection.close()
    (out / f"{version}.sqlite.sql").write_text(dump)
    (out / f"{version}.sqlite.json").write_text(json.dumps(story, indent=1) + "\n")


async def postgres(out: Path, version: str, dump_program: str) -> None:
    """The story on PostgreSQL."""
    import asyncpg

    with databases.cluster() as cluster:
        connection = await asyncpg.connect(cluster.url)
        await connection.execute(f"CREATE SCHEMA {SCHEMA}")
        await connection.close()
        async with open_stage(database=f"{cluster.url}?search_path={SCHEMA}") as stage:
            story = await play(stage)
        options = ("--inserts", "--no-owner", "--no-privileges", f"--schema={SCHEMA}")
        done = await asyncio.to_thread(
            subprocess.run, [dump_program, *options, cluster.url], capture_output=True, text=True, check=True
        )
    lines = [
        line
        for line in done.stdout.splitlines()
        if not line.startswith(("\\", "SET ", "SELECT pg_catalog.set_config"))
    ]
    kept = [line for line in lines if line and not line.startswith(("--", "CREATE SCHEMA"))]
    (out / f"{version}.postgres.sql").write_text("\n".join(kept).replace(f"{SCHEMA}.", "") + "\n")
    (out / f"{version}.postgres.json").write_text(json.dumps(story, indent=1) + "\n")


def main() -> None:
    """Write everything."""
    out, version, *dump = Path(sys.argv[1]).resolve(), sys.argv[2], *sys.argv[3:]
    asyncio.run(sqlite(out, version))
    asyncio.run(postgres(out, version, dump[0] if dump else "pg_dump"))
    archive = [
        "git",
        "archive",
        "--format=zip",
        "-9",
        "-o",
        str(out / f"{version}.zip"),
        version,
        "src/watchword",
    ]
    subprocess.run(archive, check=True)


if __name__ == "__main__":
    main()
