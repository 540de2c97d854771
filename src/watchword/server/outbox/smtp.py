"""Mail is handed to a relay by SMTP (RFC 5321), encrypted (RFC 3207, RFC 8314) unless it is on this machine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from watchword.server.outbox.letter import Letter, compose, mailbox
from watchword.server.outbox.mail import Undelivered
from watchword.server.policies import MailPolicy

__all__ = ["Smtp"]


@dataclass(frozen=True, slots=True)
class Smtp:
    """Carries letters to the relay of *policy* (``mail.Carrier``)."""

    policy: MailPolicy
    now: Callable[[], datetime]

    async def carry(self, letter: Letter) -> None:
        """Hand one over, on a connection of its own: there are few.

        Raises:
            Undelivered: it was not taken; without a word of what the relay said, which may repeat ours.
        """
        import aiosmtplib  # a server that sends no mail does not load it

        policy = self.policy
        try:
            message = compose(letter, policy.sender, self.now())
            client = aiosmtplib.SMTP(
                hostname=policy.host,
                port=policy.port,
                username=policy.user,
                password=policy.password,
                use_tls=policy.security == "tls",
                start_tls=policy.security == "starttls",
                local_hostname=mailbox(policy.sender).rpartition("@")[2],
                timeout=policy.timeout.total_seconds(),
            )
            try:
                await client.connect()
                await client.send_message(
                    message, sender=mailbox(policy.sender), recipients=[mailbox(letter.to)]
                )
                with suppress(aiosmtplib.SMTPException, OSError):  # it was taken, whatever comes now
                    await client.quit()
            finally:
                client.close()  # at once: a server that ends waits for no farewell
        except aiosmtplib.SMTPRecipientsRefused as refused:
            codes = [one.code for one in refused.recipients]
            raise Undelivered(f"the recipient was refused: {codes}", final=min(codes) >= _PERMANENT) from None
        except aiosmtplib.SMTPAuthenticationError as refused:
            raise Undelivered(f"user or password of the relay were refused: {refused.code}") from None
        except aiosmtplib.SMTPResponseException as refused:
            name = type(refused).__name__
            raise Undelivered(f"{name} {refused.code}", final=refused.code >= _PERMANENT) from None
        except aiosmtplib.SMTPNotSupported:
            raise Undelivered("the relay cannot take such an address", final=True) from None
        except (aiosmtplib.SMTPException, OSError) as broken:
            raise Undelivered(type(broken).__name__) from None
        except ValueError:
            raise Undelivered("it cannot be written as a mail", final=True) from None


_PERMANENT = 500
