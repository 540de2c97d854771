"""Everything a caller may hold, a row each: how Ada gets it, and how it goes with a request.

To add one, write how it is made and add a line to ``CREDENTIALS``: every framework, and the one ban, are tried with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from tests.frameworks.box import BOX
from tests.frameworks.wire import Request
from watchword.jose.jwe import encrypt
from watchword.protocol.basic import format_basic
from watchword.testing import PretendIssuer

ORIGIN = "https://api.example.com"

Show = Callable[[Request, str], Request]
"""A request, and the path by which the API knows it, to the request with the credential."""


class Make(Protocol):
    """Has the issuer give Ada a credential; *options* are those of its tokens."""

    def __call__(self, issuer: PretendIssuer, **options: Any) -> Show: ...


def _field(name: str, value: str) -> Show:
    return lambda request, _: replace(request, fields=(*request.fields, (name, value)))


def bearer(issuer: PretendIssuer, **options: Any) -> Show:
    return _field("Authorization", f"Bearer {issuer.token('usr_ada', **options)}")


def temporary_basic(issuer: PretendIssuer, **options: Any) -> Show:
    return _field("Authorization", issuer.basic("usr_ada", **options)["Authorization"])


def cookie(issuer: PretendIssuer, **options: Any) -> Show:
    token = issuer.token("usr_ada", **options)

    def show(request: Request, _: str) -> Request:
        # A browser says whose page opens a websocket.
        fields = (("Cookie", f"__Host-watchword={token}"), ("Origin", "https://app.example.com"))
        return replace(request, fields=(*request.fields, *fields))

    return show


def encrypted(issuer: PretendIssuer, **options: Any) -> Show:
    token = encrypt(issuer.token("usr_ada", **options), BOX, typ="at+jwt")
    return _field("Authorization", f"Bearer {token}")


def api_key(issuer: PretendIssuer, **options: Any) -> Show:
    return _field("Authorization", f"Bearer {issuer.api_key('usr_ada', **options)}")


def api_key_as_user_name(issuer: PretendIssuer, **options: Any) -> Show:
    return _field("Authorization", f"Basic {format_basic(issuer.api_key('usr_ada', **options), '')}")


def api_key_as_password(issuer: PretendIssuer, **options: Any) -> Show:
    return _field("Authorization", f"Basic {format_basic('ada', issuer.api_key('usr_ada', **options))}")


def signature(issuer: PretendIssuer, **options: Any) -> Show:
    signer = issuer.signer("usr_ada", **options)

    def show(request: Request, path: str) -> Request:
        fields = signer.sign(request.method, ORIGIN + path, request.fields, request.body)
        return replace(request, fields=(*request.fields, *fields.items()))

    return show


CREDENTIALS: Mapping[str, Make] = {
    "bearer": bearer,
    "temporary Basic": temporary_basic,
    "cookie": cookie,
    "encrypted": encrypted,
    "API key": api_key,
    "API key as user name": api_key_as_user_name,
    "API key as password": api_key_as_password,
    "signature": signature,
}

CANNOT: dict[tuple[str, str], str] = {}
"""What a framework cannot carry: (face, credential) → why. Nothing, up to now."""
