"""People at work on a server that may die at any moment, and what each of them was told had been done."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.mission.stage import PASSWORD, Server
from watchword import Guard
from watchword.errors import InvalidToken

OTHER_PASSWORD = "eight-cold-teapots"

_numbers = itertools.count(1)


@dataclass
class Person:
    """One account, and of it only what the server has acknowledged."""

    email: str
    id: str = ""
    password: str = PASSWORD
    refresh_token: str = ""
    ended: list[tuple[str, str]] = field(default_factory=list)
    """Refresh and access token of each session whose end was acknowledged."""
    banned: bool = False
    certain: bool = True
    """Whether nothing about his password or ban was under way when the server died."""


@dataclass
class Crowd:
    """Threads that register, log in, refresh, log out, change passwords and are banned, until the server is gone."""

    server: Server
    operator: str
    people: list[Person] = field(default_factory=list)
    acknowledged: int = 0
    unexpected: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)
    enough: threading.Event = field(default_factory=threading.Event)
    """Set when so many answers have come that the server may be killed."""

    def start(self, workers: int, enough: int) -> None:
        self._threads = [threading.Thread(target=self._work, args=(enough,)) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(60)

    def lost(self, guard: Guard) -> list[str]:
        """Whatever was acknowledged and is not so any more."""
        found = []
        for person in self.people:
            found += self._lost_of(person, guard)
        return found

    def _work(self, enough: int) -> None:
        with httpx2.Client(base_url=self.server.url, timeout=30) as http:
            try:
                while True:
                    self._live_one_life(http, enough)
            except httpx2.TransportError:
                return

    def _live_one_life(self, http: httpx2.Client, enough: int) -> None:
        person = Person(f"crowd{next(_numbers)}@example.com")
        body = {"email": person.email, "password": PASSWORD}
        answer = self._ask(http, "/auth/register", body, enough)
        person.id = answer["user"]["id"]
        self.people.append(person)
        first = self._log_in(http, person, enough)
        person.refresh_token = first["refresh_token"]
        for _ in range(5):
            body = {"refresh_token": person.refresh_token}
            person.refresh_token = self._ask(http, "/auth/token", body, enough)["refresh_token"]
        second = self._log_in(http, person, enough)
        self._ask(http, "/auth/logout", None, enough, token=second["access_token"])
        person.ended.append((second["refresh_token"], second["access_token"]))
        number = int(person.email.removeprefix("crowd").partition("@")[0])
        person.certain = False
        if number % 3 == 0:
            body = {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}
            self._ask(http, "/auth/password", body, enough, token=first["access_token"])
            person.password = OTHER_PASSWORD
        elif number % 3 == 1:
            self._ask(
                http, f"/admin/v1/users/{person.id}/ban", {"reason": "test"}, enough, token=self.operator
            )
            person.banned = True
        person.certain = True

    def _log_in(self, http: httpx2.Client, person: Person, enough: int) -> dict[str, Any]:
        return self._ask(http, "/auth/login", {"email": person.email, "password": person.password}, enough)

    def _ask(
        self,
        http: httpx2.Client,
        path: str,
        body: dict[str, Any] | None,
        enough: int,
        token: str | None = None,
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = http.post(path, json=body, headers=headers)
        if not answer.is_success:
            self.unexpected.append(f"{path}: {answer.status_code} {answer.text}")
            raise httpx2.TransportError("this person's story ends")
        with self._lock:
            self.acknowledged += 1
            if self.acknowledged >= enough:
                self.enough.set()
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found

    def _lost_of(self, person: Person, guard: Guard) -> list[str]:
        http, found = self.server.http, []
        bearer = {"Authorization": f"Bearer {self.operator}"}
        seen = http.get(f"/admin/v1/users/{person.id}", headers=bearer)
        if seen.status_code != 200 or seen.json()["email"] != person.email:
            return [f"{person.email}: the account"]
        if person.banned and not seen.json()["banned"]:
            found.append(f"{person.email}: the ban")
        for refresh_token, access_token in person.ended:
            if http.post("/auth/token", json={"refresh_token": refresh_token}).status_code != 401:
                found.append(f"{person.email}: the end of a session")
            try:
                guard.verify(access_token)
            except InvalidToken:
                continue
            found.append(f"{person.email}: the death of an access token")
        if not person.certain or person.banned:
            return found
        if person.refresh_token:
            answer = http.post("/auth/token", json={"refresh_token": person.refresh_token})
            if answer.status_code != 200:
                found.append(f"{person.email}: a session ({answer.text})")
        if person.password == OTHER_PASSWORD:
            body = {"email": person.email, "password": OTHER_PASSWORD}
            if http.post("/auth/login", json=body).status_code != 200:
                found.append(f"{person.email}: the new password")
        return found
