"""Attacks in the header of a token: keys it brings, names, extensions, types (A08 to A10, A12 to A14)."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.attacks.api import ask, refused
from tests.guard.stage import run
from tests.jose.forge import claims, header, private, text, token
from watchword.jose.jwk import Key

MALLORY = Key.generate("ES256")


def brought(parameter: str, url: str = "https://mallory.example/keys") -> Any:
    """What Mallory writes into *parameter* so that his own key be used."""
    return {
        "jwk": MALLORY.public_jwk(),
        "x5c": ["MIIBszCCAVmgAwIBAgIUQ" + "A" * 200],
        "jku": url,
        "x5u": url,
        "x5t": "AAAA",
        "x5t#S256": "AAAA",
    }[parameter]


class TestKeys:
    @pytest.mark.parametrize("parameter", ["jwk", "x5c", "jku", "x5u", "x5t", "x5t#S256"])
    @pytest.mark.parametrize("kid", ["mallory", "ours", "none"])
    def test_attack_a08_a_key_that_came_with_the_token(self, parameter: str, kid: str) -> None:
        """Under a name of its own, under ours, under no name."""
        named = {"mallory": MALLORY.kid, "ours": private("ES256").kid, "none": None}[kid]
        members = header(MALLORY, kid=named, **{parameter: brought(parameter)})
        assert refused(token(members, claims(), key=MALLORY))
        assert ask(token(header(**{parameter: brought(parameter)}), claims())).status == 200

    def test_attack_a08_an_embedded_private_or_symmetric_key(self) -> None:
        """The secret is in the token; it opens nothing."""
        mac = Key.from_secret(b"m" * 32)
        for key in (MALLORY, mac):
            assert refused(token(header(key, jwk=key.private_jwk()), claims(), key=key))


@pytest.fixture(scope="module")
def canary() -> Iterator[tuple[str, list[str]]]:
    """A server that must never be asked; what was asked of it."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()
    thread.join()


class TestRequests:
    def test_attack_a09_nothing_leaves_the_process(self, canary: tuple[str, list[str]]) -> None:
        """Tokens full of addresses, judged by an interpreter that writes down whatever it opens."""
        url, asked = canary
        addresses = [
            f"{url}/jwks",
            f"{url}@x.example/",
            "file:///etc/passwd",
            "data:,x",
            "gopher://x",
            "//x",
            "\\\\x\\y",
        ]
        tokens = [
            token(header(key, **{parameter: address}), claims(iss=address), key=key)
            for parameter in ("jku", "x5u", "kid", "iss")
            for address in addresses
            for key in (MALLORY, private("ES256"))
        ]
        tokens.append(token(header(), claims(sub="usr_eve")))
        program = f"""
import sys
from watchword import Guard, InvalidToken
keys = {{"keys": [{private("ES256").public_jwk()!r}]}}
guard = Guard({claims()["iss"]!r}, keys=keys, clock=lambda: {claims()["iat"]})
tokens = {tokens!r}
guard.verify(tokens[-1])
seen, refused = [], 0
armed = True
def hook(event, arguments):
    if armed and event.split(".")[0] in ("socket", "open", "subprocess", "os", "urllib", "http", "ssl",
    "import"):
        seen.append((event, str(arguments)[:80]))
sys.addaudithook(hook)
for token in tokens:
    try:
        guard.verify(token)
    except InvalidToken:
        refused += 1
armed = False
print(refused, seen)
"""
        assert run(program) == f"{len(tokens) - 1} []"
        assert asked == []


