"""What was acknowledged survives whatever happens to the process (R-01, R-02)."""

from __future__ import annotations

import random
import signal
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.mission.stage import Server, start_server
from tests.system.load import Crowd
from tests.system.restart import Restarts
from watchword import Guard


@pytest.fixture
def server(tmp_path: Path, ground: dict[str, str]) -> Server:
    # A refresh whose answer the kill swallowed is asked for again, however slow the machine is to come back.
    return start_server(
        tmp_path / "server",
        WATCHWORD_REGISTRATIONS_PER_ADDRESS="0",
        WATCHWORD_PASSWORD_HASH="test",
        WATCHWORD_REFRESH_REUSE_GRACE="5m",
        **ground,
    )


@dataclass
class Kills:
    """What a server was killed in the middle of, and what of it was still there afterwards."""

    acknowledged: int = 0
    lost: list[str] = field(default_factory=list)
    restarts: Restarts = field(default_factory=Restarts)

    def __str__(self) -> str:
        return (
            f"{len(self.restarts.cpu)} kills, {self.acknowledged} acknowledged writes,"
            f" {len(self.lost)} lost; {self.restarts}"
        )


def kill_and_look(server: Server, rounds: int, seed: int) -> Kills:
    """Kill the server under load *rounds* times, and look each time for every effect it had acknowledged."""
    chance, kills = random.Random(seed), Kills()
    for number in range(rounds):
        operator = server.administrator(audience=server.url).tokens["access_token"]
        crowd = Crowd(server, operator)
        crowd.start(workers=6, enough=chance.randint(20, 120))
        assert crowd.enough.wait(60), server.process.log.read_text()
        child = server.process.child
        assert child is not None
        child.send_signal(signal.SIGKILL)
        child.wait()
        crowd.join()
        assert crowd.unexpected == []
        checked = server.manage("db", "check")
        assert checked == {"ok": True, "problems": []}, f"round {number}, seed {seed}"
        kills.restarts.begin(server.process, "/readyz")
        guard = Guard(server.url)
        try:
            guard.refresh()
            kills.lost += [f"round {number}, seed {seed}: {what}" for what in crowd.lost(guard)]
        finally:
            guard.close()
        kills.acknowledged += crowd.acknowledged
    return kills


class TestKill:
    def test_nothing_acknowledged_is_lost(self, server: Server) -> None:
        """SIGKILL under load: every answered registration, refresh, log-out, ban and new password still holds."""
        kills = kill_and_look(server, rounds=2, seed=1)
        assert kills.lost == []
        assert kills.acknowledged > 0
        assert server.process.stop() == 0

    @pytest.mark.long
    def test_r_01_nothing_acknowledged_is_lost_in_two_hundred_kills(
        self, server: Server, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The same, two hundred times; each time it is back within two seconds of CPU time."""
        kills = kill_and_look(server, rounds=200, seed=2)
        with capsys.disabled():
            print(f"\n{kills}")
        assert kills.lost == []
        assert (len(kills.restarts.cpu), kills.acknowledged > 0) == (200, True)
        assert max(kills.restarts.cpu) <= 2
        assert server.process.stop() == 0
