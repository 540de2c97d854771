"""What verifiers and probes read: key set, metadata, revocation feed, health. Prebuilt bytes where they stand still."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from functools import lru_cache
from hmac import compare_digest
from typing import Any, Final

from watchword.errors import InvalidRequest, InvalidToken, NotFound
from watchword.jose.algorithms import ASYMMETRIC
from watchword.protocol.challenge import parse_authorization
from watchword.protocol.metadata import (
    JWKS_PATH,
    REVOCATIONS_JWKS,
    REVOCATIONS_PATH,
    REVOCATIONS_STREAM_PATH,
)
from watchword.protocol.revocation_list import MAX_NONCE
from watchword.server.feed.channel import PIECE, pieces
from watchword.server.services import Services
from watchword.server.web.request import Request
from watchword.server.web.responses import NO_STORE, Response, json_response

__all__ = ["healthz", "jwks", "metadata", "metadata_document", "metrics", "readyz", "revocations", "stream"]

_PUBLIC: Final = {"Cache-Control": "public, max-age=60"}
_UP: Final = Response(200, b'{"status":"ok"}', headers=NO_STORE)
_JWT: Final = "application/jwt"


async def jwks(services: Services, request: Request) -> Response:
    """``GET /.well-known/jwks.json``: the keys that verify access tokens (RFC 7517 5)."""
    return _public(services.keys.jwks_bytes())


@lru_cache(4)
def _public(body: bytes) -> Response:
    return Response(200, body, headers=_PUBLIC)


async def metadata(services: Services, request: Request) -> Response:
    """``GET /.well-known/oauth-authorization-server``: what this server offers (RFC 8414 3)."""
    return json_response(metadata_document(services), headers=_PUBLIC)


def metadata_document(services: Services) -> dict[str, Any]:
    """The metadata: only what is really there (RFC 8414 2)."""
    policy = services.introspection.policy
    issuer = policy.issuer
    return {
        "issuer": issuer,
        "jwks_uri": issuer + JWKS_PATH,
        "response_types_supported": [],
        "grant_types_supported": [],
        "service_documentation": issuer + "/docs",
        "access_token_signing_alg_values_supported": sorted(
            ASYMMETRIC & {key.algorithm for key in services.keys.keyset}
        ),
        "watchword_login_endpoint": issuer + "/auth/login",
        "watchword_token_endpoint": issuer + "/auth/token",
        "watchword_logout_endpoint": issuer + "/auth/logout",
        "watchword_registration_endpoint": issuer + "/auth/register",
        "watchword_revocations_endpoint": issuer + REVOCATIONS_PATH,
        "watchword_revocations_stream_endpoint": issuer + REVOCATIONS_STREAM_PATH,
        REVOCATIONS_JWKS: services.keys.feed_jwks(),
    }


async def revocations(services: Services, request: Request) -> Response:
    """``GET /revocations``: the feed as one signed message; ``after``: what came since; ``nonce``: as of now."""
    edition = services.feed.edition(request.header_values("authorization"))
    await services.feed.ensure_speaking()
    after = _after(request)
    if after is not None:
        nonce, mark = request.query.get("nonce"), request.query.get("mark")
        if nonce is None:
            after = await services.feed.place(after, mark)
            return _message(edition.delta(after), {"Cache-Control": "no-cache"})
        if not nonce.isascii() or not nonce.isprintable() or not 0 < len(nonce) <= MAX_NONCE:
            raise InvalidRequest(f"nonce must be up to {MAX_NONCE} characters of ASCII")
        return Response(200, await services.feed.answer(after, nonce, edition, mark=mark), _JWT, NO_STORE)
    snapshot = edition.snapshot()
    shared = "private" if request.header_values("authorization") else "public"
    headers = {"Cache-Control": f"{shared}, max-age=1", "ETag": snapshot.etag, "Vary": "Authorization"}
    asked = (tag.strip().removeprefix("W/") for tag in (request.header("if-none-match") or "").split(","))
    if snapshot.etag in asked:
        return Response(304, media_type="", headers=headers)
    return _message(snapshot.body, headers)


async def stream(services: Services, request: Request) -> Response:
    """``GET /revocations/stream``: the feed as server-sent events; ``Last-Event-ID`` or ``after`` resumes."""
    edition = services.feed.edition(request.header_values("authorization"))
    await services.feed.ensure_speaking()
    after = await services.feed.place(_after(request) or 0, request.query.get("mark"))
    return Response(
        200,
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        stream=services.feed.stream(request.header("last-event-id"), after=after, edition=edition),
    )


def _message(body: bytes, headers: Mapping[str, str]) -> Response:
    if len(body) <= PIECE:
        return Response(200, body, _JWT, headers)
    # A client that does not read holds one piece, not a copy of the log.
    length = {"Content-Length": str(len(body))}
    return Response(200, media_type=_JWT, headers={**headers, **length}, stream=_sent(body))


async def _sent(body: bytes) -> AsyncIterator[bytes]:
    for piece in pieces(body):
        yield piece


def _after(request: Request) -> int | None:
    after = request.query.get("after")
    if after is None:
        return None
    if not after.isascii() or not after.isdigit() or len(after) > 18:
        raise InvalidRequest("after must be a sequence")
    return int(after)


async def healthz(services: Services, request: Request) -> Response:
    """``GET /healthz``: the process is up."""
    return _UP


async def readyz(services: Services, request: Request) -> Response:
    """``GET /readyz``: it may get traffic: the store answers and no drain is under way."""
    if services.feed.closed:
        return Response(503, b'{"status":"draining"}', headers={**NO_STORE, "Retry-After": "1"})
    await services.store.ready()
    # Counters that are away stop nobody: this process counts for itself, so it may get traffic all the same.
    counters = "away" if services.counters_away else "ok"
    return json_response({"status": "ok", "sequence": services.feed.sequence, "counters": counters})


async def metrics(services: Services, request: Request) -> Response:
    """``GET /metrics``: everything counted, in the text form of Prometheus, for those who may read it.

    Raises:
        NotFound: nobody may, here.
        MissingCredentials, InvalidToken: its token isn't shown.
    """
    policy = request.dispatcher.policy.metrics
    if policy.place == "token":
        credentials = parse_authorization(request.header_values("authorization"))
        given = credentials.token.encode("latin-1", "replace")
        if credentials.scheme != "bearer" or not compare_digest(given, policy.token.encode()):
            raise InvalidToken("this is not the metrics token")
    elif policy.place != "public":
        raise NotFound("no metrics are served here: set METRICS, for instance to 127.0.0.1:9464")
    return Response(
        200, request.dispatcher.observer.metrics(), "text/plain; version=0.0.4; charset=utf-8", NO_STORE
    )
