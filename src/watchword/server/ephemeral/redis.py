"""Counters in Valkey or Redis: one script decides about one attempt, by the clock of the server that runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha1
from typing import Any, Final, Literal, Self

from watchword.errors import ConfigurationError, TemporarilyUnavailable
from watchword.server.ephemeral.counters import DOUBLINGS, Count, Verdict

__all__ = ["RedisCounters"]

_PATIENCE: Final = 1.0
"""Seconds to connect, and to wait for an answer: people wait behind it."""

_TOGETHER: Final = 100
"""Attempts that travel together."""

_SCRIPT: Final = f"""
local now, how = tonumber(ARGV[1]), ARGV[2]
if now < 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
if #KEYS == 0 then
  return {{0, how == 'matched' and 1 or 0, -1}}
end
local held = redis.call('MGET', unpack(KEYS))
local full, strikes, missing = {{}}, {{}}, {{}}
local longest, dry, silent = 0, 0, false
for i = 1, #KEYS do
  local at = 2 + (i - 1) * 6
  local binds, room, last = ARGV[at + 1], tonumber(ARGV[at + 4]), tonumber(ARGV[at + 6])
  full[i], strikes[i] = now, 0
  if held[i] then
    local full_at, struck = string.match(held[i], '^(%d+) (%d+)$')
    full_at, struck = tonumber(full_at), tonumber(struck)
    if full_at + (struck > 0 and last or 0) > now then
      full[i], strikes[i] = full_at, struck
    end
  end
  missing[i] = math.min(full[i] - now - room, last)
  if missing[i] > 0 and binds == 'silently' then
    silent = true
  elseif missing[i] > longest and binds == 'openly' then
    longest, dry = missing[i], i
  end
end
if how == 'look' or longest > 0 then
  return {{math.ceil(longest / 1000000), 0, dry - 1}}
end
if how == 'matched' and not silent then
  for i = 1, #KEYS do
    if held[i] and ARGV[2 + (i - 1) * 6 + 2] == '1' then
      redis.call('DEL', KEYS[i])
    end
  end
  return {{0, 1, -1}}
end
for i = 1, #KEYS do
  if missing[i] <= 0 then
    local at = 2 + (i - 1) * 6
    local spacing, room = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
    local first, last = tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6])
    local fill, struck = math.max(full[i], now) + spacing, strikes[i]
    if fill - now > room then
      struck = struck + 1
      fill = now + room + math.min(first * 2 ^ math.min(struck - 1, {DOUBLINGS}), last)
    end
    local kept = fill - now + (struck > 0 and last or 0)
    redis.call('SET', KEYS[i], string.format('%.0f %d', fill, struck), 'PX', math.ceil(kept / 1000))
  end
