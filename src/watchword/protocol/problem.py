"""An error as a problem document (RFC 9457): the same members from the server and from every framework."""

from __future__ import annotations

from typing import Any, Final

from watchword.errors import InvalidInput, WatchwordError

__all__ = ["MEDIA_TYPE", "problem", "simple"]

MEDIA_TYPE: Final = "application/problem+json"

_REASONS: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    413: "Content Too Large",
    503: "Service Unavailable",
}


def problem(error: WatchwordError) -> dict[str, Any]:
    """The members of *error*'s problem document: ``type title status detail error``, for bad input ``errors``."""
    document: dict[str, Any] = {
        "type": f"urn:watchword:error:{error.error}",
        "title": error.title,
        "status": error.status,
        "detail": error.description,
        "error": error.error,
    }
    if isinstance(error, InvalidInput):
        document["errors"] = [{"field": name, "message": message} for name, message in error.errors]
    return document


def simple(error: WatchwordError) -> dict[str, str]:
    """The two members of a tutorial's answer: ``error`` is the status in words, ``message`` a sentence."""
    message = error.title if error.status == 401 else error.description
    return {"error": _REASONS.get(error.status, "Error"), "message": message}
