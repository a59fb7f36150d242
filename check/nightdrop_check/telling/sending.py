"""Sending one mail: by SMTP, or by handing it to the `sendmail` program."""

import smtplib
import socket
import ssl
import subprocess
import threading
from contextlib import suppress
from email.message import EmailMessage
from email.policy import default
from typing import Final

from nightdrop.errors import NightdropError
from nightdrop.mailing import MailSettings
from nightdrop.text import harmless
from nightdrop_check.deadline import within

_TIMEOUT: Final = 60


class NotSentError(NightdropError):
    """A mail that could not be sent now."""


def send(mail: EmailMessage, settings: MailSettings, seconds: float) -> None:
    """Send a mail to everybody it is for; NotSentError if not one of them will get it, or if it is not
    known within so many seconds that somebody will.
    """
    try:
        if settings.server:
            _Conversation(settings).hold(mail, seconds)
        else:
            _by_sendmail(mail, settings, seconds)
    except TimeoutError as error:
        raise NotSentError(f"{_whom(settings)}: it answers too slowly") from error
    except smtplib.SMTPException as error:
        raise NotSentError(
            f"{_whom(settings)} does not take the mail: {harmless(str(error))}",
            "see `server`, `security`, `user` and `password_file` under [check.mail] in mirror.toml",
        ) from error
    except UnicodeError as error:
        raise NotSentError(
            f"the user and password for {settings.server}:{settings.port} are not in ASCII",
            "no mail server's login takes others: choose another password",
        ) from error
    except (OSError, subprocess.SubprocessError) as error:
        raise NotSentError(f"{_whom(settings)}: {harmless(str(error))}") from error


def _whom(settings: MailSettings) -> str:
    return f"{settings.server}:{settings.port}" if settings.server else str(settings.sendmail)


class _Conversation:
    """One with a mail server. It may answer octet by octet, each of them in time; so when the time is
    over the line is cut, and nothing is sent any more.
    """

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings
        self._connection: smtplib.SMTP | None = None
        self._over = threading.Event()

    def hold(self, mail: EmailMessage, seconds: float) -> None:
        """Send a mail; TimeoutError if that is not done within so many seconds."""
        try:
            within(seconds, lambda: self._send(mail))
        except TimeoutError:
            # In this order: what is not connected by now finds that it is over.
            self._over.set()
            if self._connection is not None and self._connection.sock is not None:
                with suppress(OSError):
                    self._connection.sock.shutdown(socket.SHUT_RDWR)
            raise

    def _send(self, mail: EmailMessage) -> None:
        settings = self._settings
        context = ssl.create_default_context(cafile=settings.ca and str(settings.ca))
        if settings.security == "tls":
            self._connection = smtplib.SMTP_SSL(
                settings.server, settings.port, timeout=_TIMEOUT, context=context
            )
        else:
            self._connection = smtplib.SMTP(settings.server, settings.port, timeout=_TIMEOUT)
        if self._over.is_set():
            self._connection.close()
            return
        with self._connection as connection:
            if settings.security == "starttls":
                connection.starttls(context=context)
            if settings.user:
                password = settings.password.read_text().rstrip("\r\n") if settings.password else ""
                connection.login(settings.user, password)
            connection.send_message(mail, settings.sender, list(settings.to))


def _by_sendmail(mail: EmailMessage, settings: MailSettings, seconds: float) -> None:
    command = [str(settings.sendmail), "-i", "-f", settings.sender, "--", *settings.to]
    done = subprocess.run(
        command,
        input=mail.as_bytes(policy=default),
        capture_output=True,
        timeout=min(_TIMEOUT, seconds),
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip() or f"exit status {done.returncode}"
        raise NotSentError(f"{settings.sendmail}: {harmless(said)}")
