"""Signatures of receipts: openssl checks ours, we check openssl's, and nothing else passes."""

import contextlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from check.signers import make_signer
from core.keyring import BOUNDED
from nightdrop.errors import ConfigurationError, SignatureError
from nightdrop.signatures import load_signers, load_signing_key, read_signers, verify

TEXT = b"a receipt\nof two lines\n"


@pytest.fixture(scope="module", params=["ec", "rsa"])
def signer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_signer(tmp_path_factory.mktemp(request.param), "web1", request.param)


def openssl(*words: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["openssl", "cms", *map(str, words)], capture_output=True, check=False)


def test_openssl_checks_ours(signer: tuple[Path, Path], tmp_path: Path) -> None:
    text, signature = tmp_path / "receipt.json", tmp_path / "receipt.json.p7s"
    text.write_bytes(TEXT)
    signature.write_bytes(load_signing_key(signer[0]).sign(TEXT))
    words = [
        *("-verify", "-binary", "-inform", "DER", "-in", signature, "-content", text),
        *("-CAfile", signer[1], "-certfile", signer[1], "-purpose", "any", "-out", "/dev/null"),
    ]
    assert openssl(*words).returncode == 0
    text.write_bytes(TEXT + b"x")
    assert openssl(*words).returncode != 0


@pytest.mark.parametrize("words", [[], ["-noattr"], ["-keyid"], ["-nocerts"], ["-md", "sha512"]], ids=str)
def test_we_check_openssls(signer: tuple[Path, Path], tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "text").write_bytes(TEXT)
    done = openssl(
        *("-sign", "-binary", "-outform", "DER", "-signer", signer[1], "-inkey", signer[0]),
        *("-in", tmp_path / "text", *words),
    )
    signers = load_signers(signer[1].read_text(), "test")
    verify(done.stdout, TEXT, signers)
    with pytest.raises(SignatureError):
        verify(done.stdout, TEXT + b"x", signers)


def test_another_signer(signer: tuple[Path, Path], tmp_path: Path) -> None:
    other = make_signer(tmp_path, "web1")
    signature = load_signing_key(other[0]).sign(TEXT)
    with pytest.raises(SignatureError, match="somebody else signed it"):
        verify(signature, TEXT, load_signers(signer[1].read_text(), "test"))
    verify(signature, TEXT, load_signers(signer[1].read_text() + other[1].read_text(), "test"))


@settings(BOUNDED, max_examples=150)
@given(st.data())
def test_altered_signatures_are_refused(signer: tuple[Path, Path], data: st.DataObject) -> None:
    """Wherever it is altered: it holds or not, or it is no signature; nothing else comes out, and no
    other text passes.
    """
    signers = load_signers(signer[1].read_text(), "test")
    octets = bytearray(_SIGNED.setdefault(signer[0], load_signing_key(signer[0]).sign(TEXT)))
    at = data.draw(st.integers(0, len(octets) - 1))
    octets[at : at + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=5))
    with contextlib.suppress(SignatureError):
        # What is not signed (certificates that are sent along) may be altered.
        verify(bytes(octets), TEXT, signers)
    with pytest.raises(SignatureError):
        verify(bytes(octets), TEXT + b"x", signers)


_SIGNED: dict[Path, bytes] = {}


def test_keys_that_are_none(signer: tuple[Path, Path], tmp_path: Path) -> None:
    other = make_signer(tmp_path, "other")
    mixed = tmp_path / "mixed.pem"
    mixed.write_bytes(signer[0].read_bytes().partition(b"-----BEGIN CERT")[0] + other[1].read_bytes())
    for path in (signer[1], tmp_path / "none", mixed):
        with pytest.raises(ConfigurationError):
            load_signing_key(path)
    with pytest.raises(ConfigurationError, match="a private key here"):
        read_signers(signer[0])
    (tmp_path / "text").write_text("text")
    with pytest.raises(ConfigurationError, match="no certificate"):
        read_signers(tmp_path / "text")
