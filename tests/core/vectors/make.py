"""Makes the vectors anew, with the programs that are installed, and says their versions in README.md.

    .venv/bin/python tests/core/vectors/make.py

The keys and the content stay as they are. What is refused is made by damaging what opens.
"""

import datetime
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

sys.path.insert(0, str(Path(__file__).parents[2]))

from core.keyring import Holder, holder_of, make_holder
from core.stock import Gpgsm, run
from nightdrop import __version__
from nightdrop_restore.envelope.unwrapping import PrivateKey

HERE = Path(__file__).parent
NIGHTDROP = Path(sys.executable).with_name("nightdrop")
CONTENT = HERE / "content"

OPENSSL = {
    "openssl-cms-aes-256-gcm.p7m": "cms -aes-256-gcm -outform DER",
    "openssl-cms-aes-256-gcm-stream.p7m": "cms -aes-256-gcm -outform DER -stream",
    "openssl-cms-aes-128-gcm.p7m": "cms -aes-128-gcm -outform DER",
    "openssl-cms-aes-256-cbc.p7m": "cms -aes-256-cbc -outform DER",
    "openssl-cms-aes-256-cbc-stream.p7m": "cms -aes-256-cbc -outform DER -stream",
    "openssl-cms-keyid.p7m": "cms -aes-256-gcm -outform DER -keyid",
    "openssl-cms-oaep.p7m": "cms -aes-256-gcm -outform DER -recip {us} -keyopt rsa_padding_mode:oaep"
    " -keyopt rsa_oaep_md:sha256",
    "openssl-cms-p256.p7m": "cms -aes-256-gcm -outform DER -recip {p256}",
    "openssl-cms-p256-keyid.p7m": "cms -aes-256-cbc -outform DER -keyid -stream -recip {p256}",
    "openssl-cms.pem": "cms -aes-256-gcm -outform PEM",
    "openssl-cms.eml": "cms -aes-256-gcm -stream",
    "openssl-smime-aes-192-cbc.p7m": "smime -aes-192-cbc -outform DER",
    "openssl-smime-des3-stream.p7m": "smime -des3 -outform DER -stream",
    "openssl-smime.pem": "smime -aes-256-cbc -outform PEM",
    "openssl-smime.eml": "smime -aes-256-cbc",
}
GPGSM = {"gpgsm.p7m": "", "gpgsm-armor.pem": "--armor", "gpgsm-base64.txt": "--base64"}
OURS = {
    "nightdrop-gcm.p7m": "",
    "nightdrop-gcm-uncompressed.p7m": "--compress none",
    "nightdrop-cbc.p7m": "--cipher aes-256-cbc",
    "nightdrop-cbc-uncompressed.p7m": "--cipher aes-256-cbc --compress none",
    "nightdrop-oaep-keyid.p7m": "--rsa oaep --key-id",
    "nightdrop-p256.p7m": "--recipient {p256}",
    "nightdrop-x25519.p7m": "--recipient {x25519}",
    "nightdrop-several.p7m": "--recipient {stranger} --recipient {x25519} --recipient {us}",
}
CURVES: dict[str, Callable[[], PrivateKey]] = {
    "p256": lambda: generate_private_key(SECP256R1()),
    "x25519": X25519PrivateKey.generate,
}


def main() -> None:
    us, *_ = (kept_key(name) for name in ("us", "stranger", *CURVES))
    opened, refused = HERE / "opened", HERE / "refused"
    for folder, made in ((opened, good(us)), (refused, bad(opened))):
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for name, octets in made:
            (folder / name).write_bytes(octets)
    openssl = run("openssl", "version").split()[1].decode()
    gnupg = run("gpgsm", "--version").split()[2].decode()
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    versions = f"OpenSSL {openssl}, GnuPG {gnupg} and Nightdrop {__version__}, on {today}."
    readme = HERE / "README.md"
    readme.write_text(re.sub(r"^OpenSSL \d.*$", versions, readme.read_text(), flags=re.MULTILINE))


def kept_key(name: str) -> Holder:
    """The key of this name, made if it is not there."""
    key, certificate = HERE / f"{name}-key.pem", HERE / f"{name}-certificate.pem"
    if not key.exists():
        made = make_holder(name, CURVES[name]() if name in CURVES else None)
        key.write_bytes(made.private_pem)
        certificate.write_bytes(made.certificate_pem)
    private: object = load_pem_private_key(key.read_bytes(), None)
    assert isinstance(private, PrivateKey)
    return holder_of(private, x509.load_pem_x509_certificate(certificate.read_bytes()))


