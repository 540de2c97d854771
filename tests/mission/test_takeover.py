"""Accounts that began elsewhere."""

from __future__ import annotations

from pathlib import Path

import bcrypt

from tests.mission.stage import PASSWORD, Server


class TestTakeover:
    def test_s76_accounts_of_an_express_application_move_over(self, server: Server, tmp_path: Path) -> None:
        """Its table as CSV, with the ``$2a$`` and ``$2b$`` hashes of bcryptjs: everybody keeps his password."""
        people = {}
        for number, prefix in enumerate((b"2a", b"2b")):
            salt = bcrypt.gensalt(5, prefix=prefix)
            people[f"express{number}@example.com"] = bcrypt.hashpw(PASSWORD.encode(), salt).decode()
        table = tmp_path / "users.csv"
        rows = [f"{email},{digest}" for email, digest in people.items()]
        table.write_text(
            "\n".join(["email,password_hash", *rows, "broken@example.com,5f4dcc3b5aa765d6"]) + "\n"
        )
        done = server.cli("user", "import", str(table))
        assert (done.returncode, done.stdout) == (1, "2 added, 0 already there, 1 refused\n")
        assert done.stderr.startswith("line 4: password_hash ")
        for email in people:
            assert server.post_login(email=email, password="something-else").status_code == 401
            assert server.post_login(email=email, password=PASSWORD).status_code == 200
        export = server.cli("user", "export", "--with-password-hashes").stdout
        assert not [digest for digest in people.values() if digest in export], "each log-in replaced one"
