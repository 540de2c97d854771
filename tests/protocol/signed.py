"""Signed requests made by hand, so that they can be wrong in one way at a time (RFC 9421 2.5)."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field, replace
from typing import Any, Self

from watchword.jose.jwk import Key
from watchword.protocol.signature import TAG

ORIGIN = "https://api.example.com"


@dataclass(frozen=True)
class Draft:
    """A request on its way to be signed: what is said of it, which of that is covered, and what is sent in the end."""

    method: str = "GET"
    target: str = "/me"
    body: bytes = b""
    content_type: str = "application/json"
    origin: str = ORIGIN
    covered: tuple[str, ...] | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    label: str = "sig"

    def but(self, **members: Any) -> Self:
        """The same with something else."""
        return replace(self, **members)

    @property
    def digest(self) -> str:
        return f"sha-256=:{base64.b64encode(hashlib.sha256(self.body).digest()).decode()}:"

    @property
    def components(self) -> dict[str, str]:
        path, _, query = self.target.partition("?")
        values = {
            "@method": self.method,
            "@target-uri": self.origin + self.target,
            "@authority": self.origin.partition("://")[2],
            "@path": path,
            "@query": "?" + query,
            "@scheme": self.origin.partition("://")[0],
        }
        if self.body:
            values |= {"content-type": self.content_type, "content-digest": self.digest}
        return values

    def sign(self, key: Key, keyid: str, now: float) -> dict[str, str]:
        """The header fields of the request, signature and all."""
        whole = ("@method", "@target-uri", *(("content-type", "content-digest") if self.body else ()))
        covered = whole if self.covered is None else self.covered
        given = {"created": int(now), "keyid": keyid, "nonce": f"nonce-{id(self)}-{now}", "tag": TAG}
        given |= self.parameters
        names = " ".join(f'"{name}"' for name in covered)
        said = "".join(
            f";{name}={value}" if isinstance(value, int) else f';{name}="{value}"'
            for name, value in given.items()
            if value is not None
        )
        inner = f"({names}){said}"
        lines = [f'"{name}": {self.components[name]}' for name in covered]
        base = "\n".join([*lines, f'"@signature-params": {inner}'])
        made = base64.b64encode(key.sign(base.encode())).decode()
        fields = {"Signature-Input": f"{self.label}={inner}", "Signature": f"{self.label}=:{made}:"}
        if self.body:
            fields |= {"Content-Type": self.content_type, "Content-Digest": self.digest}
        return fields
