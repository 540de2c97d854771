"""A face whose framework is not installed, and what a face imports."""

from __future__ import annotations

import pytest

from tests.guard.stage import run

PACKAGES = {
    "starlette": ("starlette", "starlette"),
    "fastapi": ("fastapi", "fastapi"),
    "flask": ("flask", "flask"),
    "django": ("django", "django"),
    "rest_framework": ("rest_framework", "djangorestframework"),
    "litestar": ("litestar", "litestar"),
}


class TestMissing:
    @pytest.mark.parametrize("face", PACKAGES)
    def test_it_says_what_to_install(self, face: str) -> None:
        """The one line that mends it stands in the error."""
        module, package = PACKAGES[face]
        program = f"""
import sys
sys.modules[{module!r}] = None
try:
    import watchword.frameworks.{face}
except ModuleNotFoundError as missing:
    print(missing)
"""
        assert run(program).endswith(f"pip install {package}")

    def test_bare_starlette_is_not_enough_for_fastapi(self) -> None:
        """Without either, the line names the framework that was asked for."""
        program = """
import sys
sys.modules["starlette"] = sys.modules["fastapi"] = None
try:
    import watchword.frameworks.fastapi
except ModuleNotFoundError as missing:
    print(missing)
"""
        assert run(program).endswith("pip install fastapi")


class TestLight:
    @pytest.mark.parametrize("face", ["asgi", "wsgi"])
    def test_a_wrapper_imports_no_framework(self, face: str) -> None:
        """ASGI and WSGI are agreements, not packages."""
        program = f"""
import sys
import watchword.frameworks.{face}
print({{"starlette", "fastapi", "flask", "django", "litestar", "werkzeug"}} & set(sys.modules))
"""
        assert run(program) == "set()"
