"""The public keys of recipients: of which kinds they have to be, so that one can seal to them.

A certificate may have a key of any kind, such as one that only signs, or that nothing here has ever heard
of. Whoever takes recipients in asks at once, not on the night of the first backup.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from nightdrop.envelope import der
from nightdrop.envelope.algorithms import EC_PUBLIC_KEY, RSA_ENCRYPTION, X25519
from nightdrop.envelope.recipients import Recipient
from nightdrop.errors import ConfigurationError, EnvelopeError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

RSA_BITS: Final = (2048, 8192)
"""The fewest and the most bits of an RSA key that is sealed to."""

EC_SCHEMES: Final = {
    "secp256r1": der.oid("1.3.132.1.11.1"),
    "secp384r1": der.oid("1.3.132.1.11.2"),
    "secp521r1": der.oid("1.3.132.1.11.3"),
}
"""The elliptic curves that are sealed to, as SEC 2 names them, and the key agreement scheme of each."""

_KINDS: Final = (RSA_ENCRYPTION, EC_PUBLIC_KEY, X25519)


def sealing_key(recipient: Recipient) -> "RSAPublicKey | EllipticCurvePublicKey | X25519PublicKey":
    """The recipient's public key; ConfigurationError if it is of a kind that cannot be sealed to."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    fewest, most = RSA_BITS
    try:
        # RSA may be for signing only, and says so in its kind.
        kind = der.first(der.first(recipient.public_key))
        public = load_der_public_key(recipient.public_key) if kind in _KINDS else None
    except (ValueError, EnvelopeError, UnsupportedAlgorithm) as error:
        raise not_sealable(recipient) from error
    if isinstance(public, rsa.RSAPublicKey) and fewest <= public.key_size <= most:
        return public
    if isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name in EC_SCHEMES:
        return public
    if isinstance(public, x25519.X25519PublicKey):
        return public
    raise not_sealable(recipient)


def require_sealable(recipients: Iterable[Recipient]) -> None:
    """ConfigurationError if one of them has a key that cannot be sealed to."""
    for recipient in recipients:
        sealing_key(recipient)


def not_sealable(recipient: Recipient) -> ConfigurationError:
    """The error of a recipient that has a key that cannot be sealed to."""
    return ConfigurationError(
        f"the recipient {recipient.name} has a key that cannot be sealed to",
        "what can: RSA of 2048 to 8192 bits, the elliptic curves P-256, P-384 and P-521, and X25519",
    )