class TestNames:
    @pytest.mark.parametrize(
        "kid",
        [
            "../../../../dev/null", "/proc/self/environ", "..\\..\\x", "x' OR '1'='1",
            "x'; DROP TABLE keys; --",
            "x' UNION SELECT 'secret", "key\0", "\0", "a\r\nX-Injected: 1", "*)(uid=*))(|(uid=*", "$(id)",
            "`id`", "| id",
            "{{7*7}}", "${jndi:ldap://x}", "http://127.0.0.1/", "k" * 257, "k" * 5500, "é", "\u202e", "",
            1, 1.5, True, None, [], ["a"], {}, {"$ne": ""}, [["a"]],
        ],
    )  # fmt: skip
    def test_attack_a10_a_name_that_is_a_trick(self, kid: Any) -> None:
        """Paths, queries, commands, templates, other types, 5 kB: none of it names a key, whoever signed."""
        for key in (MALLORY, private("ES256")):
            assert refused(token({**header(key), "kid": kid}, claims(), key=key))

    def test_attack_a10_a_name_close_to_ours(self) -> None:
        """Case, space, prefix and NUL make another name."""
        name = private("ES256").kid
        for kid in (name.swapcase(), name + " ", " " + name, name[:-1], name + "\0", name + "=", [name]):
            assert refused(token({**header(), "kid": kid}, claims()))


class TestCritical:
    @pytest.mark.parametrize(
        "more",
        [
            {"crit": []},
            {"crit": None},
            {"crit": "x", "x": 1},
            {"crit": {"x": 1}, "x": 1},
            {"crit": 1},
            {"crit": True},
            {"crit": [1]},
            {"crit": [None]},
            {"crit": ["x"]},
            {"crit": ["x"], "x": 1},
            {"crit": ["x", "x"], "x": 1},
            {"crit": ["alg"]},
            {"crit": ["typ", "kid"]},
            {"crit": ["crit"]},
            {"crit": ["jwk"], "jwk": {}},
            {"crit": ["exp"], "exp": 1},
            {"crit": ["b64"], "b64": True},
            {"crit": ["b64"], "b64": False},
            {"b64": False},
            {"crit": [""], "": 1},
            {"crit": ["http://example.com/UNDEFINED"], "http://example.com/UNDEFINED": True},
        ],
    )
    def test_attack_a12_what_nobody_understands(self, more: dict[str, Any]) -> None:
        """Unknown, absent, empty, no array, twice, a standard name: the token is refused though well signed."""
        assert refused(token({**header(), **more}, claims()))


class TestTypes:
    @pytest.mark.parametrize(
        "typ",
        ["JWT", "id+jwt", "logout+jwt", "dpop+jwt", "secevent+jwt", "statuslist+jwt", "token-introspection+jwt",
         "watchword-revocations+jwt", "oauth-authz-req+jwt", "client-authentication+jwt", "at", "at+jwt+x",
         "at+jwt\0",
         "at+jwt ", "application/jwt", "", "*/*", "at+jwt,JWT", 1, None, True, [], ["at+jwt"], {"at+jwt": 1}],
    )  # fmt: skip
    def test_attack_a13_another_token_of_the_same_issuer(self, typ: Any) -> None:
        """An ID token, a logout token, a DPoP proof, an event: well signed, and no access token."""
        assert refused(token({**header(), "typ": typ}, claims()))
        assert refused(token(header(typ=None), claims()))


class TestDuplicates:
    @pytest.mark.parametrize(
        ("spoil", "by"),
        [
            (b'"alg":"none",', "header"),
            (b'"\\u0061lg":"none",', "header"),
            (b'"kid":"x",', "header"),
            (b'"typ":"JWT",', "header"),
            (b'"x":{"a":1,"a":2},', "header"),
            (b'"sub":"usr_eve",', "payload"),
            (b'"\\u0073ub":"usr_eve",', "payload"),
            (b'"s\\u0075\\u0062":"usr_eve",', "payload"),
            (b'"exp":1,', "payload"),
            (b'"roles":["admin"],"roles":[],', "payload"),
            (b'"act":{"sub":"a","sub":"b"},', "payload"),
            (b'"x":[{"a":1,"\\u0061":2}],', "payload"),
        ],
    )
    def test_attack_a14_a_name_twice(self, spoil: bytes, by: str) -> None:
        """First or last, escaped or deep inside: two readers would see two tokens."""
        head, body = text(header()), text(claims())
        for first in (True, False):
            if by == "header":
                other = b"{" + spoil + head[1:] if first else head[:-1] + b"," + spoil[:-1] + b"}"
                assert refused(token(other, body))
            else:
                other = b"{" + spoil + body[1:] if first else body[:-1] + b"," + spoil[:-1] + b"}"
                assert refused(token(head, other))
        assert ask(token(head, body)).status == 200
