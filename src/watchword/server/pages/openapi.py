"""The route table as OpenAPI 3.1 and as curl lines: generated, so that documents and server cannot disagree."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final

import msgspec

from watchword.server.web.route import Route

__all__ = ["chapters", "openapi_document"]

_PARAM: Final = re.compile(r"\{(\w+)(?::path)?\}")
_REF: Final = "#/components/schemas/{name}"
_PROBLEM: Final = {
    "type": "object",
    "description": "A problem document (RFC 9457).",
    "required": ["type", "title", "status", "detail", "error"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "error": {"type": "string", "description": "A stable code."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
_OPENING: Final[Mapping[str, tuple[str, ...]]] = {"first-party": ("bearer", "cookie"), "admin": ("bearer",)}
_EXAMPLES: Final[Mapping[str, Any]] = {
    "email": "ada@example.com",
    "password": "correct horse battery staple",
    "name": "Ada Example",
    "username": "ada",
    "device": "laptop",
    "refresh_token": "$REFRESH_TOKEN",
    "current_password": "correct horse battery staple",
    "new_password": "a longer sentence than before",
    "roles": ["user"],
    "scope": "profile",
    "audience": "api",
    "reason": "left the company",
    "until": "2030-01-01T00:00:00Z",
    "everywhere": False,
    "algorithm": "ES256",
    "now": False,
}


@lru_cache(maxsize=4)
def openapi_document(routes: Sequence[Route], issuer: str, cookies: tuple[str, str] | None) -> dict[str, Any]:
    """The document for *routes*, served at *issuer*; *cookies*: the names of those with access and refresh token."""
    schemes = _schemes(cookies)
    shown = [route for route in routes if route.tag]
    types = [
        kind for route in shown for kind in (route.body, route.answer, route.accepted) if kind is not None
    ]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    schema_of = {id(kind): schema for kind, schema in zip(types, schemas, strict=True)}
    paths: dict[str, Any] = {}
    for route in shown:
        path = _PARAM.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, schema_of, schemes)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Watchword",
            "version": "1",
            "description": "Log-in, sessions, users, and tokens you can take back.",
        },
        "servers": [{"url": issuer}],
        "paths": paths,
        "components": {
            "schemas": {**components, "Problem": _PROBLEM},
            "securitySchemes": schemes,
        },
    }


def _schemes(cookies: tuple[str, str] | None) -> dict[str, Any]:
    schemes: dict[str, Any] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    if cookies is not None:
        for scheme, name in zip(("cookie", "refresh"), cookies, strict=True):
            schemes[scheme] = {"type": "apiKey", "in": "cookie", "name": name}
    return schemes


def _operation(route: Route, schema_of: Mapping[int, Any], schemes: Mapping[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": f"{route.method.lower()}{re.sub(r'[^a-zA-Z]+', '_', route.path)}".rstrip("_"),
        "tags": [route.tag],
        "responses": {str(status): _answer(route, status, schema_of) for status in route.statuses},
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAM.findall(route.path)
    ] + [
        {"name": name, "in": "query", "description": meaning, "schema": _query_schema(name)}
        for name, meaning in route.query
    ]
    if parameters:
        operation["parameters"] = parameters
    opening = _OPENING.get(route.auth, route.stands_in)
    security: list[Any] = [{scheme: []} for scheme in opening if scheme in schemes]
    if security:
        operation["security"] = security if route.auth != "none" else [*security, {}]
    if route.body is not None:
        operation["requestBody"] = {
            "required": not route.optional_body,
            "content": {"application/json": {"schema": schema_of[id(route.body)]}},
        }
    return operation


def _query_schema(name: str) -> dict[str, Any]:
    match name:
        case "limit":
            return {"type": "integer", "minimum": 1, "maximum": 200}
        case "after":
            return {"type": "integer", "minimum": 0}
        case _:
            return {"type": "string"}


def _answer(route: Route, status: int, schema_of: Mapping[int, Any]) -> dict[str, Any]:
    description = HTTPStatus(status).phrase
    if status == route.status:
        if status == 204:
            return {"description": description}
        # What is no JSON has no schema: a text has no members.
        content = {"schema": schema_of[id(route.answer)]} if route.answer is not None else {}
        return {"description": description, "content": {route.media_type: content}}
    if status == 304:
        return {"description": description}
    if status == 202:
        schema = schema_of[id(route.accepted)]
        return {"description": description, "content": {route.media_type: {"schema": schema}}}
    return {
        "description": description,
        "content": {"application/problem+json": {"schema": {"$ref": _REF.format(name="Problem")}}},
    }


def chapters(routes: Sequence[Route], issuer: str) -> dict[str, list[dict[str, Any]]]:
    """The same for people: chapter -> calls, each with its curl line."""
    found: dict[str, list[dict[str, Any]]] = {}
    for route in routes:
        if route.tag:
            found.setdefault(route.tag, []).append(
                {
                    "method": route.method,
                    "path": _PARAM.sub(r"{\1}", route.path),
                    "anchor": f"{route.method}{route.path}".lower().translate({ord(c): "-" for c in "/{}:."}),
                    "summary": route.summary,
                    "auth": route.auth,
                    "curl": _curl(route, issuer),
                    "statuses": [(status, HTTPStatus(status).phrase) for status in route.statuses],
                    "query": route.query,
                }
            )
    return found


def _curl(route: Route, issuer: str) -> str:
    path = _PARAM.sub(lambda match: "$" + match[1].upper(), route.path)
    line = f"curl {issuer}{path}" if route.method == "GET" else f"curl -X {route.method} {issuer}{path}"
    parts = [line]
    if route.auth == "admin":
        parts.append('-H "Authorization: Bearer $ADMIN_TOKEN"')
    elif route.auth == "first-party" or "bearer" in route.stands_in:
        parts.append('-H "Authorization: Bearer $ACCESS_TOKEN"')
    if route.body is not None and not (route.auth == "none" and "bearer" in route.stands_in):
        parts.append("-H 'Content-Type: application/json'")
        body = json.dumps(_example(route.body))
        quote = '"' if "$" in body else "'"
        escaped = body.replace('"', '\\"') if quote == '"' else body
        parts.append(f"-d {quote}{escaped}{quote}")
    return " \\\n  ".join(parts)


def _example(body: type) -> dict[str, Any]:
    fields = msgspec.structs.fields(body)
    needed = [field for field in fields if field.required] or list(fields)[:1]
    names = [field.encode_name for field in needed]
    if "password" in names and "email" not in names:
        names.insert(0, "email")
    listed = (
        {"scope": ["profile"], "name": "auditor"}
        if body.__name__ in ("ScopeBody", "RoleBody", "ApiBody")
        else {}
    )
    return {name: listed.get(name, _EXAMPLES.get(name, "…")) for name in names}
