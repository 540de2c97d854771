"""Who listens to the feed: every one gets the same bytes, and who falls behind is dropped."""

from __future__ import annotations

import asyncio

__all__ = ["Listeners"]


class Listeners:
    """The open streams.

    Args:
        queue: messages a listener may lie behind. Beyond it he is dropped, never buffered without
            bound: he comes back and resumes from his cursor.
    """

    def __init__(self, queue: int) -> None:
        self._queue = queue
        self._queues: set[asyncio.Queue[bytes | None]] = set()

    def __len__(self) -> int:
        return len(self._queues)

    def join(self) -> asyncio.Queue[bytes | None]:
        """A queue of all that is told from now on; ``None`` ends it."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(self._queue)
        self._queues.add(queue)
        return queue

    def leave(self, queue: asyncio.Queue[bytes | None]) -> None:
        """Hear no more."""
        self._queues.discard(queue)

    def tell(self, frame: bytes) -> None:
        """Put one frame into every queue."""
        for queue in list(self._queues):
            try:
                queue.put_nowait(frame)
            except asyncio.QueueFull:
                self._drop(queue)

    def close(self) -> None:
        """Drop them all."""
        for queue in list(self._queues):
            self._drop(queue)

    def _drop(self, queue: asyncio.Queue[bytes | None]) -> None:
        self._queues.discard(queue)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)
