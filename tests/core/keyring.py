"""Keys, and envelopes made and opened in memory: what all tests of envelopes use."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import HealthCheck, Phase, settings

from certificates import make_certificate, to_pem
from nightdrop.envelope.algorithms import CipherName
from nightdrop.envelope.entries import Addressing
from nightdrop.envelope.recipients import Recipient
from nightdrop.envelope.sealing import Sealer
from nightdrop_restore.envelope.opening import open_envelope
from nightdrop_restore.envelope.unwrapping import Key, PrivateKey

BOUNDED = settings(
    derandomize=True,
    max_examples=60,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.function_scoped_fixture),
)
"""How properties are tried here: the same examples each time, and not too many."""

ADDRESSING = Addressing()

CIPHERS: tuple[CipherName, ...] = ("aes-256-gcm", "aes-256-cbc")


@dataclass(frozen=True)
class Holder:
    """Somebody who can open: a private key, its certificate, and both as the code takes them."""

    private: PrivateKey
    certificate: x509.Certificate
    recipient: Recipient
    key: Key

    @property
    def certificate_pem(self) -> bytes:
        return to_pem(self.certificate)

    @property
    def private_pem(self) -> bytes:
        return to_pem(self.private)

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Private key and certificate as files, for stock tools."""
        key, certificate = folder / "key.pem", folder / "certificate.pem"
        key.write_bytes(self.private_pem)
        certificate.write_bytes(self.certificate_pem)
        return key, certificate


def make_holder(name: str, private: PrivateKey | None = None) -> Holder:
    """A certificate for a key, which is one of RSA unless another is given."""
    private = private or rsa.generate_private_key(public_exponent=65537, key_size=2048)
    usage = {field: False for field in x509.KeyUsage.__init__.__annotations__ if field != "return"}
    usage |= {"key_encipherment" if isinstance(private, rsa.RSAPrivateKey) else "key_agreement": True}
    certificate = make_certificate(
        private,
        name,
        x509.BasicConstraints(ca=False, path_length=None),
        x509.KeyUsage(**usage),
        extensions=(x509.SubjectKeyIdentifier.from_public_key(private.public_key()),),
    )
    return holder_of(private, certificate)


def holder_of(private: PrivateKey, certificate: x509.Certificate) -> Holder:
    """A private key and its certificate, put together."""
    recipient = Recipient(certificate.public_bytes(serialization.Encoding.DER))
    return Holder(private, certificate, recipient, Key(private, recipient.ids))


@cache
def holders() -> tuple[Holder, Holder, Holder]:
    """Three keys, made once."""
    return make_holder("alice"), make_holder("bob"), make_holder("carol")


CURVES = {
    "P-256": ec.generate_private_key(ec.SECP256R1()),
    "P-384": ec.generate_private_key(ec.SECP384R1()),
    "P-521": ec.generate_private_key(ec.SECP521R1()),
    "X25519": X25519PrivateKey.generate(),
}
"""Keys of each curve that can be sealed to."""


@cache
def holder_on(curve: str) -> Holder:
    """Somebody with a key on one of CURVES."""
    return make_holder(curve, CURVES[curve])


def seal(
    plaintext: bytes,
    to: Sequence[Holder],
    cipher: CipherName = "aes-256-gcm",
    compress: bool = True,
    addressing: Addressing = ADDRESSING,
) -> bytes:
    """An envelope."""
    return seal_pieces([plaintext], to, cipher, compress, addressing)


def seal_pieces(
    pieces: Iterable[bytes],
    to: Sequence[Holder],
    cipher: CipherName,
    compress: bool,
    addressing: Addressing = ADDRESSING,
) -> bytes:
    """An envelope of what these pieces make together."""
    out = bytearray()
    sealer = Sealer(
        out.extend, [holder.recipient for holder in to], cipher, compress, addressing=addressing
    )
    for piece in pieces:
        sealer.update(piece)
    sealer.finish()
    return bytes(out)


def opened(envelope: bytes, *keys: Key, decompress: bool = True) -> bytes:
    """What is in an envelope."""
    out = bytearray()
    open_envelope(io.BytesIO(envelope).read, out.extend, keys, decompress)
    return bytes(out)
