"""`nightdrop key new`: what it makes is what stock tools read, and nobody else."""

import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from core.keyring import holder_of
from core.stock import Gpgsm, RefusedError, gpgsm_version, run
from nightdrop.envelope.recipients import load_recipients
from nightdrop_restore.keys.reading import load_key

NIGHTDROP = Path(sys.executable).with_name("nightdrop")
TYPES = {"rsa-4096": "RSA 4096", "ec-p384": "EC P-384", "x25519": "X25519"}
PASSPHRASE = "correct horse battery"


def new(folder: Path, *words: str, passphrase: str = PASSPHRASE) -> "subprocess.CompletedProcess[str]":
    (folder.parent / "passphrase").write_text(passphrase + "\n")
    locked = ("--passphrase-file", str(folder.parent / "passphrase"))
    command = [NIGHTDROP, "key", "new", folder, "--name", "Backup Admin", *locked, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module", params=TYPES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A type of key, and a folder with one."""
    folder = tmp_path_factory.mktemp("key") / "key"
    assert new(folder, "--type", request.param).returncode == 0
    return request.param, folder


def test_the_key_is_under_scrypt_and_openssl_opens_it(made: tuple[str, Path]) -> None:
    _, folder = made
    key, secret = folder / "key.pem", folder.parent / "passphrase"
    parsed = run("openssl", "asn1parse", "-in", key).decode()
    assert re.search(r"PBES2[^Z]*:scrypt[^Z]*:4000\n[^Z]*:08\n[^Z]*:05\n[^Z]*:aes-256-cbc", parsed)
    run("openssl", "pkey", "-in", key, "-passin", f"file:{secret}", "-noout")
    with pytest.raises(RefusedError):
        run("openssl", "pkey", "-in", key, "-passin", "pass:wrong", "-noout")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_no_two_are_locked_alike(tmp_path: Path) -> None:
    for name in "ab":
        assert new(tmp_path / name, "--type", "ec-p384").returncode == 0
    salts = [
        re.findall(r"HEX DUMP\]:([0-9A-F]{32})\n", run("openssl", "asn1parse", "-in", key).decode())
        for key in sorted(tmp_path.glob("?/key.pem"))
    ]
    assert len({salt for both in salts for salt in both}) == 4


def test_the_certificate_says_what_it_is_for(made: tuple[str, Path]) -> None:
    key_type, folder = made
    [recipient] = load_recipients(folder / "certificate.pem")
    certificate = x509.load_der_x509_certificate(recipient.certificate)
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.key_encipherment, usage.key_agreement) == (
        key_type == "rsa-4096",
        key_type != "rsa-4096",
    )
    lasts = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert 20 * 365 < lasts.days < 20 * 366
    assert recipient.name == "CN=Backup Admin"
    if key_type != "x25519":
        certificate.verify_directly_issued_by(certificate)


def test_what_is_sealed_to_it_opens_with_it(made: tuple[str, Path]) -> None:
    key_type, folder = made
    sealed = folder.parent / "sealed"
    run(NIGHTDROP, "seal", "--recipient", folder / "certificate.pem", "-o", sealed, stdin=b"content")
    assert f"({TYPES[key_type]})" in run(NIGHTDROP, "inspect", sealed).decode()
    secret = folder.parent / "passphrase"
    opening = ["--key", folder / "key.pem", "--passphrase-file", secret]
    assert run(NIGHTDROP, "open", *opening, sealed) == b"content"
    assert load_key(folder / "key.pem", PASSPHRASE.encode).ids


def test_gpgsm_opens_with_one_on_a_curve_from_2_4_on(tmp_path: Path) -> None:
    """It imports none whose certificate is signed with a digest shorter than the curve."""
    folder, sealed = tmp_path / "key", tmp_path / "sealed"
    assert new(folder, "--type", "ec-p384").returncode == 0
    described = run("openssl", "x509", "-in", folder / "certificate.pem", "-noout", "-text")
    assert b"Signature Algorithm: ecdsa-with-SHA384\n" in described
    to = ["--recipient", folder / "certificate.pem", "--cipher", "aes-256-cbc", "--compress", "none"]
    sealed.write_bytes(run(NIGHTDROP, "seal", *to, stdin=b"content"))
    private = load_pem_private_key((folder / "key.pem").read_bytes(), PASSPHRASE.encode())
    assert isinstance(private, EllipticCurvePrivateKey)
    certificate = x509.load_pem_x509_certificate((folder / "certificate.pem").read_bytes())
    with Gpgsm() as home:
        if gpgsm_version() >= (2, 4):
            home.own(holder_of(private, certificate))
            assert home.run("--decrypt", str(sealed)) == b"content"
        else:
            with pytest.raises(RefusedError, match="Segmentation fault"):
                home.own(holder_of(private, certificate))


def test_a_key_is_never_overwritten(made: tuple[str, Path]) -> None:
    _, folder = made
    before = (folder / "key.pem").read_bytes()
    done = new(folder)
    assert done.returncode == 2
    assert "nightdrop: error: " in done.stderr
    assert "never overwritten" in done.stderr
    assert (folder / "key.pem").read_bytes() == before
    (folder / "key.pem").rename(folder / "elsewhere.pem")
    assert new(folder).returncode == 2
    assert not (folder / "key.pem").exists(), "nor is half of another one made"
    (folder / "elsewhere.pem").rename(folder / "key.pem")


def test_an_empty_passphrase_is_refused(tmp_path: Path) -> None:
    done = new(tmp_path / "key", passphrase="")
    assert done.returncode == 2
    assert "the passphrase is empty" in done.stderr
    assert not (tmp_path / "key").exists()


def test_a_name_that_is_long_in_octets_alone(tmp_path: Path) -> None:
    """A certificate holds 64 octets of a name, and most letters of the world have two or three."""
    done = new(tmp_path / "key", "--name", 22 * "管")
    assert done.returncode == 2
    assert done.stderr == "nightdrop: error: --name has to be 1 to 64 octets long, as UTF-8\n"
    assert not (tmp_path / "key").exists()


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    """As a terminal that speaks Latin-1 hands over an é."""
    done = new(tmp_path / "key", "--name", "\udce9")
    assert done.returncode == 2
    assert done.stderr == "nightdrop: error: --name has to be 1 to 64 octets long, as UTF-8\n"
    assert not (tmp_path / "key").exists()
