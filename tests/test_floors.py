"""The house: which room may import which. Imports run down, never up and never in a circle.

The table reads from the ground upward; a room may name rooms above it in this list, none below. A new
arrow is a decision: it is added here with its reason, and an arrow that cannot be added is a wrong wall.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources import tree_of

SOURCE = Path(__file__).resolve().parent.parent / "src"
LONGEST_FILE = 400
HOMELESS = {"base", "common", "core", "helper", "helpers", "manager", "misc", "util", "utils"}
LIGHT_WING = ("watchword", "errors", "jose", "protocol", "guard", "frameworks", "testing")
LIGHT_PACKAGES = {"cryptography", "msgspec", "click", "watchword"}
OF_ONE_FILE = {  # a face names its own framework and what that is built on, and nothing else of the light wing does
    "watchword.frameworks.starlette": {"starlette"},
    "watchword.frameworks.fastapi": {"starlette", "fastapi"},
    "watchword.frameworks.flask": {"flask", "werkzeug"},
    "watchword.frameworks.django": {"django", "asgiref"},
    "watchword.frameworks.rest_framework": {"django", "rest_framework"},
    "watchword.frameworks.spectacular": {"drf_spectacular"},
    "watchword.frameworks.litestar": {"litestar"},
    "watchword.testing.plugin": {"pytest"},
    # the extra [signatures]; a guard imports it where it was told its origin
    "watchword.protocol.signature": {"http_message_signatures", "http_sf"},
    "watchword.jose.jwe": {"joserfc"},  # imported where a key for encryption is given, and nowhere else
}

SERVER_GROUND = {"errors", "jose", "protocol"}

ROOMS: dict[str, set[str]] = {
    # the foundation: all that the two wings share
    "errors": set(),
    "jose": {"errors"},
    "protocol": {"errors", "jose"},
    # the light wing
    "guard": {"errors", "jose", "protocol"},
    "frameworks": {"errors", "protocol", "guard"},  # protocol: the challenge and the problem document
    # a pretend issuer signs what a real one signs, and its guards are real ones
    "testing": {"errors", "jose", "protocol", "guard"},
    "watchword": {"errors", "guard"},  # the face: what `import watchword` offers
    # the server's tools
    "server": set(),  # the package itself: one sentence
    "server.store.records": SERVER_GROUND,  # plain data: any room of the server may name a record
    "server.ephemeral": set(),
    "server.threads": set(),  # threads for what would hold the loop
    # a database keeps the counters of nodes that share nothing else, and the process that writes those of its workers
    "server.store": {"server.store.records", "server.ephemeral", "server.threads"},
    "server.policies": {"server.store.records"},  # policies hand their rules to the store's intentions
    # body limits, origins and trusted peers come from the policies; connections are counted by network
    "server.web": {"server.policies", "server.ephemeral"},
    # where mail goes, how patiently, and how much of it to one mailbox
    "server.outbox": {"server.policies", "server.ephemeral"},
    "server.parsing": set(),  # how a setting's text is read
    "server.sources": set(),  # where settings stand
    "server.knobs": {"server.parsing"},  # which settings there are
    "server.coherence": set(),  # which settings go together
    "server.settings": {
        "server.knobs",
        "server.parsing",
        "server.sources",
        "server.policies",
        "server.coherence",
    },
    "server.aliases": set(),  # an ASGI wrapper: it knows paths and members, no room
    # the domain: it alone touches the store
    "server.keys": {"server.store", "server.policies"},
    # the revocation log, as this node has read it and sends it to guards
    "server.feed": {"server.store", "server.keys", "server.policies"},
    # a refresh token that is known to be spent is counted; a caller's token is looked up in the feed
    "server.tokens": {"server.store", "server.keys", "server.policies", "server.ephemeral", "server.feed"},
    # a user is told by mail when what opens his account was changed
    "server.accounts": {
        "server.store",
        "server.tokens",
        "server.policies",
        "server.outbox",
        "server.threads",
        "server.ephemeral",
    },
    # the steps
    "server.login": {
        "server.store",  # the last step of a log-in is the intention that opens the session
        "server.accounts",
        "server.tokens",
        "server.ephemeral",
        "server.policies",
        "server.outbox",  # the link for a forgotten password goes by mail
    },
    # keys that users make for their programs; whose name is tried is normalized as at a sign-in
    "server.user_keys": {
        "server.store",
        "server.accounts",
        "server.tokens",
        "server.ephemeral",
        "server.policies",
    },
    # where attempts are counted; a shared counter that is away is an event
    "server.counting": {"server.settings", "server.store", "server.ephemeral", "server.keys"},
    # a node among others: the settings in which they must agree
    "server.presence": {"server.settings", "server.knobs", "server.parsing", "server.store"},
    # wiring of the domain: what faces and the command line are given
    "server.services": {
        "server.counting",
        "server.presence",
        "server.settings",
        "server.policies",
        "server.store",
        "server.ephemeral",
        "server.keys",
        "server.tokens",
        "server.accounts",
        "server.login",
        "server.user_keys",
        "server.feed",
        "server.outbox",
    },
    # a backup is opened as a server would open it, changed and put in place
    "server.restoration": {"server.services", "server.settings", "server.store"},
    # the faces
    "server.endpoints": {
        "server.web",
        "server.services",
        "server.policies",
        "server.tokens",  # a token set is what a log-in answers with
        "server.login",
        "server.feed",
        "server.user_keys",  # and a new API key, with its text, what making one does
        "server.ephemeral",  # registrations are counted by network
    },
    "server.pages": {"server.web", "server.services", "server.policies"},
    # an administrator's view of a user and his sessions is the user's own, and a little more
    "server.admin": {"server.web", "server.services", "server.policies", "server.endpoints"},
    # wiring of the faces
    "server.routes": {"server.web", "server.endpoints", "server.pages", "server.admin"},
    "server.openapi": {"server.web", "server.routes"},
    "server.app": {
        "server.aliases",  # older names stand in front of the routes
        "server.settings",
        "server.policies",
        "server.web",
        "server.services",
        "server.endpoints",
        "server.pages",
        "server.admin",
        "server.routes",
        "server.openapi",
    },
    # the top: the only places that see both wings
    "demo": {"errors", "jose", "protocol", "guard", "frameworks", "watchword"},
    "cli": {"errors", "jose", "protocol", "guard", "watchword", "server.settings", "server.services", "demo"},
    "__main__": {"cli"},
}
for _room, _arrows in ROOMS.items():
    if _room.startswith("server.") and _room != "server.store.records":
        _arrows |= SERVER_GROUND | {"server.store.records"}
ROOMS["cli"] |= {
    "server.app",
    "server.restoration",
    "server.store.records",
    "server.policies",
    "server.accounts",
    "server.store",
}
# `serve` hands uvicorn the connections of ours, which end when a client dawdles
ROOMS["cli"].add("server.web")
# a move names two databases, of which no setting is one
ROOMS["cli"].add("server.parsing")
# `routes` reads an application, and what its protections demand
ROOMS["cli"].add("frameworks")
# `doctor` asks the counters whether they answer
ROOMS["cli"].add("server.ephemeral")
# and the nodes whether they agree
ROOMS["cli"].add("server.presence")
# a new API key, with its text, is what making one answers
ROOMS["cli"].add("server.user_keys")
# what `--json` prints and what arguments must be is what the admin API answers and takes, so it is the same structs
ROOMS["cli"] |= {"server.admin", "server.endpoints", "server.keys"}


def module_of(path: Path) -> str:
    """``src/watchword/guard/guard.py`` → ``watchword.guard.guard``; a package is called by its folder."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_of(path): path for path in sorted((SOURCE / "watchword").rglob("*.py"))}


