"""A token taken apart as far as it goes, for people: unlike a guard it reads on after the first fault.

Nothing here decides over access. The strict core says whether a token stands; this says why not.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from watchword.cli.claims import claim_findings, header_findings
from watchword.cli.finding import Finding
from watchword.cli.trust import Trust
from watchword.errors import InvalidToken

if TYPE_CHECKING:
    from watchword.guard.decryption import Open

__all__ = ["Reading", "read_token"]

_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]*\Z")
_QUOTES: Final = "“”„‘’"
_MAX_LENGTH: Final = 100_000


@dataclass(frozen=True, slots=True)
class Reading:
    """What a token says and what is wrong with it.

    Attributes:
        kind: signed (JWS, three parts), encrypted (JWE, five parts), or neither.
        header: what the first part says, where it can be read at all.
        claims: what the second part says, likewise.
        verified: the signature verifies with a key that was given, and nothing else is wrong.
        findings: what there is to say, worst first.
    """

    kind: Literal["signed", "encrypted", "unknown"]
    header: Mapping[str, Any] | None = None
    claims: Mapping[str, Any] | None = None
    verified: bool = False
    findings: Sequence[Finding] = field(default_factory=tuple)


def read_token(text: str, trust: Trust | None, now: float, open_token: Open | None = None) -> Reading:
    """Read *text* aloud, and hold it against the keys of *trust* when there are any; *open_token* decrypts."""
    findings: list[Finding] = []
    text = _unwrap(text, findings)
    parts = text.split(".")
    if fault := _no_token(text, parts):
        return Reading("unknown", findings=[fault])
    header = _read_part(parts[0], "header", findings)
    if len(parts) == 5:
        return _read_encrypted(text, header, findings, trust, now, open_token)
    claims = _read_part(parts[1], "claims", findings)
    findings += _strict_findings(text)
    if header is not None:
        findings += header_findings(header)
    if len(parts) == 2 or not parts[2]:
        findings.append(Finding("error", "unsigned", "there is no signature: anybody can write such a token"))
    if claims is not None:
        findings += claim_findings(claims, header or {}, now)
    verdict, holds = _signature(text, header, trust)
    findings.append(verdict)
    verified = holds and not any(finding.level == "error" for finding in findings)
    return Reading("signed", header, claims, verified, _sorted(findings))


def _read_encrypted(
    text: str,
    header: Mapping[str, Any] | None,
    findings: list[Finding],
    trust: Trust | None,
    now: float,
    open_token: Open | None,
) -> Reading:
    """The token inside, where it can be opened."""
    if open_token is None:
        fault = _ENCRYPTED
    else:
        try:
            inner = read_token(open_token(text), trust, now)
        except InvalidToken as refused:
            fault = refused.description
        else:
            outside = header or {}
            told = f"it was encrypted ({outside.get('alg')}, {outside.get('enc')}) to the key {outside.get('kid')}"
            return replace(
                inner, findings=_sorted([*findings, Finding("note", "encrypted", told), *inner.findings])
            )
    findings.insert(0, Finding("error", "encrypted", fault))
    return Reading("encrypted", header, None, findings=_sorted(findings))


_ENCRYPTED: Final = (
    "the token is encrypted (JWE, five parts) and no key to decrypt it is configured: "
    "only its recipient can read the claims"
)


def _unwrap(text: str, findings: list[Finding]) -> str:
    """The token without what people copy along with it."""
    text = text.strip()
    if text[:7].lower() == "bearer ":
        findings.append(
            Finding("note", "scheme", "the word Bearer belongs to the header field, not to the token")
        )
        text = text[7:].strip()
    return text


def _no_token(text: str, parts: Sequence[str]) -> Finding | None:
    """Why *text* is not even the outline of a token."""
    if not text:
        return Finding("error", "empty", "there is no token")
    if text.startswith("wwr_"):
        return Finding(
            "error",
            "refresh_token",
            "this is a refresh token, not a JWT: it says nothing, belongs to POST /auth/token alone, "
            "and whoever sees it can use it",
        )
    if len(text) > _MAX_LENGTH:
        return Finding("error", "length", f"this has {len(text)} characters; a token has a few hundred")
    if len(parts) not in (2, 3, 5):
        count = "one part" if len(parts) == 1 else f"{len(parts)} parts"
        return Finding(
            "error",
            "form",
            f"this has {count}; a signed token has three (header.payload.signature), an encrypted one five",
        )
    return None


def _read_part(part: str, name: str, findings: list[Finding]) -> dict[str, Any] | None:
    """The JSON object a part holds, read leniently; what strict readers refuse in it becomes a finding."""
    raw = _decode(part, name, findings)
    if raw is None:
        return None
    twice: list[str] = []

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(found)
        if len(members) < len(found):
            counted = Counter(key for key, _ in found)
            twice.extend(sorted(key for key, count in counted.items() if count > 1))
        return members

    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        hint = " (typographic quotes: it went through a word processor)" if _has_quotes(raw) else ""
        findings.append(Finding("error", "json", f"the {name} part is not JSON{hint}"))
        return None
    findings.extend(
        Finding(
            "error", "duplicate", f"the {name} part names {key} twice: two readers may see two tokens", key
        )
        for key in twice
    )
    if not isinstance(value, dict):
        findings.append(Finding("error", "json", f"the {name} part is JSON, but not an object"))
        return None
    return value


def _has_quotes(raw: bytes) -> bool:
    return any(quote in raw.decode("utf-8", "replace") for quote in _QUOTES)


def _decode(part: str, name: str, findings: list[Finding]) -> bytes | None:
    """Base64 in any dialect; every departure from base64url is a finding (RFC 7515 2)."""
    findings.extend(
        Finding("error", "base64", f"the {name} part {departure}") for departure in _departures(part)
    )
    plain = re.sub(r"[\s=]", "", part).replace("+", "-").replace("/", "_")
    try:
        if not _BASE64URL.match(plain):
            raise ValueError(name)
        return b64decode(plain + "=" * (-len(plain) % 4), altchars=b"-_")
    except (ValueError, binascii.Error):
        findings.append(Finding("error", "base64", f"the {name} part is not base64url"))
        return None


def _departures(part: str) -> Iterator[str]:
    if "=" in part:
        yield "ends with the padding =, which strict base64url does not have"
    if "+" in part or "/" in part:
        yield "is standard base64 (+ and /); tokens use base64url (- and _)"
    if re.search(r"\s", part):
        yield "holds white space: it was broken over lines"


def _strict_findings(text: str) -> Iterator[Finding]:
    """What the strict reader of the guard refuses first, in its words."""
    from watchword.jose import jws
    from watchword.jose.encoding import parse_json_object

    try:
        parse_json_object(jws.parse(text).payload)
    except InvalidToken as fault:
        yield Finding("error", "strict", f"every guard refuses it: {fault.description}")


def _signature(text: str, header: Mapping[str, Any] | None, trust: Trust | None) -> tuple[Finding, bool]:
    """What the given keys say of the signature."""
    if trust is None:
        return Finding(
            "note", "signature", "the signature was not checked: give --jwks or --secret-file"
        ), False
    if header is None:
        return Finding(
            "error", "signature", "the signature cannot be checked: the header is unreadable"
        ), False
    return trust.check(text, header)


_RANK: Final = {"error": 0, "warning": 1, "note": 2, "good": 3}


def _sorted(findings: list[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: _RANK[finding.level])
