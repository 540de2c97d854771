"""What an issuer publishes beside its feed: its metadata, with the keys of the feed, and its key set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from watchword.errors import TemporarilyUnavailable
from watchword.guard.knowledge import Knowledge
from watchword.guard.pace import LONGEST_PAUSE
from watchword.guard.transport import Transport, UnusableAnswer
from watchword.jose.encoding import parse_json_object
from watchword.protocol.metadata import JWKS_PATH, REVOCATIONS_JWKS, metadata_urls

__all__ = ["DOCUMENT_LIMIT", "Documents"]

DOCUMENT_LIMIT: Final = 1024 * 1024
KEYS_INTERVAL: Final = 30.0
"""Seconds between two fetches of the key set, however many strangers' kids come in."""
METADATA_LIFE: Final = 3600.0


class Documents:
    """One issuer's documents, fetched when they are needed and put into what is known.

    Args:
        url: the issuer's URL.
        knowledge: takes their keys.
        transport: how they are fetched.
        note: told of a fetch that failed and can wait.
        monotonic: the clock nobody sets.
    """

    def __init__(
        self,
        url: str,
        knowledge: Knowledge,
        transport: Transport,
        *,
        note: Callable[[str], None],
        monotonic: Callable[[], float],
    ) -> None:
        self._url = url
        self._places = metadata_urls(url)
        self._knowledge = knowledge
        self._transport = transport
        self._note = note
        self._monotonic = monotonic
        self._metadata: dict[str, Any] = {}
        self._metadata_at = self._keys_at = -1e9
        self._wanted = False

    def want_keys(self) -> None:
        """Have the key set fetched when its turn comes."""
        self._wanted = True

    def forget_metadata(self) -> None:
        """Have the metadata fetched before the next attempt: the feed may have a new key."""
        self._metadata = {}

    def endpoint(self, member: str, path: str) -> str:
        """The URL that the metadata gives as *member*, by default the issuer's *path*."""
        url = self._metadata.get(member)
        return url if isinstance(url, str) else self._url + path

    def read_metadata(self, *, timeout: float | None = None, now: bool = False) -> None:
        """Have the metadata, fetched again after an hour or *now*.

        Raises:
            TemporarilyUnavailable: there is none, or it is another issuer's.
        """
        known = bool(self._metadata)
        if known and not now and self._monotonic() - self._metadata_at <= METADATA_LIFE:
            return
        try:
            self._fetch_metadata(timeout)
        except TemporarilyUnavailable as fault:
            if not known or now:
                raise
            self._note(fault.description)  # the feed may be well all the same, and what is known of it holds

    def read_keys(self, *, timeout: float | None = None, now: bool = False) -> None:
        """Fetch the key set where one was never fetched or a key is missing, or *now*; at most once an interval.

        Raises:
            TemporarilyUnavailable: it cannot be fetched.
        """
        at = self._monotonic()
        missing = self._keys_at < 0 or self._wanted or self._knowledge.lacks_keys
        if not now and (not missing or at - self._keys_at < KEYS_INTERVAL):
            return
        before, self._keys_at, self._wanted = self._keys_at, at, False
        try:
            url = self.endpoint("jwks_uri", JWKS_PATH)
            keys = self._document(url, timeout).get("keys")
            if not isinstance(keys, list):
                raise TemporarilyUnavailable(f"{url} is no key set")
        except TemporarilyUnavailable:
            # Without any key nothing can be verified, so the first set is asked for until it comes.
            first = before < 0 and not self._knowledge.view.keys
            self._keys_at = before if first else at - KEYS_INTERVAL + LONGEST_PAUSE
            raise
        self._knowledge.add_keys(jwk for jwk in keys if isinstance(jwk, dict))

    def _fetch_metadata(self, timeout: float | None) -> None:
        metadata = self._find_metadata(timeout)
        feed = metadata.get(REVOCATIONS_JWKS)
        if not isinstance(feed, dict) or not isinstance(feed.get("keys"), list):
            raise TemporarilyUnavailable(f"{self._url} offers no revocation feed")
        self._knowledge.set_feed_keys(feed["keys"])
        self._metadata, self._metadata_at = metadata, self._monotonic()

    def _find_metadata(self, timeout: float | None) -> dict[str, Any]:
        # What an issuer with a path has at its first place depends on what its host serves there: perhaps a page.
        faults = []
        for place in self._places:
            try:
                metadata = self._document(place, timeout)
                if metadata.get("issuer") == self._url:
                    # Asked first from now on.
                    self._places = (place, *(other for other in self._places if other != place))
                    return metadata
                faults.append(f"the metadata found at {place} is another issuer's")
            except UnusableAnswer as fault:
                faults.append(fault.description)
        raise TemporarilyUnavailable("; ".join(faults))

    def _document(self, url: str, timeout: float | None) -> dict[str, Any]:
        body = self._transport.get(url, limit=DOCUMENT_LIMIT, timeout=timeout)
        try:
            return parse_json_object(body, error=UnusableAnswer)
        except UnusableAnswer as fault:
            raise UnusableAnswer(f"{url} is no JSON document: {fault.description}") from None
