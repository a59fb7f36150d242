"""A real mail server for tests: STARTTLS, or TLS from the start, and a password, on loopback."""

import email
import email.policy
import ipaddress
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from certificates import make_certificate, to_pem

from mirrors import PATIENCE
from ports import free_port

USER, PASSWORD = "nightdrop", "a secret"


class MailServer:
    """Takes mails from whoever knows the password, over TLS only."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.certificate = folder / "mail.pem"
        self.key = folder / "mail.key"
        self.tls = False
        self.mails: list[EmailMessage] = []
        self.envelopes: list[Envelope] = []
        _make_certificate(self.certificate, self.key)
        (folder / "smtp.password").write_text(f"{PASSWORD}\n")
        self.settings = (
            "[check.mail]\n"
            'to = ["admin@example.org", "second@example.org"]\nfrom = "mirror@example.org"\n'
            f'server = "127.0.0.1:{self.port}"\nca = "{self.certificate}"\n'
            f'user = "{USER}"\npassword_file = "{folder / "smtp.password"}"\n'
        )

    async def handle_DATA(self, server: object, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert (self.tls or session.ssl is not None) and session.authenticated
        assert isinstance(envelope.content, bytes)
        self.envelopes.append(envelope)
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 taken"

    @contextmanager
    def running(self, tls: bool = False) -> Iterator[None]:
        """Serve while the block runs; with `tls`, TLS comes first (RFC 8314)."""
        self.tls = tls
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key)
        controller = Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            ready_timeout=PATIENCE,
            **({"ssl_context": context} if tls else {"tls_context": context, "require_starttls": True}),
            auth_require_tls=not tls,
            auth_required=True,
            authenticator=_authenticate,
        )
        controller.start()
        try:
            yield
        finally:
            controller.stop()


def _authenticate(
    server: object, session: object, envelope: object, mechanism: str, login: object
) -> AuthResult:
    assert isinstance(login, LoginPassword)
    known = (login.login, login.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=known, handled=False)


def _make_certificate(path: Path, key_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    vouches_for_itself = x509.BasicConstraints(ca=True, path_length=0)
    made = make_certificate(key, "mail server", vouches_for_itself, extensions=(address,))
    path.write_bytes(to_pem(made))
    key_path.write_bytes(to_pem(key))
