"""Every kind of recipient: RSA, elliptic curves, X25519; by issuer or key id."""

import io
import itertools
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from core.keyring import CIPHERS, CURVES, Holder, holder_on, holders, make_holder, opened, seal
from core.messages import compose
from core.stock import RefusedError, run, unpack
from nightdrop.envelope import der
from nightdrop.envelope.algorithms import CipherName
from nightdrop.envelope.ber import BerReader
from nightdrop.envelope.entries import Addressing, Agreement
from nightdrop.envelope.header import read_header
from nightdrop.errors import EnvelopeError
from nightdrop_restore.envelope.unwrapping import Key
from nightdrop_restore.keys.reading import load_key

NIGHTDROP = Path(sys.executable).with_name("nightdrop")
ALICE, BOB, CAROL = holders()
PLAIN = random.Random(7).randbytes(70_000)
ADDRESSINGS = [Addressing(name, rsa) for name in ("issuer", "key-id") for rsa in ("pkcs1", "oaep")]
KINDS = ("RSA", *CURVES)


def holder(kind: str) -> Holder:
    return ALICE if kind == "RSA" else holder_on(kind)


def test_the_largest_rsa_key(tmp_path: Path) -> None:
    # Making one takes half a minute, so this one is kept.
    pem = Path(__file__).parents[1] / "core" / "keys" / "rsa-8192.pem"
    private = serialization.load_pem_private_key(
        pem.read_bytes(), None, unsafe_skip_rsa_key_validation=True
    )
    one = make_holder("large", private)  # type: ignore[arg-type]
    _, certificate = one.write(tmp_path)
    envelope = seal(PLAIN, [one])
    assert opened(envelope, load_key(pem, lambda: b"")) == PLAIN
    words = ["-decrypt", "-binary", "-inform", "DER", "-inkey", pem, "-recip", certificate]
    assert unpack(run("openssl", "cms", *words, stdin=envelope)) == PLAIN


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("addressing", ADDRESSINGS, ids=lambda one: f"{one.name}-{one.rsa}")
@pytest.mark.parametrize("cipher", CIPHERS)
def test_every_kind_opens_here_and_in_openssl(
    kind: str, addressing: Addressing, cipher: CipherName, tmp_path: Path
) -> None:
    one = holder(kind)
    envelope = seal(PLAIN, [one], cipher, addressing=addressing)
    assert opened(envelope, one.key) == PLAIN
    key, certificate = one.write(tmp_path)
    words = ["-decrypt", "-binary", "-inform", "DER", "-inkey", key, "-recip", certificate]
    if kind == "X25519":
        # OpenSSL to 3.5 knows no key agreement with it in CMS. When it does, FORMAT.md is to say so.
        with pytest.raises(RefusedError):
            run("openssl", "cms", *words, stdin=envelope)
        return
    assert unpack(run("openssl", "cms", *words, stdin=envelope)) == PLAIN


def test_one_envelope_for_all_of_them_opens_with_each(tmp_path: Path) -> None:
    everybody = [holder(kind) for kind in KINDS]
    for cipher, addressing in itertools.product(CIPHERS, ADDRESSINGS):
        envelope = seal(PLAIN, everybody, cipher, addressing=addressing)
        for one in everybody:
            assert opened(envelope, one.key) == PLAIN
        with pytest.raises(EnvelopeError, match="does not open this envelope"):
            opened(envelope, BOB.key)
        for kind in ("RSA", "P-384"):
            key, certificate = holder(kind).write(tmp_path)
            words = ["-decrypt", "-binary", "-inform", "DER", "-inkey", key, "-recip", certificate]
            assert unpack(run("openssl", "cms", *words, stdin=envelope)) == PLAIN


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.startswith("P-")])
@pytest.mark.parametrize("digest", ["sha1", "sha224", "sha256", "sha384", "sha512"])
@pytest.mark.parametrize("cofactor", ["0", "1"])
def test_what_openssl_agrees_on_opens(kind: str, digest: str, cofactor: str, tmp_path: Path) -> None:
    one = holder(kind)
    _, certificate = one.write(tmp_path)
    for wrap, name in itertools.product(
        ("-aes128-wrap", "-aes192-wrap", "-aes256-wrap"), ([], ["-keyid"])
    ):
        words = ["-encrypt", "-binary", "-outform", "DER", "-aes-256-gcm", wrap, *name]
        options = ["-keyopt", f"ecdh_kdf_md:{digest}", "-keyopt", f"ecdh_cofactor_mode:{cofactor}"]
        envelope = run("openssl", "cms", *words, "-recip", certificate, *options, stdin=PLAIN)
        assert opened(envelope, one.key) == PLAIN


