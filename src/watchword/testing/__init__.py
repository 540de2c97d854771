"""The test kit of an API: an issuer in the test's own process, whose tokens are real and whose clock a test moves.

::

    def test_a_banned_user_is_refused():
        issuer = PretendIssuer()
        client = TestClient(create_app(issuer.guard()))
        ada = issuer.headers(subject="usr_ada")
        assert client.get("/me", headers=ada).status_code == 200
        issuer.revoke(subject="usr_ada")
        assert client.get("/me", headers=ada).status_code == 401
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from watchword.testing.issuer import Clock, PretendIssuer

__all__ = ["Clock", "PretendIssuer"]


def __getattr__(name: str) -> Any:
    """Import the issuer when it is asked for: every pytest run passes here on its way to the plug-in."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from watchword.testing import issuer

    return getattr(issuer, name)
