"""Sending one mail: by SMTP, or by handing it to the `sendmail` program."""

import smtplib
import ssl
import subprocess
from email.message import EmailMessage
from email.policy import default
from typing import Final

from nightdrop.errors import NightdropError
from nightdrop.mailing import MailSettings
from nightdrop.text import harmless

_TIMEOUT: Final = 60


class NotSentError(NightdropError):
    """A mail that could not be sent now."""


def send(mail: EmailMessage, settings: MailSettings) -> None:
    """Send a mail to everybody it is for; NotSentError if not one of them will get it."""
    try:
        if settings.server:
            _by_smtp(mail, settings)
        else:
            _by_sendmail(mail, settings)
    except smtplib.SMTPException as error:
        raise NotSentError(
            f"{settings.server}:{settings.port} does not take the mail: {harmless(str(error))}",
            "see `server`, `security`, `user` and `password_file` under [check.mail] in mirror.toml",
        ) from error
    except UnicodeError as error:
        raise NotSentError(
            f"the user and password for {settings.server}:{settings.port} are not in ASCII",
            "no mail server's login takes others: choose another password",
        ) from error
    except (OSError, subprocess.SubprocessError) as error:
        whom = f"{settings.server}:{settings.port}" if settings.server else str(settings.sendmail)
        raise NotSentError(f"{whom}: {harmless(str(error))}") from error


def _by_smtp(mail: EmailMessage, settings: MailSettings) -> None:
    context = ssl.create_default_context(cafile=settings.ca and str(settings.ca))
    if settings.security == "tls":
        connection: smtplib.SMTP = smtplib.SMTP_SSL(
            settings.server, settings.port, timeout=_TIMEOUT, context=context
        )
    else:
        connection = smtplib.SMTP(settings.server, settings.port, timeout=_TIMEOUT)
    with connection:
        if settings.security == "starttls":
            connection.starttls(context=context)
        if settings.user:
            password = settings.password.read_text().rstrip("\r\n") if settings.password else ""
            connection.login(settings.user, password)
        connection.send_message(mail, settings.sender, list(settings.to))


def _by_sendmail(mail: EmailMessage, settings: MailSettings) -> None:
    command = [str(settings.sendmail), "-i", "-f", settings.sender, "--", *settings.to]
    done = subprocess.run(
        command, input=mail.as_bytes(policy=default), capture_output=True, timeout=_TIMEOUT, check=False
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip() or f"exit status {done.returncode}"
        raise NotSentError(f"{settings.sendmail}: {harmless(said)}")