@pytest.mark.parametrize("digest", ["sha1", "sha224", "sha256", "sha384", "sha512"])
@pytest.mark.parametrize("mask", ["sha1", "sha256", "sha512"])
def test_whatever_hashes_openssl_uses_for_oaep_it_opens(digest: str, mask: str, tmp_path: Path) -> None:
    _, certificate = ALICE.write(tmp_path)
    options = ["rsa_padding_mode:oaep", f"rsa_oaep_md:{digest}", f"rsa_mgf1_md:{mask}"]
    words = itertools.chain.from_iterable(("-keyopt", option) for option in options)
    encrypt = ["-encrypt", "-binary", "-outform", "DER", "-aes-256-cbc", "-recip", certificate]
    assert opened(run("openssl", "cms", *encrypt, *words, stdin=PLAIN), ALICE.key) == PLAIN


def test_oaep_with_a_label_opens(tmp_path: Path) -> None:
    _, certificate = ALICE.write(tmp_path)
    options = ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_label:0a0b"]
    encrypt = ["-encrypt", "-binary", "-outform", "DER", "-aes-256-cbc", "-recip", certificate]
    assert opened(run("openssl", "cms", *encrypt, *options, stdin=PLAIN), ALICE.key) == PLAIN


def agreed(one: Holder, key: bytes, scheme: str, ukm: bytes = b"") -> bytes:
    """A KeyAgreeRecipientInfo for X25519, put together by hand from RFC 8418 and RFC 5753."""
    ephemeral = X25519PrivateKey.generate()
    secret = ephemeral.exchange(one.private.public_key())  # type: ignore[arg-type]
    wrap = bytes.fromhex("300b060960864801650304012d")
    material = der.element(0xA0, der.element(0x04, ukm)) if ukm else b""
    info = der.element(0x30, wrap, material, bytes.fromhex("a206040400000100"))
    derivations = {
        "1.3.132.1.11.1": lambda: X963KDF(hashes.SHA256(), 32, info),
        "1.3.132.1.11.3": lambda: X963KDF(hashes.SHA512(), 32, info),
        "1.2.840.113549.1.9.16.3.19": lambda: HKDF(hashes.SHA256(), 32, ukm or None, info),
        "1.2.840.113549.1.9.16.3.20": lambda: HKDF(hashes.SHA384(), 32, ukm or None, info),
        "1.2.840.113549.1.9.16.3.21": lambda: HKDF(hashes.SHA512(), 32, ukm or None, info),
    }
    wrapped = aes_key_wrap(derivations[scheme]().derive(secret), key)
    point = der.element(0x03, b"\0", ephemeral.public_key().public_bytes_raw())
    originator = der.element(0xA1, der.element(0x30, der.oid("1.3.101.110")), point)
    name = one.recipient.by_issuer
    rid = der.element(0x30, name.issuer, der.integer(name.serial))
    return der.element(
        0xA1,
        der.integer(3),
        der.element(0xA0, originator),
        der.element(0xA1, der.element(0x04, ukm)) if ukm else b"",
        der.element(0x30, der.oid(scheme), wrap),
        der.element(0x30, der.element(0x30, rid, der.element(0x04, wrapped))),
    )


