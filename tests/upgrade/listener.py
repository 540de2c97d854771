"""A guard in a process of its own, of whatever version is on its path: a token a line in, a verdict a line out."""

from __future__ import annotations

import sys

from watchword import Guard
from watchword.errors import WatchwordError


def main() -> None:
    """Verify every line of standard input against the issuer that the first argument names."""
    guard = Guard(sys.argv[1])
    guard.refresh()
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            guard.verify(line.strip())
        except WatchwordError as refusal:
            print(refusal.error, flush=True)
        else:
            print("accepted", flush=True)


if __name__ == "__main__":
    main()
