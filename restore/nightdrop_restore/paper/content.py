"""What stands on the paper of a key, in order; `page` makes HTML of it and `pdf` a PDF."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import segno
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from nightdrop.envelope.recipients import parse_recipients
from nightdrop_restore.paper.blocks import (
    Block,
    Code,
    Codes,
    Commands,
    Facts,
    Heading,
    Lines,
    Steps,
    Words,
)
from nightdrop_restore.paper.lines import SEPARATOR, to_lines

_LINES_IN_CODE: Final = 10

TITLE: Final = "The private key of your backups"


@dataclass(frozen=True)
class Paper:
    """What is printed: the encrypted private key and its certificate (DER)."""

    key: bytes
    certificate: bytes

    @property
    def name(self) -> str:
        """Whose key it is."""
        return self._recipient[0]

    @property
    def blocks(self) -> list[Block]:
        """All that is printed below the title."""
        name, fingerprint = self._recipient
        valid = x509.load_der_x509_certificate(self.certificate).not_valid_after_utc
        key, certificate = to_lines("K", self.key), to_lines("C", self.certificate)
        return [
            Words(
                "With this paper and its passphrase, every backup made for this key can be read; without "
                "either, none. Keep it where fire, water and burglars do not come, the passphrase "
                "somewhere else, and a second copy in another house."
            ),
            Facts(
                {
                    "whose": name,
                    "fingerprint": _spaced(fingerprint),
                    "valid until": f"{valid:%Y-%m-%d} (it opens backups after that, too)",
                    "printed": f"{datetime.now(UTC):%Y-%m-%d}",
                }
            ),
            Heading("How to get the key back"),
            _STEPS,
            Heading("The private key, encrypted: QR codes", new_page=True),
            _codes(key),
            Heading("The private key, encrypted: text", new_page=True),
            Lines(key),
            Heading("The certificate: QR codes", new_page=True),
            _codes(certificate),
            Heading("The certificate: text"),
            Lines(certificate),
        ]

    @property
    def _recipient(self) -> tuple[str, str]:
        pem = x509.load_der_x509_certificate(self.certificate).public_bytes(Encoding.PEM)
        [recipient] = parse_recipients(pem, "the certificate")
        return recipient.name, recipient.fingerprint


_MAKE_FILES: Final = r"""
tr / '\n' <lines | grep ^K | sort -u | sed 's/^....//; s/....$//' | tr -d ' \n' | base32 -d >key.der
tr / '\n' <lines | grep ^C | sort -u | sed 's/^....//; s/....$//' | tr -d ' \n' | base32 -d >cert.der
openssl pkey -inform DER -in key.der -out key.pem
openssl x509 -inform DER -in cert.der -out certificate.pem
""".strip()

_OPEN_FILE: Final = """
openssl cms -decrypt -binary -inform DER -in FILE.p7m -inkey key.pem -recip certificate.pem |
  zstd -dcf
""".strip()

_STEPS: Final = Steps(
    (
        (
            Words(
                "Take a machine that you trust, such as a Debian live system. Install `openssl`, `zstd` "
                "and, to scan, `zbar-tools`. Work in a folder below `/dev/shm`, which is memory, so that "
                "no key stays on a disk."
            ),
        ),
        (
            Words(
                "Scan or photograph the QR codes, any number of them in a picture: "
                "`zbarimg -q --raw *.png >lines`. Or read them with a telephone that is offline, or type "
                "the lines into a file `lines`; spaces and small letters do not matter to Nightdrop."
            ),
        ),
        (
            Words(
                "With Nightdrop: `nightdrop key read admin lines` tells which line is wrong, and makes "
                "`admin/key.pem`. Then go on with RECOVERY.md: `nightdrop restore list VAULT`."
            ),
        ),
        (
            Words(
                "With stock tools alone (in capital letters, as printed); openssl asks for the "
                "passphrase, and whoever gets this `key.pem` needs none:"
            ),
            Commands(_MAKE_FILES),
            Words("A file of a backup is then opened by"),
            Commands(_OPEN_FILE),
        ),
        (
            Words(
                "By hand, a line is checked like this: the last four characters are those of "
                "`printf %s K001ABCDE… | sha256sum | cut -c1-4`, without spaces and in capital letters."
            ),
        ),
    )
)


def _codes(lines: Sequence[str]) -> Codes:
    parts = [lines[at : at + _LINES_IN_CODE] for at in range(0, len(lines), _LINES_IN_CODE)]
    return Codes(
        [
            Code(_code(part), f"{number} of {len(parts)}: {part[0][:4]} to {part[-1][:4]}")
            for number, part in enumerate(parts, 1)
        ]
    )


def _code(lines: Sequence[str]) -> segno.QRCode:
    # Without the spaces, which only help the eye.
    text = SEPARATOR.join(line.replace(" ", "") for line in lines)
    return segno.make(text, error="m", micro=False, boost_error=False)


def _spaced(fingerprint: str) -> str:
    return " ".join(fingerprint[at : at + 4] for at in range(0, len(fingerprint), 4))
