"""A mail to whom mirror.toml names, in plain text."""

from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid

from nightdrop.mailing import MailSettings


def compose(subject: str, text: str, settings: MailSettings) -> EmailMessage:
    """The mail; `subject` is one line."""
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = subject
    mail["From"] = Address("Nightdrop", addr_spec=settings.sender)
    mail["To"] = ", ".join(settings.to)
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = make_msgid(domain=settings.sender.rpartition("@")[2])
    # RFC 3834: nobody's holiday notice need answer this.
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(text, cte="quoted-printable")
    return mail
