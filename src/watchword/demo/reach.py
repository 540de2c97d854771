"""How a change reaches an API: asking until the answer turns, at several processes at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event, Thread
from time import monotonic, perf_counter, sleep
from typing import Any, Final

from watchword.demo.exchange import Exchange, Party
from watchword.demo.scene import Misbehaved, Step

__all__ = ["PATIENCE", "reach", "until"]

PATIENCE: Final = 10.0
_PAUSE: Final = 0.0005


def until(status: int, party: Party, method: str, path: str, **more: Any) -> Exchange:
    """The first answer of that status.

    Raises:
        Misbehaved: it does not come.
    """
    deadline = monotonic() + PATIENCE
    while True:
        exchange = party.ask(method, path, **more)
        if exchange.status == status:
            return exchange
        if monotonic() > deadline:
            raise Misbehaved(f"{party.name} should answer {status}, and answers {exchange.status}")
        sleep(_PAUSE)


def reach(step: Step, change: Callable[[], object], asks: Sequence[Callable[[], Exchange]]) -> list[float]:
    """Make a *change* and let every one of *asks* run until it sees it; milliseconds from the change's answer on.

    Raises:
        Misbehaved: one of them never sees it.
    """
    heard: list[Exchange | Exception | None] = [None] * len(asks)
    ended = [0.0] * len(asks)
    changed = Event()

    def listen(number: int) -> None:
        changed.wait(PATIENCE)
        try:
            heard[number] = asks[number]()
        except Exception as fault:  # told by the step, which runs in the story's own thread
            heard[number] = fault
        ended[number] = perf_counter()

    threads = [Thread(target=listen, args=(number,)) for number in range(len(asks))]
    for thread in threads:
        thread.start()
    try:
        change()
    finally:
        began = perf_counter()
        changed.set()
        for thread in threads:
            thread.join()
    for outcome in heard:
        if isinstance(outcome, Exchange):
            step.exchanges.append(outcome)
        elif outcome is not None:
            raise outcome
    return [(end - began) * 1000 for end in ended]
