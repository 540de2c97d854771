"""``watchword user import`` and ``export``: people in bulk."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from base64 import b64encode
from hashlib import pbkdf2_hmac
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from tests.cli.stage import PASSWORD, Shell

HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
FIREBASE = {
    "signer_key": "c2lnbmVyLWtleS1vZi10aGUtcHJvamVjdA==",
    "salt_separator": "Bw==",
    "rounds": 8,
    "mem_cost": 14,
}


def bring_in(shell: Shell, text: str | bytes, name: str = "people.csv", *options: str) -> dict[str, Any]:
    """Import a file of this content; the report."""
    file = shell.folder / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    done = shell.run("user", "import", name, "--json", *options)
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.exit_code == (1 if report["refused"] else 0)
    return report


def users(shell: Shell) -> dict[str, Any]:
    return {user["email"]: user for user in shell.json("user", "list")}


class TestFiles:
    def test_csv(self, shell: Shell) -> None:
        """A header line, quotes and all; roles by space or comma; a mark at the beginning of the file is none."""
        report = bring_in(
            shell,
            "\ufeffemail,name,username,roles,password_hash,email_verified\r\n"
            f'ada@example.com,"Ada, of L.",ada,user admin,{HASH},true\r\n'
            "bob@example.com,,,,,\r\n",
        )
        assert report == {"added": 2, "present": 0, "refused": [], "dry_run": False}
        found = users(shell)
        assert found["ada@example.com"]["name"] == "Ada, of L."
        assert found["ada@example.com"]["roles"] == ["user", "admin"]
        assert found["ada@example.com"]["email_verified"] is True
        assert found["bob@example.com"]["roles"] == ["user"]

    def test_json_lines(self, shell: Shell) -> None:
        """One object a line; empty lines are nothing."""
        rows = [
            {"email": "ada@example.com", "roles": ["user", "admin"], "password_hash": HASH},
            {"email": "b@x.org"},
        ]
        report = bring_in(shell, "\n\n".join(map(json.dumps, rows)), "people.jsonl")
        assert report["added"] == 2
        assert users(shell)["ada@example.com"]["roles"] == ["user", "admin"]

    def test_firebase(self, shell: Shell) -> None:
        """Its export with the project's parameters; who is disabled there is banned here."""
        export = {
            "users": [
                {
                    "localId": "a",
                    "email": "ada@example.com",
                    "displayName": "Ada",
                    "emailVerified": True,
                    "passwordHash": b64encode(bytes(25)).decode(),
                    "salt": "42xEC-ixf3L2lw==",
                },
                {"localId": "b", "email": "bob@example.com", "disabled": True},
                {"localId": "c", "email": "eve@example.com", "passwordHash": "no base64!", "salt": "AA=="},
                {"localId": "d", "phoneNumber": "+1555"},
            ]
        }
        (shell.folder / "parameters.json").write_text(json.dumps(FIREBASE))
        text = json.dumps(export)
        without = bring_in(shell, text, "export.json")
        assert [fault["line"] for fault in without["refused"]] == [1, 3, 4]
        report = bring_in(shell, text, "export.json", "--firebase-parameters", "parameters.json")
        assert (report["added"], report["present"]) == (1, 1)
        assert [fault["line"] for fault in report["refused"]] == [3, 4]
        assert users(shell)["ada@example.com"]["email_verified"] is True
        assert users(shell)["bob@example.com"]["banned"] is True

    def test_firebase_parameters_that_are_none(self, shell: Shell) -> None:
        """Told before a row is read, and without the key."""
        (shell.folder / "parameters.json").write_text(json.dumps({**FIREBASE, "rounds": "eight"}))
        (shell.folder / "export.json").write_text("[]")
        said = shell.refused("user", "import", "export.json", "--firebase-parameters", "parameters.json")
        assert said == "parameters.json: Expected `int`, got `str` - at `$.rounds`"
        (shell.folder / "parameters.json").write_text('{"x":' + "[" * 3000)
        assert shell.refused(
            "user", "import", "export.json", "--firebase-parameters", "parameters.json"
        ).startswith("parameters.json: ")

    def test_keycloak(self, shell: Shell) -> None:
        """Its export, PBKDF2 and Argon2 hashes; what has another shape is refused and not a crash."""
        pbkdf2 = b64encode(pbkdf2_hmac("sha512", PASSWORD.encode(), b"sixteen-byte-sal", 1000)).decode()
        data = json.dumps({"algorithm": "pbkdf2-sha512", "hashIterations": 1000})
        secret = json.dumps({"salt": b64encode(b"sixteen-byte-sal").decode(), "value": pbkdf2})
        password = {"type": "password", "credentialData": data, "secretData": secret}
        export = {
            "realm": "x",
            "users": [
                {
                    "username": "ada",
                    "email": "ada@example.com",
                    "firstName": "Ada",
                    "lastName": "L.",
                    "emailVerified": True,
                    "credentials": [{"type": "otp"}, password],
                },
                {"username": "bob@example.com", "email": "bob@example.com", "enabled": False},
                {"email": "c@example.com", "credentials": [{**password, "credentialData": "{}"}]},
                {"email": "d@example.com", "credentials": 7},
                "nonsense",
                {"username": 7, "email": "e@example.com"},
            ],
        }
        report = bring_in(shell, json.dumps(export), "realm.json")
        assert report["added"] == 2
        assert [fault["line"] for fault in report["refused"]] == [3, 4, 5, 6]
        assert report["refused"][0]["reason"] == "has a password hash of an unknown form"
        found = users(shell)
        assert (found["ada@example.com"]["name"], found["ada@example.com"]["username"]) == ("Ada L.", "ada")
        assert (found["bob@example.com"]["username"], found["bob@example.com"]["banned"]) == (None, True)

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("people.csv", ""),
            ("people.csv", "name,roles\nAda,user\n"),
            ("people.csv", "email,shoe_size\nada@example.com,38\n"),
            ("people.csv", "email,email\na@example.com,b@example.com\n"),
            ("people.csv", 'email,"na'),
            ("export.json", "{"),
            ("export.json", '{"people": []}'),
            ("export.json", "7"),
            ("people.xlsx", "PK"),
        ],
    )
    def test_a_file_of_no_known_form(self, shell: Shell, name: str, text: str) -> None:
        """Refused as a whole, in one line, and nobody is added."""
        shell.ok("db", "upgrade")
        (shell.folder / name).write_text(text)
        assert shell.refused("user", "import", name)
        assert users(shell) == {}


