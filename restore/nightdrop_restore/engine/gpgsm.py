"""A stand-in for gpgsm: opens with our own envelope code what duplicity reads through gpgsm.

The private key comes through an inherited descriptor of memory that is in no file system, so neither
the key nor its passphrase is ever on disk, in an argument or in the environment.
"""

import json
import os
import sys
from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from nightdrop.engine.stand_in import answer, write_all, write_script
from nightdrop.envelope.recipients import RecipientId
from nightdrop.errors import EnvelopeError
from nightdrop_restore.envelope.opening import open_envelope
from nightdrop_restore.envelope.unwrapping import Key, PrivateKey

_LONGEST = 1 << 20


def write_gpgsm(path: Path, key_descriptor: int) -> None:
    """Write the executable that duplicity is given as its gpgsm."""
    write_script(path, __name__, [str(key_descriptor)])


def key_as_text(key: Key) -> str:
    """The key, for a process of ours that makes it known to stand-ins."""
    private = key.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    ids = [(one.issuer.hex(), one.serial, one.key_id.hex()) for one in key.ids]
    return json.dumps({"private": private.hex(), "ids": ids})


def share_key(text: str) -> int:
    """A descriptor that holds such a key, for stand-ins to inherit; gone when the last one closes it."""
    descriptor = os.memfd_create("nightdrop", 0)
    os.write(descriptor, text.encode())
    return descriptor


def shared_key(descriptor: int) -> Key:
    """The key in such a descriptor. Every stand-in has the same one, so its position stays as it is."""
    fields = json.loads(os.pread(descriptor, _LONGEST, 0))
    # It was checked in full when it was loaded; doing so for each volume takes 0.3 s.
    der = bytes.fromhex(fields["private"])
    private = load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(private, PrivateKey):
        raise EnvelopeError("the key is of a kind that opens nothing")
    ids = [RecipientId(bytes.fromhex(i), serial, bytes.fromhex(k)) for i, serial, k in fields["ids"]]
    return Key(private, frozenset(ids))


def main(words: list[str]) -> int:
    """Do what the words ask for, as gpgsm would; its exit status."""
    descriptor, *arguments = words

    def act() -> None:
        key = shared_key(int(descriptor))
        open_envelope(lambda octets: os.read(0, octets), write_all, [key])

    return answer(arguments, "--decrypt", act)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
