"""A private key under a passphrase: PKCS#8 (RFC 5958) with PBES2 (RFC 8018) and scrypt (RFC 7914).

The library that reads such keys cannot write them with scrypt, only with PBKDF2, which a graphics card
tries a hundred times as fast.
"""

import os
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.padding import PKCS7

from nightdrop.envelope import der
from nightdrop.envelope.algorithms import CIPHER_OIDS
from nightdrop_restore.envelope.unwrapping import PrivateKey

_PBES2: Final = der.oid("1.2.840.113549.1.5.13")
_SCRYPT: Final = der.oid("1.3.6.1.4.1.11591.4.11")

# openssl refuses to use more than 32 MiB, and this is 16; so the work is made longer instead.
_COST: Final = 2**14
_BLOCK_SIZE: Final = 8
_PARALLELIZATION: Final = 5


def locked(private: PrivateKey, passphrase: bytes) -> bytes:
    """The key as PEM, encrypted with AES-256 under the passphrase."""
    salt, nonce = os.urandom(16), os.urandom(16)
    key = Scrypt(salt, 32, _COST, _BLOCK_SIZE, _PARALLELIZATION).derive(passphrase)
    plain = private.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    padder = PKCS7(128).padder()
    encryptor = Cipher(AES256(key), CBC(nonce)).encryptor()
    encrypted = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    derivation = der.element(
        der.SEQUENCE,
        _SCRYPT,
        der.element(
            der.SEQUENCE,
            der.element(der.OCTET_STRING, salt),
            *map(der.integer, (_COST, _BLOCK_SIZE, _PARALLELIZATION)),
        ),
    )
    cipher = der.element(der.SEQUENCE, CIPHER_OIDS["aes-256-cbc"], der.element(der.OCTET_STRING, nonce))
    algorithm = der.element(der.SEQUENCE, _PBES2, der.element(der.SEQUENCE, derivation, cipher))
    info = der.element(der.SEQUENCE, algorithm, der.element(der.OCTET_STRING, encrypted))
    return der.pem("ENCRYPTED PRIVATE KEY", info).encode()
