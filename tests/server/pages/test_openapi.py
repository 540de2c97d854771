"""The API for machines: OpenAPI 3.1, generated from the route table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.server.stage import ISSUER, PASSWORD, Stage
from watchword.server.routes import ROUTES

pytestmark = pytest.mark.anyio


@pytest.fixture
async def document(stage: Stage) -> dict[str, Any]:
    answer = await stage.http.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json()
    return found


def walk(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from walk(value)


class TestOpenApi:
    async def test_it_is_served_at_the_issuer(self, document: dict[str, Any]) -> None:
        """Version, server, security scheme."""
        assert document["openapi"].startswith("3.1.")
        assert document["servers"] == [{"url": ISSUER}]
        assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"

    async def test_every_route_is_in_it_with_every_status(self, document: dict[str, Any]) -> None:
        """What the table says, the document says."""
        for route in ROUTES:
            path = re.sub(r"\{(\w+)(?::path)?\}", r"{\1}", route.path)
            operation = document["paths"].get(path, {}).get(route.method.lower())
            assert (operation is not None) == bool(route.tag), path
            if operation is None:
                continue
            assert {int(status) for status in operation["responses"]} == set(route.statuses)
            assert ("requestBody" in operation) == (route.body is not None)
            assert bool(operation.get("security")) == (route.auth != "none" or route.optional_body)
            declared = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
            assert declared == set(re.findall(r"\{(\w+)\}", path))

    async def test_references_lead_somewhere_and_names_stand_once(self, document: dict[str, Any]) -> None:
        """Each ``$ref`` resolves; each ``operationId`` is one operation's."""
        for node in walk(document):
            if isinstance(ref := node.get("$ref"), str):
                target: Any = document
                for part in ref.removeprefix("#/").split("/"):
                    target = target[part]
        names = [node["operationId"] for node in walk(document["paths"]) if "operationId" in node]
        assert len(names) == len(set(names))

    async def test_unknown_members_are_forbidden_in_writing(self, document: dict[str, Any]) -> None:
        """A request's schema says ``additionalProperties: false``: generated clients do not even try."""
        for node in walk(document["paths"]):
            if "requestBody" in node:
                ref = node["requestBody"]["content"]["application/json"]["schema"]["$ref"]
                schema = document["components"]["schemas"][ref.rpartition("/")[2]]
                assert schema["additionalProperties"] is False, ref

    async def test_answers_have_the_members_it_says(self, stage: Stage, document: dict[str, Any]) -> None:
        """A log-in, a profile, a list of users: real answers against their schemas."""
        root = await stage.administrator()

        def schema(path: str, method: str, status: str) -> dict[str, Any]:
            content = document["paths"][path][method]["responses"][status]["content"]
            ref = content["application/json"]["schema"]["$ref"]
            found: dict[str, Any] = document["components"]["schemas"][ref.rpartition("/")[2]]
            return found

        answers = {
            ("/auth/login", "post", "200"): root.tokens,
            ("/auth/me", "get", "200"): (await stage.http.get("/auth/me", headers=root.bearer)).json(),
            ("/admin/v1/users", "get", "200"): (
                await stage.http.get("/admin/v1/users", headers=root.bearer)
            ).json(),
            ("/auth/token", "post", "200"): (
                await stage.http.post("/auth/token", json={"refresh_token": root.tokens["refresh_token"]})
            ).json(),
        }
        for (path, method, status), answer in answers.items():
            found = schema(path, method, status)
            assert answer.keys() == found["properties"].keys(), path
            assert set(found["required"]) <= answer.keys()

    async def test_it_holds_no_secret_of_this_server(self, document: dict[str, Any]) -> None:
        """Examples are examples."""
        assert PASSWORD not in json.dumps(document)