end
return {{0, 0, -1}}
"""
_DIGEST: Final = sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()


@dataclass(slots=True)
class RedisCounters:
    """Counters that all share who share a Valkey or Redis and a master key (``counters.Counters``); use ``open``.

    Names are digests under a key of ours, so that neither a reader of the database learns them nor another
    server falls in with us. There is one connection: attempts that come while it is at work travel together.
    """

    client: Any = field(repr=False)
    digest: Callable[[str], bytes] = field(repr=False)
    clock: Callable[[], float] | None = None
    _waiting: list[_Asked] = field(default_factory=list, repr=False)
    _carrying: asyncio.Task[None] | None = field(default=None, repr=False)

    @classmethod
    def open(cls, url: str, digest: Callable[[str], bytes], clock: Callable[[], float] | None = None) -> Self:
        """Counters at *url*; a connection is made when one is needed.

        Args:
            url: ``redis://``, ``rediss://`` (TLS) or ``unix://``, with user name and password where needed.
            digest: of a bucket's name.
            clock: seconds; without, the clock of the server.

        Raises:
            ConfigurationError: the driver is not installed, or the URL is none.
        """
        try:
            from redis.asyncio import Redis
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff
            from redis.exceptions import ConnectionError as Broken
        except ImportError:
            raise ConfigurationError("redis: it needs its driver: pip install 'watchword[redis]'") from None
        try:
            client = Redis.from_url(
                url,
                socket_timeout=_PATIENCE,
                socket_connect_timeout=_PATIENCE,
                # A connection that lay idle may be gone: a second one is tried. A slow answer is not asked again.
                retry=Retry(NoBackoff(), 1, supported_errors=(Broken,)),
                client_name="watchword",
            )
        except (ValueError, TypeError):
            raise ConfigurationError("redis: it is no URL that the driver can read") from None
        return cls(client, digest, clock)

    async def look(self, counts: Sequence[Count]) -> Verdict:
        """How long to wait."""
        return await self._ask("look", counts)

    async def settle(self, counts: Sequence[Count], matched: bool) -> Verdict:
        """Count or forget."""
        return await self._ask("matched" if matched else "failed", counts)

    async def sweep(self, limit: int) -> int:
        """Nothing to do: each bucket is written with its end."""
        return 0

    async def eviction(self) -> str | None:
        """The policy by which it throws counters away when its memory is full; ``None``: by none, or it doesn't say."""
        from redis.exceptions import RedisError

        with suppress(RedisError, OSError, TimeoutError):
            policy = (await self.client.info("memory")).get("maxmemory_policy", "noeviction")
            return None if policy == "noeviction" else str(policy)
        return None

    async def close(self) -> None:
        """End what is under way, and the connection."""
        if self._carrying is not None:
            self._carrying.cancel()
            await asyncio.gather(self._carrying, return_exceptions=True)
        with suppress(Exception):
            await self.client.aclose()

    async def _ask(self, how: Literal["look", "matched", "failed"], counts: Sequence[Count]) -> Verdict:
        # In a cluster all buckets of an attempt must lie on one node: what is in braces decides.
        keys = [b"{watchword}" + self.digest(count.name) for count in counts]
        arguments: list[Any] = [-1 if self.clock is None else int(self.clock() * 1_000_000), how]
        for count in counts:
            limit = count.limit
            arguments += (count.binds, int(count.forgotten), limit.spacing, limit.room)
            arguments += (limit.first, limit.longest)
        answer: asyncio.Future[Sequence[int]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Asked((_DIGEST, len(keys), *keys, *arguments), answer))
        if self._carrying is None or self._carrying.done():
            self._carrying = asyncio.create_task(self._carry())
        wait, told, dry = await answer
        return Verdict(wait, bool(told), dry)

    async def _carry(self) -> None:
        """Bring what waits, and what comes meanwhile."""
        while self._waiting:
            batch = self._waiting[:_TOGETHER]
            del self._waiting[:_TOGETHER]
            try:
                for asked, answer in zip(batch, await self._answers(batch), strict=True):
                    asked.tell(answer)
            finally:
                for asked in batch:
                    asked.tell(TemporarilyUnavailable("the counters do not answer: closed"))

    async def _answers(self, batch: Sequence[_Asked]) -> Sequence[Any]:
        from redis.exceptions import NoScriptError, RedisError

        try:
            async with asyncio.timeout(2 * _PATIENCE):
                answers = await self._send(batch)
                if any(isinstance(answer, NoScriptError) for answer in answers):
                    # It knows no script yet, or no more; so none of these did anything.
                    await self.client.script_load(_SCRIPT)
                    answers = await self._send(batch)
        except (RedisError, OSError, TimeoutError) as broken:
            answers = [broken] * len(batch)
        return [
            TemporarilyUnavailable(f"the counters do not answer: {type(answer).__name__}")
            if isinstance(answer, Exception)
            else answer
            for answer in answers
        ]

    async def _send(self, batch: Sequence[_Asked]) -> Sequence[Any]:
        async with self.client.pipeline(transaction=False) as line:
            for asked in batch:
                line.evalsha(*asked.arguments)
            answers: Sequence[Any] = await line.execute(raise_on_error=False)
            return answers


@dataclass(frozen=True, slots=True)
class _Asked:
    """One attempt on its way."""

    arguments: tuple[Any, ...]
    answer: asyncio.Future[Sequence[int]]

    def tell(self, answer: Sequence[int] | Exception) -> None:
        """Once; who does not wait any more is told nothing."""
        if self.answer.done():
            return
        if isinstance(answer, Exception):
            self.answer.set_exception(answer)
        else:
            self.answer.set_result(answer)
