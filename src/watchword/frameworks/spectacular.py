"""drf-spectacular: protected views of Django REST framework name their security scheme in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

__all__ = ["AuthenticationExtension"]


class AuthenticationExtension(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """``Authentication`` is a bearer token. Being defined registers it."""

    target_class = "watchword.frameworks.rest_framework.Authentication"
    match_subclasses = True
    name = "Bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """The security scheme object (OpenAPI 3.1 4.8.27)."""
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "An access token (RFC 6750, RFC 9068)",
        }
