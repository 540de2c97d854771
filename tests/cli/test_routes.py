"""``watchword routes``: what an application leaves open is found, and nothing else is."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

import tests.frameworks.django_project  # noqa: F401
from tests.cli.stage import Shell
from tests.frameworks.faces import FACES

APPS = {
    "starlette": "tests.frameworks.face_starlette:app",
    "fastapi": "tests.frameworks.face_fastapi:app",
    "litestar": "tests.frameworks.face_litestar:app",
    "flask": "tests.frameworks.face_flask:app",
}
OWN = {"/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json", "/schema", "/static"}
"""What a framework adds by itself, open to everybody."""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def listed(shell: Shell, application: str, *more: str) -> list[dict[str, Any]]:
    import json

    found: list[dict[str, Any]] = json.loads(shell.run("routes", application, "--json", *more).stdout)
    return found


def is_own(path: str) -> bool:
    return any(path == own or path.startswith(f"{own}/") for own in OWN)


def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> str:
    """An application in a file of its own, in the folder one stands in."""
    (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
    monkeypatch.chdir(tmp_path)
    return f"{name}:app"


GUARD = """
from watchword import Guard
guard = Guard("https://auth.example.com")
"""


class TestFaces:
    @pytest.mark.parametrize("face", APPS)
    def test_the_contract_s_applications_leave_one_route_open(self, shell: Shell, face: str) -> None:
        """Functions, classes, routers, blueprints, mounts, streams and websockets: all but ``/public`` are told."""
        found = listed(shell, APPS[face])
        assert {route["path"] for route in found if not is_own(route["path"])} == {"/public"}
        assert not any(route["protected"] for route in found)

    @pytest.mark.parametrize("face", APPS)
    def test_all_tells_what_each_demands(self, shell: Shell, face: str) -> None:
        """With ``--all`` every route is there, in the words of its ``protect``."""
        demands = {
            route["path"].rstrip("/"): route["demands"] for route in listed(shell, APPS[face], "--all")
        }
        assert demands["/me"] == "a token"
        assert demands["/pay"] == "scope pay"
        assert demands["/admin"] == "role admin"
        assert demands["/either"] == "role auditor or admin"
        assert demands["/fresh"] == "fresh 30"
        assert demands["/open"] == "a token, if any, that is good"
        assert demands["/public"] is None
        if face != "flask":
            assert demands["/socket"] == "scope pay"

    def test_django_is_read_by_its_url_configuration(
        self, shell: Shell, tmp_path: Path, monkeypatch: Any
    ) -> None:
        """Views, classes and the permissions of the REST framework, by the WSGI or ASGI application."""
        text = "from django.core.handlers.wsgi import WSGIHandler\napp = WSGIHandler()\n"
        found = listed(shell, written(tmp_path, monkeypatch, "django_wsgi", text), "--all")
        demands = {route["path"]: route["demands"] for route in found}
        for prefix in ("", "/rest"):
            assert demands[f"{prefix}/me"] == "a token"
            assert demands[f"{prefix}/pay"] == "scope pay"
            assert demands[f"{prefix}/admin"] == "role admin"
            assert demands[f"{prefix}/either"] == "role auditor or admin"
            assert demands[f"{prefix}/public"] is None
        assert demands["/later"] == demands["/stream"] == "a token"

    def test_every_face_is_read_or_is_a_wrapper(self) -> None:
        """A new face is added to this test."""
        read = {*APPS, "asgi", "wsgi", "django", "django-asgi", "rest_framework", "rest_framework-asgi"}
        assert set(FACES) == read


class TestWrapped:
    @pytest.mark.parametrize("kind", ["starlette", "flask"])
    def test_a_wrapper_protects_all(
        self, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
    ) -> None:
        """The routes behind it demand what it demands, and more where they say more."""
        face = "asgi" if kind == "starlette" else "wsgi"
        text = f"""
            from tests.frameworks.face_{kind} import GUARD, app as inner
            from watchword.frameworks.{face} import protect
            app = protect(GUARD, scope="inside")(inner)
        """
        application = written(tmp_path, monkeypatch, f"wrapped_{kind}", text)
        assert listed(shell, application) == []
        demands = {route["path"]: route["demands"] for route in listed(shell, application, "--all")}
        assert demands["/public"] == "scope inside"
        assert demands["/admin"] == "role admin"
        assert shell.ok("routes", application).stderr.splitlines()[0] == "every route is protected or public"

    def test_middleware_protects_all(
        self, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """``add_middleware(protect(guard))``, and a mount of what cannot be read into."""
        text = GUARD + textwrap.dedent("""
            from starlette.applications import Starlette
            from starlette.middleware import Middleware
            from starlette.responses import Response
            from starlette.routing import Mount, Route
            from watchword.frameworks.asgi import protect

            async def opaque(scope, receive, send): ...

            async def view(request): return Response()

            guarding = [Middleware(protect(guard))]
            routes = [
                Route("/view", view),
                Mount("/opaque", opaque),
                Mount("/guarded", protect(guard)(opaque)),
                Mount("/behind", opaque, middleware=guarding),
                Mount("/deep", routes=[Route("/view", view), Route("/own", view, middleware=guarding)]),
            ]
            app = Starlette(routes=routes)
            inside = Starlette(routes=routes)
            inside.add_middleware(protect(guard))
        """)
        application = written(tmp_path, monkeypatch, "middle", text)
        assert [route["path"] for route in listed(shell, application)] == ["/deep/view", "/opaque/*", "/view"]
        assert listed(shell, "middle:inside") == []

    def test_what_runs_before_every_request_protects_all(
        self, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Flask's ``before_request``, its wrapped ``wsgi_app``; FastAPI's dependencies of the application."""
        text = GUARD + textwrap.dedent("""
            from fastapi import Depends, FastAPI
            from flask import Flask
            from watchword.frameworks import fastapi, flask, wsgi

            before, within = Flask("before"), Flask("within")
            before.before_request(flask.protect(guard)(lambda: None))
            within.wsgi_app = wsgi.protect(guard)(within.wsgi_app)
            app = FastAPI(dependencies=[Depends(fastapi.protect(guard))], openapi_url=None)
            app.get("/x")(lambda: 1)
            before.route("/x")(lambda: "1")
            within.route("/x")(lambda: "1")

            def factory():
                return app
        """)
        application = written(tmp_path, monkeypatch, "before", text)
        for name in (application, "before:before", "before:within"):
            assert listed(shell, name) == []
        assert listed(shell, "before:factory", "--factory") == []


