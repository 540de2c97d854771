"""A forum: everybody reads, who is logged in writes, and each topic says who wrote it."""

from __future__ import annotations

import os
import sqlite3
from typing import Any

from flask import Flask, abort, request

from watchword import Guard
from watchword.frameworks.flask import current_principal, protect

SCHEMA = """
CREATE TABLE IF NOT EXISTS topics (
    id INTEGER PRIMARY KEY,
    title TEXT NOT NULL,
    author TEXT NOT NULL -- the subject of the token: an e-mail address can change hands, a subject never does
)
"""


def create_app(guard: Guard, database: str) -> Flask:
    """The forum over one guard and one file."""
    app = Flask(__name__)
    with sqlite3.connect(database) as connection:
        connection.execute(SCHEMA)

    def query(sql: str, *values: Any) -> list[dict[str, Any]]:
        with sqlite3.connect(database) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(sql, values)]

    def topic_of(number: int) -> dict[str, Any]:
        found = query("SELECT id, title, author FROM topics WHERE id = ?", number)
        return found[0] if found else abort(404)

    @app.get("/topics")
    @protect(guard, optional=True)
    def topics() -> Any:
        reader = current_principal()
        return [
            {**topic, "mine": reader is not None and topic["author"] == reader.subject}
            for topic in query("SELECT id, title, author FROM topics ORDER BY id")
        ]

    @app.post("/topics")
    @protect(guard)
    def write() -> Any:
        body = request.get_json()
        if not isinstance(body, dict) or not isinstance(body.get("title"), str):
            abort(422)
        # Who wrote it is what the guard says, never what the request says.
        author = current_principal().subject
        sql = "INSERT INTO topics (title, author) VALUES (?, ?) RETURNING id, title, author"
        return query(sql, body["title"], author)[0], 201

    @app.delete("/topics/<int:number>")
    @protect(guard)
    def remove(number: int) -> Any:
        caller = current_principal()
        if topic_of(number)["author"] != caller.subject and not caller.is_admin:
            abort(403)
        query("DELETE FROM topics WHERE id = ?", number)
        return "", 204

    return app


def from_environment() -> Flask:
    """The forum as ``FORUM_ISSUER`` and ``FORUM_DATABASE`` describe it."""
    guard = Guard(os.environ.get("FORUM_ISSUER", "http://127.0.0.1:8080"))
    return create_app(guard, os.environ.get("FORUM_DATABASE", "forum.db"))
