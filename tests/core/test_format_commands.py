"""Every command that FORMAT.md prints, run as it stands with stock tools."""

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.format_document import block
from core.keyring import Holder, holders, seal
from core.stock import PASSPHRASE, PKCS12_ATTEMPTS, Gpgsm, RefusedError, run
from nightdrop.envelope.algorithms import SEALING_CIPHERS
from nightdrop.envelope.recipients import load_recipients
from nightdrop_client.stand_in import settings, write_gpgsm
from nightdrop_restore.keys.making import new_key
from nightdrop_restore.keys.reading import load_key

SHELLS = {"sh": ["sh"], "dash": ["dash"], "ash": ["busybox", "ash"]}


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The administrator's machine: a key as `nightdrop key new` makes it, and its passphrase."""
    folder = tmp_path_factory.mktemp("offline")
    new_key(folder, "Backup Admin", PASSPHRASE)
    for name in ("passphrase", "passphrase-for-gpgsm"):
        (folder / name).write_bytes(PASSPHRASE + b"\n")
    return folder


@pytest.fixture(scope="module")
def admin(offline: Path) -> Holder:
    [recipient] = load_recipients(offline / "certificate.pem")
    key = load_key(offline / "key.pem", lambda: PASSPHRASE)
    return dataclasses.replace(holders()[0], private=key.private, recipient=recipient, key=key)


@pytest.fixture
def place(offline: Path, tmp_path: Path) -> Path:
    """A copy of it, to work in."""
    shutil.copytree(offline, tmp_path / "place")
    return tmp_path / "place"


def do(
    script: str, place: Path, shell: str = "sh", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*SHELLS[shell], "-c", script],
        cwd=place,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("cipher", SEALING_CIPHERS)
def test_one_volume_with_openssl(place: Path, admin: Holder, cipher: str) -> None:
    envelope = seal(b"content " * 9999, [admin, holders()[1]], cipher)  # type: ignore[arg-type]
    (place / "volume.p7m").write_bytes(envelope)
    done = do(block("one-volume-openssl"), place)
    assert done.returncode == 0, done.stderr
    assert (place / "volume").read_bytes() == b"content " * 9999
    (place / "volume").unlink()
    (place / "volume.p7m").write_bytes(envelope[:-3])
    assert do(block("one-volume-openssl"), place).returncode != 0
    assert not (place / "volume").exists()


@pytest.fixture
def gpgsm() -> Iterator[Gpgsm]:
    with Gpgsm() as home:
        yield home


def test_one_volume_with_gpgsm(place: Path, admin: Holder, gpgsm: Gpgsm) -> None:
    (place / "volume.p7m").write_bytes(seal(b"content " * 9999, [admin], "aes-256-cbc"))
    for _ in range(PKCS12_ATTEMPTS):
        done = do(block("one-volume-gpgsm"), place, **gpgsm.environment)
        if b"trying charset" not in done.stderr:
            break
    assert done.returncode == 0, done.stderr
    assert (place / "volume").read_bytes() == b"content " * 9999


@pytest.fixture
def script(place: Path) -> Path:
    path = place / "gpgsm-openssl"
    path.write_text(block("gpgsm-openssl"))
    path.chmod(0o700)
    return path


def test_the_script_has_five_lines_and_no_fault(script: Path) -> None:
    lines = [line for line in script.read_text().splitlines() if not line.startswith("#")]
    assert len("\n".join(lines).replace("\\\n", "").splitlines()) <= 5
    run("shellcheck", script)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("compress", [True, False])
def test_the_script_is_a_gpgsm_that_decrypts(
    place: Path, admin: Holder, script: Path, shell: str, compress: bool
) -> None:
    """As duplicity calls it: with a passphrase descriptor or without, and with many words."""
    keys = {"NIGHTDROP_KEY": f"{place}/key.pem", "NIGHTDROP_CERT": f"{place}/certificate.pem"}
    keys |= {"NIGHTDROP_PASSPHRASE": f"{place}/passphrase", "TMPDIR": str(place / "temporary files")}
    (place / "temporary files").mkdir()
    command = [*SHELLS[shell], str(script)]
    words = ["--batch", "--no-tty", "--no-secmem-warning", "--pinentry-mode=loopback", "--decrypt"]
    envelope = seal(b"content " * 9999, [admin], compress=compress)
    assert run(*command, *words, stdin=envelope, environment=keys) == b"content " * 9999
    assert run(*command, "--version") == b"gpgsm (GnuPG) 2.2.40\n"
    spoilt = bytearray(envelope)
    spoilt[-20] ^= 1
    for wrong in (bytes(spoilt), envelope[:-1], b"", b"nonsense"):
        with pytest.raises(RefusedError):
            run(*command, *words, stdin=wrong, environment=keys)
    assert os.listdir(place / "temporary files") == []


def test_a_whole_chain_with_stock_duplicity(place: Path, admin: Holder, script: Path) -> None:
    """Made by stock duplicity, too, with our gpgsm: what matters here is the commands as printed."""
    assert script.exists()
    vault, source = place / "vault", place / "source"
    for folder in (vault, source):
        folder.mkdir()
    seal_with = place / "stand-in"
    words = settings(place / "certificate.pem", "aes-256-gcm", compress=True, volume_size=1_000_000)
    write_gpgsm(seal_with, words)
    duplicity = Path(sys.executable).with_name("duplicity")
    environment = {"HOME": str(place), "PATH": f"{duplicity.parent}:{os.environ['PATH']}"}
    options = ["--use-gpgsm", "--gpg-binary", str(seal_with), "--use-agent", "--encrypt-key", "x"]
    for content in ("one", "two"):
        (source / content).write_text(content)
        run(duplicity, *options, str(source), f"file://{vault}", environment=environment)
        # A set is told by its second.
        run("sleep", "1.1")
    commands = block("whole-chain").replace("/path/to/vault/HOST", str(vault))
    done = do(commands, place, "dash", **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(os.listdir(place / "restored")) == ["one", "two"]
    assert (place / "restored" / "two").read_text() == "two"
