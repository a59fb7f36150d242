"""Vaults that our client never filled: stock duplicity with gpgsm, and `openssl smime` piped into curl.

There are no receipts, so names, sizes and envelopes have to tell.
"""

import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from check.damages import cut, flip
from check.vaults import DAY, Mirror, Shelves, random_octets
from core.stock import Gpgsm
from nightdrop.enrolment import load_bundle
from nightdrop.names import format_time
from restore.test_stock_tools import DUPLICITY

from house import HOST, House, Key, run
from mirrors import environment_without_proxies
from trees import describe, differences


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, admin_key: Key) -> Path:
    """What stock duplicity leaves of a full and an incremental, as behind nginx: without a ledger."""
    folder = tmp_path_factory.mktemp("stock")
    source, vault = folder / "source", folder / "vault"
    source.mkdir()
    pem = admin_key.certificate.read_bytes()
    fingerprint = x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA1()).hex().upper()
    with Gpgsm() as gpgsm:
        (gpgsm.home / "trustlist.txt").write_text(f"{fingerprint} S relax\n")
        gpgsm.know(pem)
        for action, size in (("full", 2_500_000), ("inc", 40_000)):
            (source / action).write_bytes(random_octets(action, size))
            subprocess.run(
                [
                    *(DUPLICITY, action, "--use-gpgsm", "--use-agent", "--encrypt-key", fingerprint),
                    *("--volsize", "1", "--archive-dir", folder / "archive"),
                    *(source, f"file://{vault}"),
                ],
                env=os.environ | gpgsm.environment,
                stdout=subprocess.DEVNULL,
                check=True,
            )
    return vault


@pytest.fixture
def stock(filled: Path, tmp_path: Path, admin: bytes) -> Shelves:
    """A copy of it, on a mirror of ours."""
    mirror = Mirror(tmp_path / "mirror", admin)
    mirror.enroll("old")
    for path in filled.iterdir():
        (mirror.vault / "old" / path.name).write_bytes(path.read_bytes())
    return Shelves(mirror.config, "old", datetime.now(UTC).timestamp())


def test_stock_duplicity_with_gpgsm_is_well(stock: Shelves) -> None:
    report = stock.check()
    assert report.findings == ()
    assert (report.hosts[0].sets, report.hosts[0].state) == (2, "well")
    assert report.hosts[0].newest_full is not None
    assert stock.codes(after=4 * DAY) == ["late"]


def test_it_restores_as_our_own_do(filled: Path, stock: Shelves, admin_key: Key, tmp_path: Path) -> None:
    words = ["--host", "old", "--to", tmp_path / "to", *admin_key.arguments]
    run("restore", "run", stock.folder.parent, *words)
    assert differences(describe(filled.parent / "source"), describe(tmp_path / "to")) == {}


DAMAGES: dict[str, tuple[Callable[[Shelves], object], str]] = {
    "a volume in the middle removed": (
        lambda s: (s.folder / s.name("volume").replace("vol1.", "vol2.")).unlink(),
        "incomplete",
    ),
    "manifest removed": (lambda s: s.path("manifest").unlink(), "incomplete"),
    "signatures removed": (lambda s: s.path("signatures").unlink(), "incomplete"),
    "full removed": (lambda s: s.remove_set("full"), "broken-chain"),
    "volume cut off": (lambda s: cut(s.path("volume")), "truncated"),
    "bit flipped": (lambda s: flip(s.path("volume"), at=500_000), "corrupt"),
    "plain": (lambda s: s.path("volume").write_bytes(b"plain text" * 9000), "not-encrypted"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_found_once(stock: Shelves, name: str) -> None:
    """Bits are known by what the check read when all was well."""
    assert stock.codes() == []
    damage, code = DAMAGES[name]
    damage(stock)
    found = stock.check(after=DAY).findings
    assert [finding.code for finding in found] == [code]


def test_openssl_smime_piped_into_curl(house: House) -> None:
    mirror = house.mirrors[0]
    (entry,) = [each for each in load_bundle(house.bundle).mirrors if each.name == mirror.name]
    now = datetime.now(UTC)
    plain = house.root / "plain"
    plain.write_bytes(random_octets("firmware", 300_000))
    names = [
        f"{kind}.{format_time(now)}.{extension}.p7m"
        for kind, extension in [
            ("sysupgrade-full", "tar.gz"),
            ("mtd-full", "img"),
            ("zroot-full", "zfs"),
            ("conf-full", "tar"),
        ]
    ]
    for name in names:
        seal = f"openssl smime -encrypt -binary -aes256 -outform DER -in {plain} {house.key.certificate}"
        drop = f"curl -sS -f --cacert {mirror.certificate} -u {HOST}:{entry.password} -T - {mirror.url}"
        subprocess.run(
            ["sh", "-c", f"{seal} | {drop}/{HOST}/{name}"], check=True, env=environment_without_proxies()
        )
    shelves = Shelves(mirror.config, HOST, datetime.now(UTC).timestamp())
    report = shelves.check()
    assert report.findings == ()
    assert report.hosts[0].sets == 4
    assert sorted(shelves.codes(after=4 * DAY)) == ["late"] * 4
    cut(shelves.folder / names[0])
    assert shelves.codes() == ["truncated"]
