"""Django wants its settings before anything of it is imported."""

from __future__ import annotations

import tests.frameworks.django_project  # noqa: F401
