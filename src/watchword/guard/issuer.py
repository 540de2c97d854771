"""The issuer as a guard hears it: its keys and its revocation feed, kept by one background thread."""

from __future__ import annotations

import logging
import os
import random
import secrets as entropy
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from watchword.errors import InvalidToken, TemporarilyUnavailable, WatchwordError
from watchword.guard.asking import Asking
from watchword.guard.derived_key import RootSecrets
from watchword.guard.exchange import token_in
from watchword.guard.keeper import Keeper
from watchword.guard.knowledge import Knowledge
from watchword.guard.snapshot import SnapshotFile
from watchword.guard.transport import Transport
from watchword.guard.view import View
from watchword.jose.encoding import parse_json_object
from watchword.protocol import revocation_list
from watchword.protocol.metadata import (
    JWKS_PATH,
    REVOCATIONS_JWKS,
    REVOCATIONS_PATH,
    REVOCATIONS_STREAM_PATH,
    TOKEN_PATH,
    metadata_url,
)

__all__ = ["Issuer"]

_log = logging.getLogger("watchword.guard")

DOCUMENT_LIMIT: Final = 1024 * 1024
KEYS_INTERVAL: Final = 30.0
"""Seconds between two fetches of the key set, however many strangers' kids come in."""
METADATA_LIFE: Final = 3600.0
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
SWEEP_INTERVAL: Final = 60.0


