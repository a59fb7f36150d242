"""How a mirror's reports are mailed: the table `[check.mail]` of `mirror.toml`."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, cast

from nightdrop.configuration import Section

Security = Literal["starttls", "tls", "none"]

_ADDRESS = "an address such as admin@example.org"


@dataclass(frozen=True)
class MailSettings:
    """To whom and from whom, "" for this machine; the mail server, or "" for the `sendmail` program; `ca`
    is a file with the certificates it is trusted by (PEM), None for the system's; `password` is a file
    that holds it.
    """

    to: tuple[str, ...]
    said_sender: str
    server: str
    port: int
    security: Security
    user: str
    password: Path | None
    ca: Path | None
    sendmail: Path

    @cached_property
    def sender(self) -> str:
        """From whom. What this machine is called may have to be asked of a name server, which takes as
        long as it likes: only who mails does that.
        """
        return self.said_sender or f"nightdrop@{_host_name()}"


def read_mail_settings(mail: Section) -> MailSettings | None:
    """Read the table `[check.mail]`; None where nobody is to be mailed."""
    to = tuple(mail.texts("to", []))
    if bad := next((each for each in to if not _is_address(each)), None):
        raise mail.wrong("to", f"a list of addresses, each {_ADDRESS}", bad)
    said_sender = mail.text("from", "", _ADDRESS)
    if said_sender and not _is_address(said_sender):
        raise mail.wrong("from", _ADDRESS, said_sender)
    security = cast(Security, mail.choice("security", ("starttls", "tls", "none"), "starttls"))
    server, port = _server(mail, 465 if security == "tls" else 587)
    settings = MailSettings(
        to=to,
        said_sender=said_sender,
        server=server,
        port=port,
        security=security,
        user=mail.text("user", ""),
        password=mail.file("password_file", "x") if mail.text("password_file", "") else None,
        ca=mail.file("ca", "x") if mail.text("ca", "") else None,
        sendmail=mail.file("sendmail", "/usr/sbin/sendmail"),
    )
    mail.finish()
    return settings if to else None


def _server(mail: Section, usual_port: int) -> tuple[str, int]:
    expected = 'a mail server, such as "mail.example.org" or "mail.example.org:587"'
    text = mail.text("server", "", expected)
    host, colon, port = text.rpartition(":")
    if not colon or "]" in port:
        return text.removeprefix("[").removesuffix("]"), usual_port
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536 or not host:
        raise mail.wrong("server", expected, text)
    return host.removeprefix("[").removesuffix("]"), int(port)


def _is_address(text: str) -> bool:
    """Whether this can stand in a mail's head and envelope as it is."""
    local, at, domain = text.rpartition("@")
    plain = text.isascii() and text.isprintable() and not set(text) & set(' ,;:<>()[]"\\')
    return bool(local and at and domain) and plain and not text.startswith("-")


def _host_name() -> str:
    import socket

    return socket.getfqdn()