@pytest.mark.parametrize("ukm", [b"", b"some keying material"])
@pytest.mark.parametrize(
    "scheme",
    ["1.3.132.1.11.1", "1.3.132.1.11.3", *(f"1.2.840.113549.1.9.16.3.{n}" for n in (19, 20, 21))],
)
def test_x25519_opens_as_the_rfcs_say(scheme: str, ukm: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    one = holder("X25519")
    key = bytes(range(32))
    with monkeypatch.context() as patch:
        patch.setattr("core.messages.os.urandom", lambda size: bytes(range(size)))
        message = compose(PLAIN, ALICE, "aes-256-gcm")
    envelope = message.but(transports=(agreed(one, key, scheme, ukm),)).encode()
    assert opened(envelope, one.key) == PLAIN


@pytest.mark.parametrize("kind", ["P-256", "X25519"])
def test_an_agreement_that_is_damaged_opens_to_the_same_or_is_an_error_of_ours(kind: str) -> None:
    envelope = bytearray(seal(b"plain", [holder(kind)]))
    reader = BerReader(lambda size, whole=bytes(envelope): whole)
    read_header(reader)
    opens = 0
    for at in range(reader.position):
        damaged = envelope.copy()
        damaged[at] ^= 0x11
        try:
            assert opened(bytes(damaged), holder(kind).key) == b"plain"
            opens += 1
        except EnvelopeError:
            pass
    # Two versions, and the algorithm of the sender's key, which follows from the recipient's.
    assert opens < 16


def test_the_wrong_key_on_the_right_curve_opens_nothing() -> None:
    other = make_holder("other", CURVES["P-384"])
    envelope = seal(PLAIN, [holder("P-384")])
    with pytest.raises(EnvelopeError, match="does not open this envelope"):
        opened(envelope, Key(CURVES["P-256"], frozenset()))
    with pytest.raises(EnvelopeError, match="does not open this envelope"):
        opened(envelope, other.key)


@pytest.mark.parametrize("kind", CURVES)
def test_a_key_without_its_certificate_finds_its_entry_among_many(kind: str) -> None:
    envelope = seal(PLAIN, [holder(curve) for curve in CURVES])
    assert opened(envelope, Key(holder(kind).private, frozenset())) == PLAIN


@pytest.mark.parametrize("kind", CURVES)
def test_an_ephemeral_key_is_never_used_twice(kind: str) -> None:
    points = set()
    for _ in range(100):
        envelope = seal(b"", [holder(kind), holder(kind)])
        for entry in read_header(BerReader(io.BytesIO(envelope).read)).entries:
            assert isinstance(entry, Agreement)
            points.add(entry.originator)
    assert len(points) == 200


def test_the_version_says_what_is_within() -> None:
    """RFC 5652, 6.1: 0 for RSA by issuer alone, else 2. AuthEnvelopedData is always 0."""

    def version(envelope: bytes) -> int:
        return envelope[envelope.index(b"\x02\x01") + 2]

    by_key_id = Addressing("key-id")
    assert version(seal(b"", [ALICE, BOB], "aes-256-cbc")) == 0
    assert version(seal(b"", [ALICE, holder("P-256")], "aes-256-cbc")) == 2
    assert version(seal(b"", [ALICE], "aes-256-cbc", addressing=by_key_id)) == 2
    assert version(seal(b"", [ALICE, holder("P-256")], addressing=by_key_id)) == 0


def test_a_certificate_without_a_key_identifier_is_not_named_by_one(tmp_path: Path) -> None:
    key, _ = ALICE.write(tmp_path)
    bare = tmp_path / "bare.pem"
    words = ["-x509", "-key", key, "-subj", "/CN=bare", "-days", "9", "-out", bare]
    run("openssl", "req", *words, "-addext", "subjectKeyIdentifier=none")
    done = seal_by_command(tmp_path, "--recipient", bare, "--key-id")
    assert done.returncode == 2
    assert "the certificate of CN=bare has no subject key identifier" in done.stderr
    assert "hint: seal without --key-id" in done.stderr
    assert not (tmp_path / "out").exists()
    assert seal_by_command(tmp_path, "--recipient", bare).returncode == 0


def test_the_command_seals_as_asked(tmp_path: Path) -> None:
    _, certificate = ALICE.write(tmp_path)
    words = ("--recipient", certificate, "--rsa", "oaep", "--key-id", "--cipher", "aes-256-cbc")
    assert seal_by_command(tmp_path, *words).returncode == 0
    said = subprocess.run(
        [NIGHTDROP, "inspect", tmp_path / "out"], capture_output=True, text=True, check=True
    ).stdout
    assert re.search(r"EnvelopedData, aes-256-cbc, .*, to key [0-9a-f]{40} \(RSA-OAEP 2048\)$", said)


def seal_by_command(folder: Path, *words: str | Path) -> "subprocess.CompletedProcess[str]":
    (folder / "in").write_bytes(PLAIN)
    command = [NIGHTDROP, "seal", *words, "-o", folder / "out", folder / "in"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kind", ["RSA", *CURVES])
def test_inspect_tells_the_kind_of_key(kind: str, tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(seal(b"", [holder(kind)]))
    said = subprocess.run(
        [NIGHTDROP, "inspect", tmp_path / "one"], capture_output=True, text=True, check=True
    ).stdout
    wanted = {"RSA": "RSA 2048", "X25519": "X25519"}.get(kind, f"EC {kind}")
    assert f"({wanted})" in said


# Key files
