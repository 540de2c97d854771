"""A guard goes on only in the log it knows: the same length may be another past."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.guard.stage import ISSUER, kill
from tests.guard.test_knowledge import Ear
from watchword import InvalidToken
from watchword.guard.snapshot import Kept, SnapshotFile
from watchword.protocol.revocation_list import Received, RevocationList


@pytest.fixture
def ear() -> Ear:
    found = Ear()
    found.hear(kill(5, "session", "ses_9"), mark="five")
    return found


class TestMarks:
    def test_f_n1_a_delta_of_another_past_moves_nothing(self, ear: Ear) -> None:
        """Its entries count all the same; what lies between has to be asked for, and is told as an alarm."""
        token = ear.token()
        told = {"after": 5, "sequence": 7, "after_mark": "other", "mark": "seven"}
        assert ear.hear(kill(7, "session", "ses_1"), **told) == "gap"
        assert (ear.known.sequence, ear.known.mark, ear.known.alarms) == (5, "five", 1)
        with pytest.raises(InvalidToken):
            token()
        assert ear.hear(kill(6, "session", "ses_2"), sequence=7, mark="seven") == "fresh"
        assert (ear.known.sequence, ear.known.mark) == (7, "seven")

    def test_f_n1_a_delta_of_this_past_goes_on(self, ear: Ear) -> None:
        """From where the guard is, and from where it was."""
        assert ear.hear(after=5, after_mark="five", sequence=6, mark="six") == "fresh"
        assert ear.hear(after=5, after_mark="five", sequence=8, mark="eight") == "fresh"
        assert ear.hear(after=7, after_mark="seven", sequence=8, mark="eight") == "fresh"
        assert ear.hear(after=7, after_mark="seven", sequence=9, mark="nine") == "gap"
        assert ear.hear(after=5, after_mark="another", sequence=9, mark="nine") == "gap"
        assert ear.known.alarms == 1

    def test_f_n1_an_older_server_says_no_marks(self, ear: Ear) -> None:
        """Its messages count as they did; a newer one that names no mark for where it begins does not."""
        assert ear.hear(after=5, sequence=6) == "fresh"
        assert ear.known.mark == ""
        assert ear.hear(after=6, after_mark="six", sequence=7, mark="seven") == "fresh"
        assert ear.hear(after=7, sequence=8, mark="eight") == "gap"

    def test_f_n1_it_asks_with_the_mark_it_knows(self, ear: Ear) -> None:
        """An older server passes over what it does not know."""
        assert ear.known.position == "?after=5&mark=five"
        ear.hear(after=5, sequence=6)
        assert ear.known.position == "?after=6"
        assert Ear().known.position == ""

    def test_f_n1_an_older_guard_reads_the_messages(self) -> None:
        """It knows neither member, and passes over both."""

        class Old(msgspec.Struct, kw_only=True):
            iss: str
            epoch: int
            after: int
            sequence: int

        message = RevocationList(
            iss=ISSUER, epoch=1, after=2, sequence=3, iat=1, kids=(), mark="m", after_mark="a"
        )
        assert msgspec.json.decode(msgspec.json.encode(message), type=Old).sequence == 3


class TestSnapshotFile:
    def kept(self, sequence: int, mark: str, iat: float) -> Kept:
        message = RevocationList(iss=ISSUER, epoch=1, after=0, sequence=sequence, iat=iat, kids=(), mark=mark)
        return Kept(message=message)

    @pytest.mark.parametrize(
        ("sequence", "mark", "iat", "replaces"),
        [
            (6, "six", 9, True),
            (5, "five", 11, True),
            (5, "five", 9, False),
            (4, "four", 9, False),
            (4, "another", 41, True),
            (4, "another", 39, False),
            (5, "another", 41, True),
            (4, "", 11, False),
        ],
    )
    def test_f_n1_what_stands_now_replaces_another_past(
        self, tmp_path: Path, sequence: int, mark: str, iat: float, replaces: bool
    ) -> None:
        """A log that was rolled back is shorter, and said later: a file kept because it is longer would be stale."""
        file = SnapshotFile(tmp_path / "snapshot", ISSUER)
        assert file.write(self.kept(5, "five", 10))
        assert file.write(self.kept(sequence, mark, iat)) is replaces

    def test_f_n1_a_position_is_kept_with_its_mark(self, tmp_path: Path, ear: Ear) -> None:
        """After a restart the guard asks for what came since, in the log that it knew."""
        file = SnapshotFile(tmp_path / "snapshot", ISSUER)
        file.write(Kept(message=ear.known.export()))
        found: Any = file.read()
        assert isinstance(found.message, Received)
        fresh = Ear()
        fresh.known.restore(found.message, keys=(), retired=())
        assert fresh.known.position == "?after=5&mark=five"
