"""Nothing that a store answers for is tested on one ground alone: the ids of the tests themselves say so."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests.model.planted import FAULTS
from tests.server.ephemeral import conformance as counters
from tests.server.stage import GROUNDS
from tests.server.store import conformance as store

TOP = Path(__file__).resolve().parent.parent
NODES = GROUNDS[1:]

MODULES = {
    # sessions: log-in, refresh, log-out, kills, pairs, limits
    "tests/server/endpoints/test_login.py": GROUNDS,
    "tests/server/endpoints/test_account.py": GROUNDS,
    "tests/server/endpoints/test_api_keys.py": GROUNDS,
    "tests/server/endpoints/test_basic_session.py": GROUNDS,
    "tests/server/login/test_attempts.py": GROUNDS,
    "tests/server/tokens/test_deaths.py": GROUNDS,
    "tests/server/test_services.py": GROUNDS,
    # races over real sockets, and what was acknowledged when a process is killed
    "tests/system/test_race.py": GROUNDS,
    "tests/system/test_crash.py": GROUNDS,
    # keys and the feed, with a real guard over a real socket, too
    "tests/server/keys/test_ring.py": GROUNDS,
    "tests/server/feed/test_feed.py": GROUNDS,
    "tests/server/feed/test_channel.py": GROUNDS,
    "tests/server/endpoints/test_documents.py": GROUNDS,
    "tests/guard/test_server.py": GROUNDS,
    # several nodes; on SQLite they are the workers of tests/system/test_workers.py
    "tests/server/test_nodes.py": NODES,
    # a store never speaks to Valkey: its exam has two nodes on PostgreSQL, and counters have an exam of their own
    "tests/server/store/test_conformance.py": ("memory", "file", "handed", "postgres+"),
    "tests/server/ephemeral/test_conformance.py": ("memory", "handed", "postgres", "valkey"),
}
ELSEWHERE = {
    "test_auto_is_full_on_loopback_alone": "settings alone",
    "test_what_cannot_be_stops_the_start": "settings alone",
    "test_a_bad_secret_stops_the_start": "settings alone",
    "test_a_span_too_short_stops_the_start": "settings alone",
    "test_races_of_two_processes": "one file, two processes: nothing else is shared so",
}


@pytest.fixture(scope="module")
def collected() -> dict[str, dict[str, set[str]]]:
    """Module → test → the parts of its parameters, as pytest collects them."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "--collect-only",
            "-m",
            "not long",
            "-p",
            "no:xdist",
            *MODULES,
            "tests/model",
        ],
        cwd=TOP,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for line in done.stdout.splitlines():
        module, _, test = line.partition("::")
        if test:
            name, _, parameters = test.partition("[")
            found[module][name.rpartition("::")[2]] |= set(parameters.removesuffix("]").split("-"))
    return found


class TestGrounds:
    @pytest.mark.parametrize("module", MODULES)
    def test_every_test_runs_on_every_ground(
        self, collected: dict[str, dict[str, set[str]]], module: str
    ) -> None:
        """Each of the module, on SQLite, on PostgreSQL, and on PostgreSQL with Valkey."""
        tests = {name: on for name, on in collected[module].items() if name not in ELSEWHERE}
        assert tests
        missing = {name: set(MODULES[module]) - on for name, on in tests.items() if set(MODULES[module]) - on}
        assert missing == {}

    def test_every_case_of_the_exams_is_sat(self, collected: dict[str, dict[str, set[str]]]) -> None:
        """None is left out of the lists that the tests walk."""
        for module, cases in (("store", store.CASES), ("ephemeral", counters.CASES)):
            on = collected[f"tests/server/{module}/test_conformance.py"]["test_every_case"]
            assert {case.__name__ for case in cases} <= on

    def test_the_model_is_played_on_each(self, collected: dict[str, dict[str, set[str]]]) -> None:
        """Interleavings and restores: in memory and on a file, and on both grounds that nodes share."""
        model = collected["tests/model/test_model.py"]
        assert {"test_no_token_outlives_its_death", "test_a_restored_backup_pardons_nobody"} <= model.keys()
        assert set(NODES) <= model["test_nodes_share_what_it_stands_on"]
        assert set(GROUNDS) <= model["test_a_seed_plays_the_same_again"]
        planted = collected["tests/model/test_planted.py"]["test_a_planted_fault_is_found"]
        assert {*GROUNDS, *map(str, FAULTS)} <= planted

    def test_nothing_of_them_is_skipped(self) -> None:
        """No mark and no call stands in these files that would leave a test out."""
        for path in (
            *MODULES,
            "tests/model/test_model.py",
            "tests/model/test_planted.py",
            "tests/databases.py",
        ):
            text = (TOP / path).read_text()
            found = [word for word in ("pytest.skip", "mark.skip", "importorskip", "xfail") if word in text]
            assert found == [], path