def room_of(module: str) -> str:
    """The room a module lives in: the longest name of the table that its own begins with."""
    name = module.removeprefix("watchword").removeprefix(".") or "watchword"
    while name not in ROOMS:
        assert "." in name, f"{module} lives in no room of the table"
        name = name.rpartition(".")[0]
    return name


def imports_of(module: str) -> Iterator[str]:
    """Every module that *module* names in an import, wherever it stands: type-only and late ones too."""
    for node in ast.walk(tree_of(FILES[module])):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in FILES else node.module


def own_imports_of(module: str) -> set[str]:
    """The same, of this project only."""
    return {name for name in imports_of(module) if name.split(".")[0] == "watchword"} - {module}


class TestFloors:
    def test_the_table_runs_down(self) -> None:
        """A room names only rooms that stand before it in the table, so that no circle can be drawn."""
        order = list(ROOMS)
        for room, arrows in ROOMS.items():
            for arrow in arrows:
                assert order.index(arrow) < order.index(room), f"{room} → {arrow} runs up"

    @pytest.mark.parametrize("module", FILES)
    def test_imports_follow_the_table(self, module: str) -> None:
        """Each import of each module is an arrow of the table or stays in its room."""
        room = room_of(module)
        for name in own_imports_of(module):
            assert name in FILES, f"{module} imports {name}, which is not there"
            assert room_of(name) in ROOMS[room] | {room}, f"{module} → {name} is no arrow of the table"

    def test_no_module_imports_itself_in_a_circle(self) -> None:
        """Inside a room, too, the modules stand in an order."""
        done: set[str] = set()

        def walk(module: str, path: tuple[str, ...]) -> None:
            assert module not in path, " → ".join((*path[path.index(module) :], module))
            if module not in done:
                for name in sorted(own_imports_of(module)):
                    walk(name, (*path, module))
                done.add(module)

        for module in FILES:
            walk(module, ())

    @pytest.mark.parametrize("module", [m for m in FILES if room_of(m) in LIGHT_WING])
    def test_the_light_wing_stays_light(self, module: str) -> None:
        """The guard and what it stands on never name the server, nor a package a bare install lacks."""
        foreign = OF_ONE_FILE.get(module, set())
        for name in imports_of(module):
            top = name.split(".")[0]
            assert not name.startswith(("watchword.server", "watchword.cli", "watchword.demo"))
            assert top in sys.stdlib_module_names or top in LIGHT_PACKAGES | foreign, (
                f"{module} imports {name}"
            )

    @pytest.mark.parametrize("module", FILES)
    def test_a_file_can_be_seen_whole(self, module: str) -> None:
        """No file is longer than four hundred lines, and none has a name that says nothing."""
        path = FILES[module]
        assert len(path.read_text("utf-8").splitlines()) <= LONGEST_FILE
        assert not HOMELESS & {path.stem, path.parent.name}

    @pytest.mark.parametrize("module", [m for m in FILES if m.startswith("watchword.server.")])
    def test_a_face_never_touches_the_store(self, module: str) -> None:
        """Endpoints, pages and the admin API speak with the domain; a record is the most they name."""
        if room_of(module) in {"server.endpoints", "server.pages", "server.admin", "server.web"}:
            assert "server.store" not in {room_of(name) for name in own_imports_of(module)}
