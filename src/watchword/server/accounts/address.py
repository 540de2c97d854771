"""The e-mail address and the user name: one account for each normalised form.

The documented rule: an address is checked against RFC 5321/6531 grammar, its domain is lower-cased
and written in Unicode, its local part is compared without case, the whole in NFC. Dots and ``+tags``
stay: they are different mailboxes at most providers. ``=?`` is refused: a mail program reads what it
begins as an encoded word (RFC 2047), and what that decodes to, a line break too, would be the header.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from watchword.errors import InvalidInput

__all__ = ["LONGEST", "email_key", "normalise_email", "normalise_name", "normalise_username", "same_mailbox"]

LONGEST: Final = 320
"""Characters of an address, and bytes too as far as anybody accepts one (RFC 3696 errata 1690)."""
_LONGEST_NAME: Final = 200
_USERNAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?\Z")


def normalise_email(email: str) -> tuple[str, str]:
    """The address to show and write to, and the key that must be unique.

    Raises:
        InvalidInput: it is not an address.
    """
    from email_validator import EmailNotValidError, validate_email  # 30 ms: a log-in never needs it

    if len(email) > LONGEST or not email.isprintable() or "=?" in email:
        raise InvalidInput(errors=[("email", "is not an e-mail address")])
    try:
        found = validate_email(
            email,
            check_deliverability=False,
            allow_quoted_local=False,
            allow_domain_literal=False,
            test_environment=True,
        )
    except EmailNotValidError:
        raise InvalidInput(errors=[("email", "is not an e-mail address")]) from None
    return found.normalized, email_key(found.normalized)


def email_key(email: str) -> str:
    """The form under which an address is looked up; total: a text that is no address finds nobody."""
    text = email.strip()
    if len(text) > LONGEST:
        return text[: LONGEST + 1]  # no address is that long, and NFC of so much would hold the loop
    if text.isascii() and "xn--" not in text.lower():
        return text.lower()
    local, at, domain = unicodedata.normalize("NFC", text).rpartition("@")
    return f"{local.casefold()}{at}{_unicode_domain(domain.lower())}"


def same_mailbox(one: str, other: str) -> bool:
    """Whether two addresses as they are shown are one mailbox, because they differ in case alone.

    Two that share a key may be two mailboxes: the key takes ``ß`` for ``ss``, so that no two accounts look alike.
    """
    return one.lower() == other.lower()


def _unicode_domain(domain: str) -> str:
    import idna  # an ASCII address, and nearly every one is, never needs it

    try:
        return idna.decode(domain, uts46=True)
    except (idna.IDNAError, UnicodeError):
        return domain


def normalise_username(username: str) -> tuple[str, str]:
    """The user name to show and the key that must be unique: 1-64 of ``a-z 0-9 . _ -``, without case.

    ASCII alone, so that no two names look alike; no ``@``, so that none looks like an address.

    Raises:
        InvalidInput: it is not a user name.
    """
    key = username[:65].lower()
    if len(username) > 64 or not _USERNAME.match(key):
        raise InvalidInput(
            errors=[("username", "must be 1 to 64 of a-z 0-9 . _ - and begin and end with a letter or digit")]
        )
    return username, key


def normalise_name(name: str) -> str:
    """A person's name to show: NFC, one line, 1-200 characters.

    Raises:
        InvalidInput: it is empty, too long or holds control characters.
    """
    text = name.strip()
    # NFC makes one letter of up to four; it takes the square of a run of marks, so what is too long goes first.
    text = unicodedata.normalize("NFC", text) if len(text) <= 4 * _LONGEST_NAME else ""
    if (
        not text
        or len(text) > _LONGEST_NAME
        or any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in text)
    ):
        raise InvalidInput(errors=[("name", "must be 1 to 200 printable characters")])
    return text
