"""A mail relay of the tests: it speaks SMTP on loopback, keeps what it is handed, and refuses what it is told to."""

from __future__ import annotations

import re
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

LINK = re.compile(r"^https?://\S+\?token=(\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Mail:
    """One mail as it was handed over."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    encrypted: bool
    user: str

    @property
    def message(self) -> EmailMessage:
        found = message_from_bytes(self.raw, policy=default)
        assert isinstance(found, EmailMessage)
        return found

    @property
    def text(self) -> str:
        return str(self.message.get_content()).replace("\r\n", "\n")

    @property
    def link(self) -> str:
        found = LINK.search(self.text)
        assert found is not None, self.text
        return found[0]

    @property
    def token(self) -> str:
        return self.link.partition("?token=")[2]


@dataclass
class Mailroom:
    """What listens.

    Attributes:
        replies: what is said to a command in place of yes, by its verb; ``""`` closes the line.
        tls: with which certificate it encrypts when asked to.
        mails: what was taken, oldest first.
        silent: whether it takes what comes and never says a word.
        mute: the verb from which on it says no more.
    """

    port: int = 0
    replies: dict[str, str] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    mails: list[Mail] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    silent: bool = False
    mute: str = ""

    @property
    def settings(self) -> dict[str, str]:
        """The settings of a server that sends its mail here."""
        return {
            "smtp_host": "127.0.0.1",
            "smtp_port": str(self.port),
            "smtp_security": "none" if self.tls is None else "starttls",
            "mail_from": "Payroll <no-reply@example.com>",
        }

    def to(self, address: str) -> list[Mail]:
        return [mail for mail in self.mails if address in mail.recipients]

    def wait(self, address: str, count: int = 1) -> list[Mail]:
        """The mails to *address*, when there are so many."""
        deadline = time.monotonic() + 20
        while len(self.to(address)) < count:
            assert time.monotonic() < deadline, self.commands
            time.sleep(0.01)
        return self.to(address)


class _Conversation(socketserver.StreamRequestHandler):
    room: Mailroom

    def say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self) -> None:
        if self.room.silent:
            self.rfile.read()
            return
        self.encrypted, self.user = False, ""
        self.sender, self.recipients = "", list[str]()
        self.say("220 mailroom")
        while line := self.rfile.readline().decode().rstrip("\r\n"):
            verb = line.partition(" ")[0].upper()
            self.room.commands.append(line)
            if verb == self.room.mute:
                self.rfile.read()
                return
            reply = self.room.replies.get(verb)
            if reply is None:
                reply = self.answer(verb, line)
            elif reply == "":
                return
            self.say(reply)
            if verb == "STARTTLS" and reply.startswith("220"):
                self.encrypt()
            if verb == "QUIT":
                return

    def answer(self, verb: str, line: str) -> str:
        match verb:
            case "EHLO":
                offers = ["mailroom", "SMTPUTF8"]
                offers += ["STARTTLS"] if self.room.tls and not self.encrypted else ["AUTH PLAIN"]
                return "\r\n".join(f"250-{offer}" for offer in offers) + "\r\n250 8BITMIME"
            case "AUTH":
                self.user = line.rpartition(" ")[2]
                return "235 welcome"
            case "STARTTLS" if self.room.tls:
                return "220 go on"
            case "MAIL":
                self.sender, self.recipients = line.partition("<")[2].partition(">")[0], []
                return "250 ok"
            case "RCPT":
                self.recipients.append(line.partition("<")[2].partition(">")[0])
                return "250 ok"
            case "DATA":
                self.say("354 go on")
                lines = list(iter(self.rfile.readline, b".\r\n"))
                raw = b"".join(one.removeprefix(b".") if one.startswith(b"..") else one for one in lines)
                self.room.mails.append(
                    Mail(self.sender, tuple(self.recipients), raw, self.encrypted, self.user)
                )
                return "250 taken"
            case "QUIT":
                return "221 bye"
            case _:
                return "502 what?"

    def encrypt(self) -> None:
        assert self.room.tls is not None
        self.request = self.room.tls.wrap_socket(self.request, server_side=True)
        self.encrypted = True
        self.rfile = self.request.makefile("rb")
        self.wfile = self.request.makefile("wb", buffering=0)


class _Listener(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever hangs up in the middle is no news."""


@contextmanager
def open_mailroom(room: Mailroom) -> Iterator[Mailroom]:
    """Listen on its port, or on a free one."""
    handler = type("_Conversation", (_Conversation,), {"room": room})
    with _Listener(("127.0.0.1", room.port), handler) as listener:
        room.port = listener.server_address[1]
        thread = threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield room
        finally:
            listener.shutdown()
            thread.join()