class Issuer:
    """Follows one issuer. Nothing here runs in a request but ``view`` and ``want``.

    Args:
        url: the issuer's URL.
        knowledge: what it said so far.
        transport: how it is asked.
        prompt: the same, for questions that a request waits for.
        max_staleness: seconds of silence after which the feed counts as stale.
        file: where snapshots are kept.
        secret: what is shown to hear the whole feed.
        monotonic: the clock nobody sets.
    """

    def __init__(
        self,
        url: str,
        *,
        knowledge: Knowledge,
        transport: Transport,
        prompt: Transport,
        max_staleness: float,
        file: SnapshotFile | None = None,
        secret: str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._knowledge = knowledge
        self._transport = transport
        self._prompt = prompt
        self._questions = Asking(self._ask, monotonic=monotonic)
        self._max_staleness = max_staleness
        self._keeper = None if file is None else Keeper(file, knowledge, note=self._note, monotonic=monotonic)
        self._secret = secret
        self._monotonic = monotonic
        self._metadata: dict[str, Any] = {}
        self._metadata_at = self._keys_at = self._swept_at = -1e9
        self._last_event_id: str | None = None
        self._error: str | None = None
        self._wanted = False
        self._started_at: float | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._answered = threading.Event()
        self._closing = threading.Event()
        if self._keeper is not None:
            self._keeper.restore()

    @classmethod
    def create(
        cls,
        url: str,
        audience: str,
        *,
        secrets: bytes | str | Iterable[bytes | str] | None,
        feed_secret: str | None,
        max_staleness: float,
        patience: float,
        snapshot: str | os.PathLike[str] | None,
        clock: Callable[[], float],
    ) -> Self:
        """Wire an issuer from a guard's arguments.

        Raises:
            ConfigurationError: the secrets or the snapshot cannot be used.
        """
        roots = None if secrets is None else RootSecrets.parse(secrets, issuer=url, audience=audience)
        return cls(
            url,
            knowledge=Knowledge(url, roots=roots, clock=clock, monotonic=time.monotonic),
            transport=Transport(),
            prompt=Transport(timeout=patience, patience=patience),
            max_staleness=max_staleness,
            file=None if snapshot is None else SnapshotFile(Path(snapshot), url),
            secret=feed_secret,
        )

    @property
    def view(self) -> View:
        """What is known now."""
        return self._knowledge.view

    def want(self, kid: str) -> None:
        """Have the key set fetched when its turn comes: an attacker's kid costs one flag."""
        self._wanted = True

    def age(self) -> float:
        """Seconds since the issuer was last heard; infinite when it never was."""
        return self._knowledge.age()

    def start(self) -> None:
        """Begin the background thread, unless it runs."""
        with self._lock:
            if self._closing.is_set() or (self._thread is not None and self._thread.is_alive()):
                return
            self._started_at = self._monotonic() if self._started_at is None else self._started_at
            self._thread = threading.Thread(target=self._run, name="watchword-guard", daemon=True)
            self._thread.start()
            if self._keeper is not None:
                self._keeper.start()

    def wait(self, seconds: float) -> None:
        """Wait for the first answer, at most until *seconds* after the first start: later uses never wait."""
        if self._started_at is not None:
            self._answered.wait(max(self._started_at + seconds - self._monotonic(), 0))

    def refresh(self) -> None:
        """Ask for everything now.

        Raises:
            TemporarilyUnavailable: an answer did not come or was not acceptable.
        """
        try:
            self._update(keys=True)
        except TemporarilyUnavailable:
            raise
        except WatchwordError as refused:
            raise TemporarilyUnavailable(refused.description) from refused
        self._answered.set()
        if self._keeper is not None:
            self._keeper.write()

    def confirm(self) -> Future[None]:
        """Ask for what is new, together with all who ask at the same time; done when it is known here."""
        return self._questions.begin()

    def exchange(self, kind: str, credential: str, audience: str) -> str:
        """Trade a credential for an access token.

        Raises:
            InvalidToken: it is refused.
            TooManyRequests: nobody was given it, nor many others that were asked about.
            TemporarilyUnavailable: there is no answer.
        """
        asked = msgspec.json.encode({kind: credential, "audience": audience})
        status, body = self._prompt.post(self._url + TOKEN_PATH, asked, limit=DOCUMENT_LIMIT)
        return token_in(status, body)

    def close(self) -> None:
        """End the thread and keep what is known."""
        self._closing.set()
        self._transport.hang_up()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(0.5)
        if self._keeper is not None:
            self._keeper.close()

    def forked(self) -> bool:
        """Be usable in a child process; returns whether a thread has to be begun again."""
        had_thread, self._thread = self._thread is not None, None
        self._lock, self._asking = threading.Lock(), threading.Lock()
        self._closing, self._answered = threading.Event(), threading.Event()
        if not self.view.cold:
            self._answered.set()
        self._started_at = None
        self._knowledge.forked()
        self._transport.forked()
        self._questions.forked()
        if self._keeper is not None:
            self._keeper.forked()
        return had_thread

    def health(self) -> dict[str, Any]:
        """State, age, cursor and the last thing that went wrong."""
        known, age = self._knowledge, self.age()
        state = "cold" if known.view.cold else "live" if age <= self._max_staleness else "stale"
        return {
            "state": state,
            "age": None if known.view.cold else round(age, 3),
            "epoch": known.epoch,
            "sequence": known.sequence,
            "entries": len(known.table),
            "kids": list(known.view.keys),
            "alarms": known.alarms,
            "error": self._error,
        }

    def _run(self) -> None:
        closing, pause = self._closing, FIRST_PAUSE
        while not closing.is_set():
            try:
                self._update()
                self._answered.set()
                if self._listen():
                    pause = FIRST_PAUSE
            except WatchwordError as refused:
                self._note(refused.description)
            except Exception as broken:  # whatever it was: a guard that stopped listening would go unseen
                self._note(f"{type(broken).__name__}: {broken}")
            if not self.view.cold:
                self._answered.set()  # there is something to go by: from a snapshot, at least
            # Jitter, so that a fleet does not come back in step.
            closing.wait(pause * random.uniform(0.5, 1))  # noqa: S311
            pause = min(pause * 2, LONGEST_PAUSE)

    def _listen(self) -> bool:
        """Take in the stream until it ends; returns whether it said anything."""
        heard = False
        url = self._endpoint("watchword_revocations_stream_endpoint", REVOCATIONS_STREAM_PATH)
        # What is known needs no sending again, and a kept snapshot may be older than it.
        url += self._knowledge.position
        for event in self._transport.events(
            url, limit=2 * revocation_list.MAX_SIZE, last_id=self._last_event_id, secret=self._secret
        ):
            outcome = self._accept(event.data)
            if outcome == "gap":
                self._last_event_id = None
                return heard
            heard = True
            self._last_event_id = event.id
            self._error = None
            self._tend()
            if self._closing.is_set():
                break
        return heard

    def _update(self, *, keys: bool = False) -> None:
        with self._asking:
            now = self._monotonic()
            if not self._metadata or keys or now - self._metadata_at > METADATA_LIFE:
                self._read_metadata()
            if keys or self._keys_at < 0 or self._wanted or self._knowledge.lacks_keys:
                self._read_keys(now=keys)
            url = self._endpoint("watchword_revocations_endpoint", REVOCATIONS_PATH)
            body = self._fetch(url + self._knowledge.position)
            if self._accept(body) == "gap":
                self._accept(self._fetch(url))
        self._error = None
        self._tend()

    def _ask(self) -> None:
        """Ask what is new with a nonce, so that no cache on the way and no clock can pass off old news."""
        if self._closing.is_set():
            raise TemporarilyUnavailable("the guard is closed")
        for attempt in (1, 2, 3):
            if not self._metadata:
                self._read_metadata()
            question = self._knowledge.question(entropy.token_urlsafe(12))
            url = self._endpoint("watchword_revocations_endpoint", REVOCATIONS_PATH)
            body = self._fetch(
                f"{url}{self._knowledge.position or '?after=0'}&nonce={question.nonce}", by=self._prompt
            )
            try:
                outcome = self._knowledge.confirm(body, question)
                if outcome == "gap":
                    # Too much is missing for one answer, or a new epoch has begun.
                    self._knowledge.accept(self._fetch(url, by=self._prompt))
            except InvalidToken:
                # Perhaps under a feed key that was published since.
                self._metadata = {}
                if attempt == 3:
                    raise
                continue
            self._heard()
            if outcome == "fresh":
                break
            if outcome == "old" or attempt == 3:
                raise TemporarilyUnavailable("the issuer says less than it has said before")
        if self._keys_at < 0 or self._knowledge.lacks_keys:
            self._read_keys()
        self._answered.set()

    def _tend(self) -> None:
        now = self._monotonic()
        if self._wanted or self._knowledge.lacks_keys:
            self._read_keys()
        if now - self._swept_at > SWEEP_INTERVAL:
            self._swept_at = now
            self._knowledge.sweep()

    def _accept(self, text: str | bytes) -> str:
        try:
            outcome = self._knowledge.accept(text)
        except InvalidToken as refused:
            # Forged, or under a feed key we have not met: the metadata is asked again before the next try.
            self._metadata = {}
            self._knowledge.alarm(refused.description)
            raise
        self._heard()
        return outcome

    def _heard(self) -> None:
        if self._keeper is not None:
            self._keeper.moved()

    def _fetch(self, url: str, *, by: Transport | None = None) -> bytes:
        return (by or self._transport).get(
            url, limit=revocation_list.MAX_SIZE, accept="application/jwt", secret=self._secret
        )

    def _read_metadata(self) -> None:
        metadata = self._document(metadata_url(self._url))
        if metadata.get("issuer") != self._url:
            raise TemporarilyUnavailable(f"the metadata found at {self._url} is another issuer's")
        feed = metadata.get(REVOCATIONS_JWKS)
        if not isinstance(feed, dict) or not isinstance(feed.get("keys"), list):
            raise TemporarilyUnavailable(f"{self._url} offers no revocation feed")
        self._knowledge.set_feed_keys(feed["keys"])
        self._metadata, self._metadata_at = metadata, self._monotonic()

    def _read_keys(self, *, now: bool = False) -> None:
        at = self._monotonic()
        if not now and at - self._keys_at < KEYS_INTERVAL:
            return
        before, self._keys_at, self._wanted = self._keys_at, at, False
        try:
            url = self._endpoint("jwks_uri", JWKS_PATH)
            keys = self._document(url).get("keys")
            if not isinstance(keys, list):
                raise TemporarilyUnavailable(f"{url} is no key set")
        except TemporarilyUnavailable:
            # Without any key nothing can be verified, so the first set is asked for until it comes.
            self._keys_at = before if before < 0 else at - KEYS_INTERVAL + LONGEST_PAUSE
            raise
        self._knowledge.add_keys(jwk for jwk in keys if isinstance(jwk, dict))

    def _document(self, url: str) -> dict[str, Any]:
        body = self._transport.get(url, limit=DOCUMENT_LIMIT)
        return parse_json_object(body, error=TemporarilyUnavailable)

    def _endpoint(self, member: str, path: str) -> str:
        url = self._metadata.get(member)
        return url if isinstance(url, str) else self._url + path

    def _note(self, what: str) -> None:
        if self._closing.is_set():
            return  # it was we who hung up
        if what != self._error:
            _log.warning("revocation feed of %s: %s", self._url, what)
        self._error = what
