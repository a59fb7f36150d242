"""Signed receipts, from a host's key to the mirror's check; and those that are not as they should be."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from check.signers import make_signer
from check.vaults import HOUR, Shelves
from nightdrop.signatures import load_signing_key

from house import HOST, House, Key, run


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory, admin_key: Key) -> tuple[House, Path, Path]:
    """A house whose host signs from its second backup on."""
    folder = tmp_path_factory.mktemp("signing")
    key, certificate = make_signer(folder, HOST)
    house = House(folder, admin_key)
    house.start()
    try:
        (house.source / "one").write_text("one")
        house.backup()
        for mirror in house.mirrors:
            run(
                *("enroll", HOST, "--config", mirror.config, "--again"),
                *("--signer", certificate, "-o", house.bundle),
            )
        house.configure(f'signing_key = "{key}"', 'volume_size = "1M"', 'patience = "5s"')
        for name in ("two", "three"):
            (house.source / name).write_text(name)
            house.backup()
    finally:
        house.close()
    return house, key, certificate


@pytest.fixture
def signed(signing: tuple[House, Path, Path], tmp_path: Path) -> Shelves:
    """A copy of its first mirror."""
    mirror = signing[0].mirrors[0]
    copy = tmp_path / "mirror"
    shutil.copytree(mirror.root, copy)
    config = copy / "mirror.toml"
    config.write_text(config.read_text().replace(str(mirror.root), str(copy)))
    return Shelves(config, HOST, time.time())


def test_signatures_come_before_receipts_and_openssl_checks_them(
    signing: tuple[House, Path, Path], signed: Shelves
) -> None:
    house, _, certificate = signing
    receipt = signed.path("receipt", "inc", -1)
    names = [path.rpartition("/")[2] for method, path, status in house.requests() if status == 201]
    assert names[-2:] == [f"{receipt.name}.p7s", receipt.name]
    done = subprocess.run(
        [
            *("openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", f"{receipt}.p7s"),
            *("-content", receipt, "-CAfile", certificate, "-certfile", certificate),
            *("-purpose", "any", "-out", "/dev/null"),
        ],
        check=False,
    )
    assert done.returncode == 0


def test_good_signatures_yield_nothing_and_settle(signed: Shelves) -> None:
    assert signed.codes(after=HOUR) == []
    assert len(signed.sql("SELECT * FROM settled_sets", book="check")) == 3


@pytest.mark.parametrize("settle", [True, False])
def test_a_signature_that_is_missing(signed: Shelves, settle: bool) -> None:
    if settle:
        assert signed.codes(after=HOUR) == []
    signed.path("receipt-signature", "inc").unlink()
    found = signed.only(after=2 * HOUR)
    assert (found.code, found.severity, found.host) == ("unsigned", "error", HOST)


def test_another_signer(signed: Shelves, tmp_path: Path) -> None:
    key, certificate = make_signer(tmp_path, HOST)
    signature = signed.path("receipt-signature", "inc")
    signature.write_bytes(load_signing_key(key).sign(signed.path("receipt", "inc").read_bytes()))
    signed.forget()
    found = signed.only()
    assert (found.code, found.severity) == ("bad-signature", "error")
    assert "somebody else signed it" in found.sentence
    # Once that one is known, all is well.
    enrolment = signed.mirror.hosts / f"{HOST}.toml"
    more = json.dumps(certificate.read_text())
    enrolment.write_text(enrolment.read_text().replace("signers = [", f"signers = [{more}, "))
    assert signed.codes() == []


def test_an_altered_receipt(signed: Shelves) -> None:
    path = signed.path("receipt", "inc")
    path.write_bytes(path.read_bytes().replace(b'"tool": "n', b'"tool": "m'))
    # The ledger tells, and what it tells is told once.
    assert {f.code for f in signed.check().findings} == {"corrupt"}
    # And so does the signature: not that the one after it names another receipt, too.
    signed.forget()
    assert {f.code for f in signed.check().findings} == {"bad-signature"}


@pytest.mark.parametrize("octets", [b"", b"junk", b"\x30\x80" * 20_000, b"0" * 1_000_000])
def test_a_signature_that_is_none(signed: Shelves, octets: bytes) -> None:
    signed.path("receipt-signature", "inc").write_bytes(octets)
    signed.forget()
    assert signed.only().code == "bad-signature"


def test_enrolling_says_what_is_no_signer(signing: tuple[House, Path, Path]) -> None:
    house, key, _ = signing
    done = run("enroll", "other", "--config", house.mirrors[0].config, "--signer", key, expect=2)
    assert "there is a private key here, too" in done.stderr
