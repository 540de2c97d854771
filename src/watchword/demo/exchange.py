"""One request and its answer over a kept connection, timed, and as lines that fit a screen."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http.client import HTTPConnection
from time import perf_counter
from typing import Any, Final
from urllib.parse import urlsplit

__all__ = ["Exchange", "Party"]

_TIMEOUT: Final = 10
_HIDDEN: Final = "•••"


@dataclass(frozen=True, slots=True)
class Exchange:
    """What was asked and what was answered.

    Attributes:
        party: who was asked.
        ms: from the first byte of the request to the last of the answer.
    """

    party: str
    method: str
    path: str
    body: Any
    token: str | None = field(repr=False)
    status: int
    answer: Any
    challenge: str | None
    ms: float

    def request_line(self) -> str:
        """The request, its secrets shortened."""
        said = [self.method, self.party + self.path]
        if self.body is not None:
            said.append(json.dumps(_shown(self.body), ensure_ascii=False))
        if self.token is not None:
            said.append(f"Bearer {_short(self.token)}")
        return "  ".join(said)

    def answer_line(self) -> str:
        """The answer: an error by its code and reason, else what it holds."""
        if isinstance(self.answer, dict) and "error" in self.answer:
            return f"{self.answer['error']}: {self.answer.get('detail', '')}"
        if self.answer is None:
            return ""
        return json.dumps(_shown(self.answer), ensure_ascii=False)


@dataclass(slots=True)
class Party:
    """Somebody to speak to over HTTP; one connection, one thread."""

    name: str
    address: str
    _connection: HTTPConnection | None = field(default=None, repr=False)

    def ask(self, method: str, path: str, *, body: Any = None, token: str | None = None) -> Exchange:
        """Send a request and read its answer."""
        if self._connection is None:
            self._connection = HTTPConnection(urlsplit(self.address).netloc, timeout=_TIMEOUT)
        headers = {"Accept": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        encoded = None
        if body is not None:
            encoded = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        began = perf_counter()
        self._connection.request(method, path, encoded, headers)
        response = self._connection.getresponse()
        raw = response.read()
        ms = (perf_counter() - began) * 1000
        return Exchange(
            self.name,
            method,
            path,
            body,
            token,
            response.status,
            json.loads(raw) if raw else None,
            response.headers.get("WWW-Authenticate"),
            ms,
        )

    def again(self) -> Party:
        """The same on a connection of its own, for another thread."""
        return Party(self.name, self.address)

    def close(self) -> None:
        """Let the connection go."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _shown(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _HIDDEN if key == "password" else _shown(one) for key, one in value.items()}
    if isinstance(value, str):
        return _short(value)
    return value


def _short(text: str) -> str:
    return f"{text[:10]}…" if text.startswith(("eyJ", "wwr_")) else text
