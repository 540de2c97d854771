"""``python -m watchword``: the command line."""

from __future__ import annotations

from watchword.cli.main import main

if __name__ == "__main__":
    main()