def completed(words: str) -> list[str]:
    """The words of a command, with the certificates that are named in it."""
    return [
        str(HERE / f"{word[1:-1]}-certificate.pem") if word[0] == "{" else word for word in words.split()
    ]


def good(us: Holder) -> Iterator[tuple[str, bytes]]:
    """What opens: one file for each way of sealing."""
    content = CONTENT.read_bytes()
    certificate = HERE / "us-certificate.pem"
    for name, words in OPENSSL.items():
        command, *options = completed(words)
        to = [] if "-recip" in options else [certificate]
        yield name, run("openssl", command, "-encrypt", "-binary", *options, *to, stdin=content)
    with Gpgsm() as home:
        home.own(us)
        for name, words in GPGSM.items():
            yield name, home.run(*words.split(), "--recipient", "CN=us", "--encrypt", stdin=content)
    for name, words in OURS.items():
        to = [] if "--recipient" in words else ["--recipient", certificate]
        yield name, run(NIGHTDROP, "seal", *to, *completed(words), stdin=content)


def bad(opened: Path) -> Iterator[tuple[str, bytes]]:
    """What is refused: what opens, damaged; and what no tool should be asked to open."""
    gcm = (opened / "nightdrop-gcm-uncompressed.p7m").read_bytes()
    cbc = (opened / "nightdrop-cbc-uncompressed.p7m").read_bytes()
    pem = (opened / "openssl-cms.pem").read_bytes()
    content = gcm.index(b"\xa0\x80\x04") + 2
    recipients = gcm.index(b"\x31\x82")
    yield "tag-mismatch.p7m", flipped(gcm, len(gcm) - 7)
    yield "content-altered.p7m", flipped(gcm, content + 20)
    yield "nonce-altered.p7m", flipped(gcm, content - 8)
    to = HERE / "stranger-certificate.pem"
    yield "wrong-recipient.p7m", run(NIGHTDROP, "seal", "--recipient", to, stdin=CONTENT.read_bytes())
    yield "truncated-header.p7m", gcm[: recipients + 100]
    yield "truncated-content.p7m", gcm[: content + 30]
    yield "truncated-tag.p7m", gcm[:-10]
    yield "missing-end-of-contents.p7m", gcm[:-2]
    yield "null-for-end-of-contents.p7m", gcm[:-2] + b"\x05\0"
    yield "trailing-data.p7m", gcm + b"more"
    yield "trailing-zeros.p7m", gcm + b"\0\0"
    ours = HERE / "us-certificate.pem"
    words = ["cms", "-encrypt", "-binary", "-outform", "DER", "-camellia256", ours]
    yield "unknown-cipher.p7m", run("openssl", *words, stdin=CONTENT.read_bytes())
    huge = b"\x88\x7f" + b"\xff" * 7
    yield "absurd-length-of-content.p7m", gcm[:content] + b"\x04" + huge + gcm[content + 2 :]
    yield "absurd-length-of-recipients.p7m", gcm[: recipients + 4] + b"\x30" + huge + gcm[recipients:]
    yield "absurd-length-of-a-length.p7m", gcm[: recipients + 1] + b"\xff" * 200
    yield "deep-nesting-of-content.p7m", gcm[:content] + b"\x24\x80" * 100 + gcm[content:]
    yield "deep-nesting-of-recipients.p7m", gcm[: recipients + 4] + b"\x30\x80" * 1000
    yield "deep-nesting-of-everything.p7m", b"\x30\x80" * 1000
    yield "padding-wrong.p7m", cbc[: cbc.rindex(b"\x04\x10")] + cbc[cbc.rindex(b"\x04\x10") + 18 :]
    yield "not-whole-blocks.p7m", cbc[:-10] + b"\x04\x01x" + cbc[-10:]
    words = ["cms", "-sign", "-binary", "-nodetach", "-outform", "DER", "-signer", str(ours)]
    key = HERE / "us-key.pem"
    yield "signed.p7m", run("openssl", *words, "-inkey", key, stdin=CONTENT.read_bytes())
    yield "cut.pem", pem[: len(pem) // 2]
    yield "no-end-line.pem", pem[: pem.index(b"-----END")]
    yield "another-end-line.pem", pem.replace(b"END CMS", b"END PKCS7")
    yield "not-base64.pem", pem[:100] + b"*" + pem[101:]
    yield "trailing-text.pem", pem + b"-- \nsent by mail\n"


def flipped(octets: bytes, at: int) -> bytes:
    """With one bit flipped."""
    return octets[:at] + bytes((octets[at] ^ 1,)) + octets[at + 1 :]


if __name__ == "__main__":
    main()
