"""The stores under examination."""

from __future__ import annotations

import pytest

# The exam states its claims with ``assert``; a failed one shows both sides, as in a test.
pytest.register_assert_rewrite("watchword.server.store.conformance")