class TestRefusals:
    def test_each_with_line_and_reason(self, shell: Shell) -> None:
        """The good rows are in, and of each other one it is told where it stands and what is wrong."""
        rows: list[bytes] = [
            b"email,name,username,roles,password_hash,email_verified,banned,ban_reason,banned_until",
            b"good@example.com,,good,,,,,,",
            b"no address,,,,,,,,",
            b",,,,,,,,",
            b"a@example.com,,,pilot,,,,,",
            b"b@example.com,,GOOD,,,,,,",
            b"c@example.com,,,,$2b$04$torn,,,,",
            b"d@example.com,,,,plain text,,,,",
            b"e@example.com,,,,$2b$31$" + b"a" * 53 + b",,,,",
            b"f@example.com,,,,,perhaps,,,",
            b"g@example.com,,,,,,true,,tomorrow",
            b"h@example.com,too,few",
            b"i@example.com,\xff\xfe,,,,,,,",
            b'"j@example.com",a\x1bb,,,,,,,',
            b'k@example.com,"two\nlines",,,,,,,',
            b"l@example.com,,,,,,true,,9999-12-31T23:59:59-01:00",
            b"last@example.com,,,,,,,,",
        ]
        report = bring_in(shell, b"\n".join(rows))
        assert report["added"] == 2
        told = {fault["line"]: fault["reason"] for fault in report["refused"]}
        assert list(told) == [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 17]
        assert told[4] == "email is missing"
        assert told[5] == "roles unknown: pilot"
        assert told[6] == "This user name is taken"
        assert (
            told[7]
            == told[8]
            == told[9]
            == "password_hash is of no known form, torn, or costs too much to verify"
        )
        assert told[10] == "email_verified is neither true nor false"
        assert told[11] == told[17] == "banned_until is not a time with a zone"
        assert told[12] == "has another number of fields than the header"
        assert told[13] == "is not UTF-8"
        assert told[14] == told[16] == "name must be 1 to 200 printable characters"

    def test_json_lines_that_are_none(self, shell: Shell) -> None:
        """Broken JSON, a name twice, unknown and ill-typed members: the line is told, the rest goes on."""
        lines = [
            '{"email": "good@example.com"}',
            "{",
            "[]",
            '{"email": "a@example.com", "email": "b@example.com"}',
            '{"email": "a@example.com", "id": "usr_1"}',
            '{"email": 7}',
            '{"email": "a@example.com", "roles": "admin"}',
            '{"email": "a@example.com", "banned": "yes"}',
            '{"email": null}',
            '{"email": "a@example.com", "banned": true, "ban_reason": "\\ud800"}',
            '{"email": "last@example.com"}',
        ]
        report = bring_in(shell, "\n".join(lines), "people.jsonl")
        assert report["added"] == 2
        assert [fault["line"] for fault in report["refused"]] == [2, 3, 4, 5, 6, 7, 8, 9, 10]

    def test_they_are_talk_for_people(self, shell: Shell) -> None:
        """The sum is data on stdout, the refusals are lines on stderr; no hash is repeated."""
        (shell.folder / "people.csv").write_text(
            "email,password_hash\nada@example.com,a-plain-password\nb@example.com,\n"
        )
        done = shell.run("user", "import", "people.csv")
        assert (done.exit_code, done.stdout) == (1, "1 added, 0 already there, 1 refused\n")
        assert done.stderr.startswith("line 2: password_hash is of no known form")
        assert "a-plain-password" not in done.output


