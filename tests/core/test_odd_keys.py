"""Certificates of every kind of key that openssl makes, and of one that nobody knows: whoever reads them
says in one line what is wrong, and what to do.
"""

import base64
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from nightdrop.envelope import der
from nightdrop.envelope.public_keys import require_sealable
from nightdrop.envelope.recipients import load_recipients
from nightdrop.errors import ConfigurationError
from nightdrop.signatures import load_signing_key, read_signers

from house import complaint, run
from mirrors import NIGHTDROP, Mirror, make_recipient

KINDS = {
    "Ed448": ["-algorithm", "ed448"],
    "X448": ["-algorithm", "x448"],
    "DH": ["-algorithm", "dh", "-pkeyopt", "group:ffdhe2048"],
    "RSA for signing only": ["-algorithm", "rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048"],
    "short RSA": ["-algorithm", "rsa", "-pkeyopt", "rsa_keygen_bits:1024"],
    "secp256k1": ["-algorithm", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
    "unknown curve": ["-algorithm", "ec", "-pkeyopt", "ec_paramgen_curve:sect571k1"],
    "SM2": ["-algorithm", "sm2"],
    "unknown": ["-algorithm", "ed25519"],
}
UNKNOWN, ED25519 = der.oid("1.3.101.121"), der.oid("1.3.101.112")
SEVERE = ["Ed448", "unknown curve", "unknown"]
"""One that signs, one whose kind is known and whose curve is not, and one of which nothing is known."""

MakeOdd = Callable[[str], Path]


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> MakeOdd:
    """Makes a folder with `key.pem`, a key of a kind, and `certificate.pem`, its certificate."""
    folder = tmp_path_factory.mktemp("odd")

    def openssl(*words: str | Path) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    curve = ("-algorithm", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
    openssl("genpkey", *curve, "-out", "ca.key")
    openssl("req", "-x509", "-key", "ca.key", "-subj", "/CN=ca", "-days", "9999", "-out", "ca.pem")
    openssl("req", "-new", "-key", "ca.key", "-subj", "/CN=odd", "-out", "request.pem")

    def make(kind: str) -> Path:
        made = folder / kind
        if not made.exists():
            made.mkdir()
            key, public, certificate = made / "key.pem", made / "public.pem", made / "certificate.pem"
            openssl("genpkey", *KINDS[kind], "-out", key)
            openssl("pkey", "-in", key, "-pubout", "-out", public)
            signer = ("-CA", "ca.pem", "-CAkey", "ca.key", "-days", "9999")
            openssl(
                *("x509", "-req", "-in", "request.pem", *signer, "-force_pubkey", public),
                *("-out", certificate),
            )
            if kind == "unknown":
                forge(certificate)
        return made

    return make


def forge(certificate: Path) -> None:
    """Make its key one of a kind that nobody has heard of."""
    octets = base64.b64decode("".join(certificate.read_text().splitlines()[1:-1]))
    assert octets.count(ED25519) == 1
    certificate.write_text(der.pem("CERTIFICATE", octets.replace(ED25519, UNKNOWN)))


@pytest.mark.parametrize("kind", KINDS)
def test_none_is_sealed_to(odd: MakeOdd, kind: str) -> None:
    [recipient] = load_recipients(odd(kind) / "certificate.pem")
    with pytest.raises(ConfigurationError, match="CN=odd has a key that cannot be sealed to") as raised:
        require_sealable([recipient])
    assert "RSA of 2048 to 8192 bits" in raised.value.hint


@pytest.mark.parametrize("kind", ["Ed448", "X448", "unknown curve", "SM2", "unknown"])
def test_none_signs(odd: MakeOdd, kind: str, tmp_path: Path) -> None:
    for_signing = tmp_path / "signing.pem"
    parts = [(odd(kind) / name).read_bytes() for name in ("key.pem", "certificate.pem")]
    for_signing.write_bytes(b"".join(parts))
    for read in (
        lambda: read_signers(odd(kind) / "certificate.pem"),
        lambda: load_signing_key(for_signing),
    ):
        with pytest.raises(ConfigurationError, match="neither RSA nor on an elliptic curve") as raised:
            read()  # type: ignore[no-untyped-call]
        assert "Signing" in raised.value.hint


@pytest.mark.parametrize("kind", SEVERE)
def test_each_command_says_so(odd: MakeOdd, kind: str, tmp_path: Path) -> None:
    """Whoever takes recipients in does not wait for the first backup to say so."""
    certificate = odd(kind) / "certificate.pem"
    wrong = "the recipient CN=odd has a key that cannot be sealed to"
    mirror = Mirror(tmp_path, "mirror", [certificate])
    enrol = ("enroll", "web1", "--config", mirror.config, "-o", tmp_path / "bundle.toml")
    for words in (("seal", "--recipient", certificate, "-o", tmp_path / "out"), enrol):
        error, hint = complaint(run(*words, expect=2))
        assert error == f"nightdrop: error: {wrong}"
        assert hint.startswith("hint: what can: RSA of 2048 to 8192 bits")
    assert [path.name for path in tmp_path.iterdir()] == ["mirror"]
    assert not mirror.state.exists()
    said = run("doctor", "--config", mirror.config, expect=1).stdout
    assert f"fail  recipients: {wrong}\n      hint: what can: RSA" in said
    assert "CN=odd" in run("key", "show", certificate).stdout
    vetting = [NIGHTDROP[0], "-m", "nightdrop.vetting", "recipients", str(certificate)]
    done = subprocess.run(vetting, capture_output=True, text=True, check=False)
    assert (done.returncode, complaint(done)[0]) == (2, f"nightdrop: error: {wrong}")


@pytest.mark.parametrize("kind", SEVERE)
def test_no_envelope_is_opened_with_its_key(odd: MakeOdd, kind: str, tmp_path: Path) -> None:
    for words in (("open",), ("key", "paper", "-o", tmp_path / "paper.pdf")):
        key = (odd(kind) / "key.pem",) if words[0] == "key" else ("--key", odd(kind) / "key.pem")
        error, hint = complaint(run(*words, *key, expect=2))
        assert error.endswith("key.pem: this is no key that opens envelopes")
        assert hint.startswith("hint: what does: RSA")


def test_the_door_is_not_served_with_it(odd: MakeOdd, tmp_path: Path) -> None:
    """Nor does a check or a doctor that comes upon it there end in anything but lines."""
    mirror = Mirror(tmp_path, "mirror", [make_recipient(tmp_path / "recipient.pem")])
    mirror.enroll("web1", tmp_path / "web1.toml")
    mirror.certificate.write_bytes((odd("unknown") / "certificate.pem").read_bytes())
    wrong = f"{mirror.certificate}: the key of this certificate is of no kind that is known here"
    for verb in ("serve", "enroll web2"):
        error, hint = complaint(run(*verb.split(), "--config", mirror.config, expect=2))
        assert error == f"nightdrop: error: {wrong}"
        assert "--again" in hint
    assert f"fail  certificate: {wrong}\n" in run("doctor", "--config", mirror.config, expect=1).stdout
    run("check", "--config", mirror.config)


def test_no_host_is_enrolled_to_sign_with_it(odd: MakeOdd, tmp_path: Path) -> None:
    mirror = Mirror(tmp_path, "mirror", [make_recipient(tmp_path / "recipient.pem")])
    certificate = odd("unknown") / "certificate.pem"
    words = ("enroll", "web1", "--config", mirror.config, "--signer", certificate)
    error, hint = complaint(run(*words, expect=2))
    assert "the key of a certificate here is neither RSA nor on an elliptic curve" in error
    assert "Signing" in hint
    assert not mirror.state.exists()