class TestCommand:
    def test_an_open_route_is_exit_code_1(self, shell: Shell) -> None:
        """A table, a sum, and 1; with the route said to be public, 0."""
        done = shell.run("routes", APPS["flask"], "--public", "/static/*")
        assert done.exit_code == 1
        assert [line.split()[:2] for line in done.stdout.splitlines()] == [
            ["method", "path"],
            ["GET", "/public"],
        ]
        assert done.stderr.endswith("routes: open, and not said to be\n")
        shell.ok("routes", APPS["flask"], "--public", "/static/*", "--public", "/public")

    def test_public_is_a_path_and_not_a_beginning(self, shell: Shell) -> None:
        """Only a star stands for more."""
        assert shell.run("routes", APPS["flask"], "--public", "/static/*", "--public", "/pub").exit_code == 1
        shell.ok("routes", APPS["flask"], "--public", "/static/*", "--public", "/pub*")

    @pytest.mark.parametrize(
        ("application", "why"),
        [
            ("nonsense", "MODULE:APP"),
            (":app", "MODULE:APP"),
            ("no_such_module_here:app", "No module named"),
            ("tests.frameworks.face_flask:nothing", "no attribute"),
            ("tests.frameworks.wire:Request", "of no framework"),
        ],
    )
    def test_what_is_no_application_is_wrong_use(self, shell: Shell, application: str, why: str) -> None:
        """One line and exit code 2."""
        assert why in shell.refused("routes", application, code=2)