class TestAgain:
    ROWS = "email,username,roles\nada@example.com,ada,user\nbob@example.com,bob,pilot\nADA@example.com,eve,user\n"

    def test_a_second_run_changes_nothing(self, shell: Shell) -> None:
        """Who is there stays as he is, even where the file says otherwise; one user twice in a file is one user."""
        assert bring_in(shell, self.ROWS)["added"] == 1
        shell.ok("user", "ban", "ada@example.com")
        report = bring_in(shell, self.ROWS)
        assert (report["added"], report["present"], len(report["refused"])) == (0, 2, 1)
        assert users(shell)["ada@example.com"]["banned"] is True

    def test_a_dry_run_foresees_the_real_one(self, shell: Shell) -> None:
        """The same report for the same file, refusals and doubles included, and nothing is written."""
        shell.ok("db", "upgrade")
        more = "carl@example.com,ADA,user\ndora@example.com,dora,user\neve@example.com,Dora,user\n"
        dry = bring_in(shell, self.ROWS + more, "people.csv", "--dry-run")
        assert users(shell) == {}
        real = bring_in(shell, self.ROWS + more)
        assert dry == {**real, "dry_run": True}
        assert [fault["line"] for fault in real["refused"]] == [3, 5, 7]

    def test_an_interrupted_run_is_finished_by_the_same_command(self, shell: Shell) -> None:
        """Ctrl-C in the middle: what is in is in; again, and all are in, each once."""
        emails = [f"user{number}@example.com" for number in range(8000)]
        (shell.folder / "people.csv").write_text("email\n" + "\n".join(emails) + "\n")
        child = subprocess.Popen(
            [sys.executable, "-m", "watchword", "user", "import", "people.csv"],
            cwd=shell.folder,
            env=shell.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert child.stderr is not None
        assert child.stderr.readline() == "rows: 1000 of 8001\n"
        child.send_signal(signal.SIGINT)
        said = child.communicate(timeout=60)
        assert (child.returncode, said[0]) == (1, "")
        assert said[1].splitlines()[-1].endswith(" added so far; the same command goes on from here")
        before = len(users(shell))
        assert 1000 <= before < 8000
        report = shell.json("user", "import", "people.csv")
        assert (report["added"], report["present"]) == (8000 - before, before)
        assert users(shell).keys() == set(emails)
        assert shell.json("db", "check")["ok"]


class TestExport:
    def test_a_round_trip(self, shell: Shell, tmp_path: Path) -> None:
        """What one server exports, hashes and bans included, another imports and exports again, equal."""
        rows = [
            {"email": "ada@example.com", "name": "Ada", "username": "Ada", "roles": ["user", "admin"]},
            {"email": "bob@example.com", "roles": ["user"], "password_hash": HASH, "email_verified": True},
            {"email": "eve@example.com", "roles": ["user"], "banned": True, "ban_reason": "left us"},
            {
                "email": "mal@example.com",
                "roles": ["user"],
                "banned": True,
                "banned_until": "2199-12-31T00:00:00Z",
            },
        ]
        assert bring_in(shell, "\n".join(map(json.dumps, rows)), "people.jsonl")["added"] == 4
        first = shell.ok("user", "export", "--with-password-hashes").stdout
        assert [json.loads(line) for line in first.splitlines()] == [
            {"email_verified": False, "created_at": json.loads(line)["created_at"], **row}
            for row, line in zip(rows, first.splitlines(), strict=True)
        ]
        (shell.folder / "moved.jsonl").write_text(first)
        shell.ok("user", "import", "moved.jsonl", "--data-dir", "other")
        assert shell.ok("user", "export", "--with-password-hashes", "--data-dir", "other").stdout == first

    def test_hashes_only_when_asked_for(self, shell: Shell) -> None:
        """A list of users is no list of hashes."""
        shell.create("ada@example.com")
        assert "argon2" not in shell.ok("user", "export").stdout
        assert "$argon2id$" in shell.ok("user", "export", "--with-password-hashes").stdout

    def test_json_is_one_array(self, shell: Shell) -> None:
        """For programs that want a document; empty when there is nobody."""
        shell.ok("db", "upgrade")
        assert shell.json("user", "export") == []
        for name in ("ada", "bob"):
            shell.create(f"{name}@example.com")
        assert [user["email"] for user in shell.json("user", "export")] == [
            "ada@example.com",
            "bob@example.com",
        ]


class TestForms:
    """A JSON file is read in the form that it has, and nothing that closes an account gets lost."""

    ROWS = (
        {
            "email": "ada@example.com",
            "name": "Ada",
            "username": "Ada",
            "roles": ["user", "admin"],
            "password_hash": HASH,
            "email_verified": True,
            "created_at": "2019-05-04T03:02:01Z",
        },
        {
            "email": "eve@example.com",
            "roles": [],
            "email_verified": False,
            "created_at": "2020-01-01T00:00:00Z",
            "banned": True,
            "ban_reason": "left us",
            "banned_until": "2199-12-31T00:00:00Z",
        },
    )

    @pytest.mark.parametrize("name", ["all.json", "all.jsonl"])
    def test_f_b01_every_export_is_an_import(self, shell: Shell, name: str) -> None:
        """Both forms of our export carry every member to another server, which exports the same."""
        options = ["--with-password-hashes", *(["--json"] if name == "all.json" else [])]
        assert bring_in(shell, json.dumps(self.ROWS), "start.json")["added"] == 2
        first = shell.ok("user", "export", *options).stdout
        assert [json.loads(line) for line in first.splitlines()] in ([list(self.ROWS)], list(self.ROWS))
        report = bring_in(shell, first, name, "--data-dir", "other")
        assert report == {"added": 2, "present": 0, "refused": [], "dry_run": False}
        assert shell.ok("user", "export", *options, "--data-dir", "other").stdout == first

    def test_f_b01_a_list_without_a_mark_of_another_program(self, shell: Shell) -> None:
        """It is ours: a ban holds, a mark at the beginning of the file is none, an unknown member refuses its row."""
        rows = [
            {"email": "a@example.com", "banned": True},
            {"email": "b@example.com", "banned_until": "2199-12-31T00:00:00Z"},
            {"email": "c@example.com", "firstName": "Cleo", "emailVerified": True},
            "nonsense",
        ]
        report = bring_in(shell, "\ufeff" + json.dumps(rows), "people.json")
        assert report["added"] == 2
        assert [fault["line"] for fault in report["refused"]] == [3, 4]
        assert report["refused"][0]["reason"] == (
            "firstName is not a member of a user; emailVerified is not a member of a user"
        )
        assert [user["banned"] for user in users(shell).values()] == [True, True]

    CLOSED: tuple[tuple[str, Any], ...] = (
        ("disabled", True),
        ("enabled", False),
        ("is_active", False),
        ("isActive", "f"),
        ("blocked", True),
        ("locked_until", "2199-12-31T00:00:00Z"),
        ("deleted_at", "2024-01-01T00:00:00Z"),
        ("suspended", 1),
        ("archived", "yes"),
        ("status", "blocked"),
        ("banExpires", 4102444800),
        ("ban_reason", "left us"),
    )

    def test_f_s7_slow_hashes_are_named(self, shell: Shell) -> None:
        """How many, and how long a check takes: the import is the moment to know it."""
        shell.ok("db", "upgrade")
        rows = [
            {"email": f"{n}@example.com", "password_hash": f"pbkdf2_sha256${rounds}$salt${'A' * 43}="}
            for n, rounds in enumerate((5_000_000, 2_500_000, 100_000))
        ]
        (shell.folder / "people.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        done = shell.ok("user", "import", "people.jsonl", "--dry-run")
        told = "slow hashes: up to 2.0 s to check, of 2 users; the first login of each replaces it"
        assert told in done.stderr.splitlines()
        done = shell.ok("user", "import", "people.jsonl", "--json")
        assert json.loads(done.stdout)["slow_hashes"] == {"users": 2, "seconds": 2.0}

    @pytest.mark.parametrize("form", ["csv", "jsonl", "json", "firebase", "keycloak", "claims", "attributes"])
    def test_f_b01_what_closes_an_account_is_never_passed_over(self, shell: Shell, form: str) -> None:
        """In every form of a file: the row is refused or the user banned, and nobody comes in active."""
        shell.ok("db", "upgrade")
        for number, (member, value) in enumerate(self.CLOSED):
            if member == "status" and form in ("claims", "attributes"):
                continue  # a word for much else; it is named among what is left out
            email = f"ada{number}@example.com"
            user: dict[str, Any] = {"email": email, member: value}
            name = "people.json"
            match form:
                case "csv":
                    given, name = f"email,{member}\n{email},{value}\n", "people.csv"
                case "jsonl":
                    given, name = json.dumps(user), "people.jsonl"
                case "json":
                    given = json.dumps([user])
                case "firebase":
                    given = json.dumps({"users": [{"localId": "a", **user}]})
                case "claims":
                    claims = json.dumps({member: value})
                    given = json.dumps(
                        {"users": [{"localId": "a", "email": email, "customAttributes": claims}]}
                    )
                case "keycloak":
                    given = json.dumps([{"username": "ada", "enabled": True, **user}])
                case _:
                    attributes = {member: [value]}
                    given = json.dumps(
                        [{"username": "ada", "enabled": True, "email": email, "attributes": attributes}]
                    )
            (shell.folder / name).write_text(given)
            done = shell.run("user", "import", name)
            found = users(shell).get(email)
            assert (done.exit_code != 0) == (found is None), member
            assert found is None or found["banned"] is True, member

    def test_f_b01_what_is_left_out_is_named(self, shell: Shell) -> None:
        """Members that aren't carried over are told with their count instead of "0 refused"."""
        more = {
            "realmRoles": ["boss"],
            "groups": ["/staff"],
            "attributes": {},
            "credentials": [{"type": "otp"}],
        }
        people = [
            {
                "username": "ada",
                "enabled": True,
                "email": "ada@example.com",
                "createdTimestamp": 1556938921000,
                **more,
            },
            {
                "username": "bob",
                "enabled": False,
                "email": "bob@example.com",
                "groups": ["/staff"],
                "totp": False,
            },
            {"username": "eve", "enabled": "false", "email": "eve@example.com"},
        ]
        (shell.folder / "people.json").write_text(json.dumps(people[:2]))
        shell.ok("db", "upgrade")
        done = shell.ok("user", "import", "people.json", "--dry-run")
        assert done.stdout == "2 would be added, 2 of them without all they had, 0 already there\n"
        assert done.stderr.splitlines() == [
            "left out: credentials.otp of 1 user",
            "left out: groups of 2 users",
            "left out: realmRoles of 1 user",
        ]
        report = bring_in(shell, json.dumps(people), "people.json")
        assert (report["incomplete"], report["left_out"]) == (
            2,
            {"credentials.otp": 1, "groups": 2, "realmRoles": 1},
        )
        assert report["refused"] == [{"line": 3, "reason": "enabled is not true or false"}]
        found = users(shell)
        assert found["ada@example.com"]["created_at"] == "2019-05-04T03:02:01Z"
        assert found["bob@example.com"]["banned"] is True

    def test_f_b01_users_who_exist_keep_what_they_are(self, shell: Shell) -> None:
        """No import lifts a ban or sets one: a row that would ban somebody who exists is refused, by a dry run too."""
        shell.create("ada@example.com", "--role", "admin")
        shell.create("bob@example.com")
        shell.ok("user", "ban", "bob@example.com")
        rows = [
            {"email": "ada@example.com", "banned": True},
            {"email": "bob@example.com", "roles": ["user", "admin"]},
            {"email": "carl@example.com"},
            {"email": "carl@example.com", "banned": True},
        ]
        before = users(shell)
        for options in (["--dry-run"], []):
            report = bring_in(shell, json.dumps(rows), "people.json", *options)
            assert (report["added"], report["present"]) == (1, 1)
            assert [fault["line"] for fault in report["refused"]] == [1, 4]
        after = users(shell)
        assert {email: after[email] for email in before} == before
        assert after["carl@example.com"]["banned"] is False
