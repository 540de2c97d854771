"""What a mail says. No word of a stranger's stands in one, so nobody writes to others in our name."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email import message_from_bytes
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid, parseaddr
from urllib.parse import urlsplit

__all__ = [
    "Letter",
    "address_changed",
    "compose",
    "confirm_address",
    "mailbox",
    "password_changed",
    "reset_link",
]


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail to one person; its text may hold a secret."""

    to: str
    subject: str
    text: str = field(repr=False)


def reset_link(to: str, issuer: str, link: str, lifetime: timedelta) -> Letter:
    """The link by which to choose another password."""
    minutes = max(1, int(lifetime.total_seconds()) // 60)
    return Letter(
        to,
        f"Choose a new password at {_host(issuer)}",
        f"Somebody asked for a new password for your account at {issuer}\n\n"
        f"If it was you, choose one here within {minutes} {'minute' if minutes == 1 else 'minutes'}:\n\n"
        f"{link}\n\n"
        "The link works once, and all your devices will be logged out.\n"
        "If it was not you, do nothing: your password stays as it is.\n",
    )


def confirm_address(to: str, issuer: str, link: str, lifetime: timedelta) -> Letter:
    """The link that makes this address the one of an account."""
    minutes = max(1, int(lifetime.total_seconds()) // 60)
    return Letter(
        to,
        f"Confirm your email address at {_host(issuer)}",
        f"Someone wants to use this address for an account at {issuer}\n\n"
        f"If that's you, confirm it within {minutes} {'minute' if minutes == 1 else 'minutes'}:\n\n"
        f"{link}\n\n"
        "The link works once. If it isn't you, do nothing: your address isn't used.\n",
    )


def password_changed(to: str, issuer: str, at: datetime) -> Letter:
    """The password is another one: whoever did not do it learns of it (ASVS 6.3.7)."""
    return Letter(
        to,
        f"Your password at {_host(issuer)} was changed",
        f"The password of your account at {issuer} was changed on {_moment(at)}.\n"
        "Your other devices were logged out.\n\n" + _ALARM.format(issuer=issuer),
    )


def address_changed(to: str, issuer: str, at: datetime) -> Letter:
    """Word to the old address that there is a new one."""
    return Letter(
        to,
        f"Your e-mail address at {_host(issuer)} was changed",
        f"The e-mail address of your account at {issuer} was changed on {_moment(at)}.\n"
        "Mail goes to the new one from now on.\n\n"
        "If it was not you, tell whoever runs that server at once.\n",
    )


def compose(letter: Letter, sender: str, at: datetime) -> EmailMessage:
    """The message (RFC 5322), in plain text.

    Raises:
        ValueError: an address in it would be written as something else.
    """
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    to = mailbox(letter.to)
    local, _, domain = to.rpartition("@")
    message["To"] = Address(username=local, domain=domain)
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(at)
    message["Message-ID"] = make_msgid(domain=mailbox(sender).rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 5: no holiday answers
    message.set_content(letter.text, cte="7bit" if letter.text.isascii() else "quoted-printable")
    _check_written(message, to, sender)
    return message


def mailbox(address: str) -> str:
    """The address alone, its domain in ASCII, so that only a local part may need SMTPUTF8 (RFC 6531).

    Raises:
        ValueError: it is not one address, or begins an encoded word (RFC 2047 2).
    """
    # The reader goes a step deeper at each bracket.
    local, _, domain = parseaddr(address if len(address) <= _LONGEST else "")[1].rpartition("@")
    if not (local and domain and address.isprintable()) or "=?" in local + domain:
        raise ValueError("is not one e-mail address")
    return f"{local}@{_ascii(domain)}"


def _check_written(message: EmailMessage, to: str, sender: str) -> None:
    # The library decodes and folds as it writes: what it wrote is read again as a relay reads it.
    policy = SMTP.clone(utf8=not (to + mailbox(sender)).isascii())
    written = message_from_bytes(message.as_bytes(policy=policy), policy=SMTP)
    if written.keys() != message.keys() or str(written["To"]) != to:
        raise ValueError("is written as something else")


def _ascii(domain: str) -> str:
    if domain.isascii():
        return domain
    import idna

    return idna.encode(domain, uts46=True).decode()


def _host(issuer: str) -> str:
    return urlsplit(issuer).netloc


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d} at {at:%H:%M} UTC"


_LONGEST = 640
"""Characters of an address with a name before it."""
_ALARM = (
    "If it was not you, choose another one at once:\n\n"
    "{issuer}/forgot\n\n"
    "and tell whoever runs that server.\n"
)
