"""Private keys in files of every form, with and without their certificates."""

import random
import subprocess
from pathlib import Path

import pytest

from core.keyring import CURVES, Holder, holder_on, holders, opened, seal
from core.stock import run
from nightdrop.envelope.recipients import RecipientId
from nightdrop.errors import ConfigurationError, NightdropError
from nightdrop_restore.keys.reading import load_key

from house import Key
from mirrors import NIGHTDROP

ALICE, BOB, CAROL = holders()
PLAIN = random.Random(7).randbytes(70_000)


def holder(kind: str) -> Holder:
    return ALICE if kind == "RSA" else holder_on(kind)


PASSPHRASE = b"correct horse"


def key_files(kind: str, folder: Path) -> dict[str, Path]:
    """The same private key in every form that openssl writes."""
    key, certificate = holder(kind).write(folder)
    out = {name: folder / name for name in ("pem", "der", "enc.pem", "enc.der", "p12", "plain.p12")}
    run("openssl", "pkcs8", "-topk8", "-nocrypt", "-in", key, "-out", out["pem"])
    run("openssl", "pkcs8", "-topk8", "-nocrypt", "-in", key, "-outform", "DER", "-out", out["der"])
    locked = ["-passout", f"pass:{PASSPHRASE.decode()}"]
    run("openssl", "pkcs8", "-topk8", "-in", key, *locked, "-out", out["enc.pem"])
    run(
        "openssl",
        "pkcs8",
        "-topk8",
        "-in",
        key,
        *locked,
        "-scrypt",
        "-outform",
        "DER",
        "-out",
        out["enc.der"],
    )
    export = ["-export", "-inkey", key, "-in", certificate]
    if kind != "X25519":
        # openssl says "private key does not match certificate" of every key that cannot sign.
        run("openssl", "pkcs12", *export, *locked, "-out", out["p12"])
        run("openssl", "pkcs12", *export, "-passout", "pass:", "-out", out["plain.p12"])
        out["traditional"] = folder / "traditional"
        run("openssl", "pkey", "-traditional", "-in", key, "-out", out["traditional"])
    return {name: path for name, path in out.items() if path.exists()}


@pytest.mark.parametrize("kind", ["RSA", *CURVES])
def test_a_key_is_read_in_every_form(kind: str, tmp_path: Path) -> None:
    envelope = seal(PLAIN, [holder(kind)])
    asked = []

    def passphrase() -> bytes:
        asked.append(True)
        return PASSPHRASE

    files = key_files(kind, tmp_path)
    assert len(files) == (4 if kind == "X25519" else 7)
    for form, path in files.items():
        asked.clear()
        assert opened(envelope, load_key(path, passphrase)) == PLAIN, form
        assert len(asked) == (form in ("enc.pem", "enc.der", "p12")), form


def test_a_pkcs12_file_says_whose_envelopes_it_opens(tmp_path: Path) -> None:
    key = load_key(key_files("RSA", tmp_path)["p12"], lambda: PASSPHRASE)
    assert key.ids == ALICE.recipient.ids
    assert opened(seal(PLAIN, [BOB, ALICE, CAROL]), key) == PLAIN


@pytest.mark.parametrize("passphrase", [b"wrong", b""])
@pytest.mark.parametrize("form", ["enc.pem", "enc.der", "p12"])
def test_a_wrong_passphrase_is_told(form: str, passphrase: bytes, tmp_path: Path) -> None:
    path = key_files("P-256", tmp_path)[form]
    with pytest.raises(NightdropError, match="the passphrase does not open the key"):
        load_key(path, lambda: passphrase)


@pytest.mark.parametrize(
    "octets",
    [b"", b"no key", b"\x30\x80", b"\x30\x03\x02\x01\x03", ALICE.certificate_pem, bytes(range(256))],
    ids=["empty", "text", "DER", "almost PKCS#12", "a certificate", "anything"],
)
def test_what_is_no_key_is_told(octets: bytes, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(octets)
    with pytest.raises(NightdropError, match=r"this is no private key|does not open the key"):
        load_key(path, lambda: PASSPHRASE)


def test_a_certificate_beside_the_wrong_key_is_told_and_one_more_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(ALICE.private_pem + BOB.certificate_pem)
    with pytest.raises(ConfigurationError, match="does not belong to the key in it"):
        load_key(path, lambda: b"")
    path.write_bytes(ALICE.private_pem + BOB.certificate_pem + ALICE.certificate_pem)
    assert load_key(path, lambda: b"").ids == ALICE.recipient.ids


@pytest.mark.parametrize("algorithm", ["ed25519", "x448"])
def test_a_key_of_a_kind_that_opens_nothing_is_told(algorithm: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    run("openssl", "genpkey", "-algorithm", algorithm, "-out", path)
    with pytest.raises(ConfigurationError, match="no key that opens envelopes"):
        load_key(path, lambda: b"")
    run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1", "-out", path)
    with pytest.raises(ConfigurationError, match="no key that opens envelopes"):
        load_key(path, lambda: b"")


def test_a_key_with_its_certificate_finds_its_entry() -> None:
    assert RecipientId(key_id=holder("X25519").recipient.key_id) in holder("X25519").key.ids


@pytest.mark.parametrize(
    "words",
    [
        ["open", "--key", "/dev/zero", "/dev/null"],
        ["open", "--key", "KEY", "--passphrase-file", "/dev/zero", "/dev/null"],
        ["seal", "--recipient", "/dev/zero", "/dev/null"],
        ["key", "show", "/dev/zero"],
        ["restore", "run", "/", "--host", "x", "--to", "/x", "--key", "KEY", "--signer", "/dev/zero"],
    ],
)
def test_a_file_without_an_end(admin_key: Key, words: list[str]) -> None:
    """It is read no further than a key, a passphrase or a certificate can be long."""
    named = [str(admin_key.private) if word == "KEY" else word for word in words]
    command = ["prlimit", "--as=1000000000", *NIGHTDROP, *named]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (1, 2)
    assert done.stderr.startswith("nightdrop: error: ")
    assert "Traceback" not in done.stderr
