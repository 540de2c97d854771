"""The files for operators say what is true: settings that exist, metrics that are exported, a user who is not root."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from dockerfile_parse import DockerfileParser

from tests.server.stage import Stage, open_stage
from watchword import Guard
from watchword.jose.jwk import Key, KeySet
from watchword.server.settings import ROWS

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
SETTINGS = {row.name for row in ROWS} | {f"{row.name}_FILE" for row in ROWS}
SECRETS = {row.name for row in ROWS if row.secret}


def check_settings(names: set[str]) -> None:
    """Each is a setting, and none puts a secret where everybody reads it."""
    assert all(name.startswith("WATCHWORD_") for name in names)
    found = {name.removeprefix("WATCHWORD_") for name in names}
    assert found <= SETTINGS
    assert not found & SECRETS


class TestDockerfile:
    def instructions(self) -> list[tuple[str, str]]:
        parsed = DockerfileParser(path=str(DEPLOY / "Dockerfile"), cache_content=True)
        return [(one["instruction"], one["value"]) for one in parsed.structure]

    def test_it_runs_as_nobody_of_weight(self) -> None:
        """The last stage leaves root before anything is started, and every image names its version."""
        steps = self.instructions()
        last = max(n for n, (word, _) in enumerate(steps) if word == "FROM")
        assert [value for word, value in steps[last:] if word == "USER"] == ["10001:10001"]
        assert all(re.match(r"[\w/.-]+:\d", value) for word, value in steps if word == "FROM")
        assert not {"ADD", "MAINTAINER"} & {word for word, _ in steps}

    def test_what_it_copies_is_there(self) -> None:
        """Every source of a COPY is in the checkout and not kept out of the build."""
        kept = (DEPLOY.parent / ".dockerignore").read_text().splitlines()
        for word, value in self.instructions():
            if word == "COPY" and not value.startswith("--from"):
                for source in value.split()[:-1]:
                    assert (DEPLOY.parent / source).exists()
                    assert f"!{source.removeprefix('./')}" in kept

    def test_its_settings_are_ours(self) -> None:
        """ENV sets settings that exist, and no secret."""
        given = " ".join(value for word, value in self.instructions() if word == "ENV")
        check_settings(set(re.findall(r"WATCHWORD_\w+", given)))

    def test_it_says_when_it_is_ready_and_how_it_ends(self) -> None:
        """The health check asks a path that is there; SIGTERM drains."""
        steps = dict(self.instructions())
        assert "/readyz" in steps["HEALTHCHECK"]
        assert steps["STOPSIGNAL"] == "SIGTERM"
        assert json.loads(steps["ENTRYPOINT"]) + json.loads(steps["CMD"]) == ["watchword", "serve"]


class TestCompose:
    @pytest.mark.parametrize("file", ["compose.yaml", "compose-nodes.yaml"])
    def test_it_is_whole(self, file: str) -> None:
        """Volumes, networks and secrets that a service names are defined; settings exist; secrets come by file."""
        compose: dict[str, Any] = yaml.safe_load((DEPLOY / file).read_text())
        for service in compose["services"].values():
            environment = service.get("environment", {})
            check_settings({name for name in environment if not name.startswith("POSTGRES_")})
            assert set(service.get("secrets", ())) <= compose["secrets"].keys()
            assert set(service["networks"]) <= compose["networks"].keys()
            volumes = {volume.partition(":")[0] for volume in service.get("volumes", ())}
            assert volumes <= compose["volumes"].keys()
            assert set(service.get("depends_on", ())) <= compose["services"].keys()
            for name, value in environment.items():
                assert "PASSWORD" not in name or name.endswith("_FILE")
                if name.endswith("_FILE"):
                    assert Path(value).name in service["secrets"]
        ours = compose["services"]["watchword"]
        assert (DEPLOY / ours["build"]["context"] / ours["build"]["dockerfile"]).is_file()
        assert ours["read_only"] is True
        assert ours["cap_drop"] == ["ALL"]


class TestUnit:
    def test_it_is_shut_in(self) -> None:
        """No root, no new privileges, a file system that cannot be written beyond the state folder."""
        unit = configparser.ConfigParser(strict=True, interpolation=None)
        unit.optionxform = str  # type: ignore[assignment,method-assign]
        unit.read_string((DEPLOY / "watchword.service").read_text())
        service = unit["Service"]
        assert service["DynamicUser"] == service["NoNewPrivileges"] == "yes"
        assert service["ProtectSystem"] == "strict"
        assert service["ExecStart"].endswith("watchword serve")
        assert service["KillMode"] == "mixed"  # the parent of workers is told first, and tells them
        check_settings(set(re.findall(r"WATCHWORD_\w+", service["Environment"])))

    def test_systemd_takes_it(self, tmp_path: Path) -> None:
        """Where systemd is, its own checker finds nothing to say."""
        if (checker := shutil.which("systemd-analyze")) is None:
            assert not shutil.which("systemctl"), "systemd without its checker"
            return
        program = tmp_path / "watchword"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        text = (
            (DEPLOY / "watchword.service").read_text().replace("/opt/watchword/bin/watchword", str(program))
        )
        (tmp_path / "watchword.service").write_text(text)
        done = subprocess.run(
            [checker, "verify", str(tmp_path / "watchword.service")], capture_output=True, text=True
        )
        assert "watchword.service" not in done.stderr, done.stderr


async def exported() -> set[str]:
    """Every metric that a server and a guard export."""
    async with open_stage() as stage:
        await play(stage)
        served = (await stage.http.get("/metrics")).text
    guard = Guard("https://auth.example.com", keys=KeySet([Key.generate("ES256")]))
    return set(re.findall(r"^(watchword_\w+)", served + guard.metrics(), re.MULTILINE)) | {
        "watchword_guard_staleness_seconds"  # an offline guard has no news that could be old
    }


async def play(stage: Stage) -> None:
    assert (await stage.http.get("/healthz")).status_code == 200


@pytest.mark.anyio
class TestMonitoring:
    async def test_the_dashboard_shows_what_is_exported(self) -> None:
        """Each expression of each panel names metrics that exist, and each panel has a title and an own place."""
        board = json.loads((DEPLOY / "grafana.json").read_text())
        known = await exported()
        for panel in board["panels"]:
            for target in panel["targets"]:
                names = set(re.findall(r"watchword_\w+", target["expr"]))
                assert names
                assert names <= known, panel["title"]
        places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
        assert len(set(places)) == len(places)
        assert len({panel["title"] for panel in board["panels"]}) == len(places)

    async def test_alerts_watch_what_is_exported(self) -> None:
        """The same for what wakes somebody at night; each says what it means."""
        known = await exported() | {"watchword"}  # the job's own name
        for group in yaml.safe_load((DEPLOY / "alerts.yaml").read_text())["groups"]:
            for rule in group["rules"]:
                assert set(re.findall(r"watchword\w*", rule["expr"])) <= known, rule["alert"]
                assert rule["annotations"]["summary"].endswith(".")

    def test_prometheus_s_file_is_yaml(self) -> None:
        """It names a job for the server and one for the APIs."""
        jobs = yaml.safe_load((DEPLOY / "prometheus.yaml").read_text())["scrape_configs"]
        assert [job["job_name"] for job in jobs] == ["watchword", "apis"]
