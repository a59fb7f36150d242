"""The life of a key, from end to end: made, carried into gpgsm and back, replaced, joined by one for
emergencies, typed from paper. At every stage the right key opens, and the wrong one learns which would.
"""

import re
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import tomli_w

from core.stock import PASSPHRASE, PKCS12_ATTEMPTS, Gpgsm, RefusedError, unpack

from house import HOST, House, Key, complaint, make_key, run


@dataclass(frozen=True)
class Life:
    """A house whose host dropped a full and an incremental for the old key, and then, after that was
    replaced, a full for the new one and the one for emergencies. The times of the three sets, and what
    the second run said.
    """

    house: House
    old: Key
    new: Key
    escrow: Key
    times: list[str]
    said: str

    def restore(self, key: Key, time: str, to: Path, expect: int = 0) -> subprocess.CompletedProcess[str]:
        """Restore the file as of this time, with this key."""
        vault = self.house.mirrors[0].vault
        words = ["--time", time, "--path", self.house.source / "file", "--to", to, *key.arguments]
        return run("restore", "run", vault, "--host", HOST, *words, expect=expect)


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory, admin_key: Key) -> Iterator[Life]:
    folder = tmp_path_factory.mktemp("life")
    house = House(folder, admin_key)
    house.configure('cipher = "aes-256-cbc"', 'patience = "5s"')
    file = house.source / "file"
    house.start()
    try:
        file.write_text("one")
        house.backup()
        new = make_key(folder / "new", "new", "ec-p384")
        escrow = make_key(folder / "escrow", "notary", "x25519")
        replace(house, admin_key, [new, escrow])
        file.write_text("two!")
        done = run("backup", "--config", house.config)
        house.let_a_second_pass()
        file.write_text("three")
        house.backup("--full")
    finally:
        house.close()
    listed = run("restore", "list", house.mirrors[0].vault).stdout
    times = re.findall(r"^  (\S+)  duplicity", listed, re.MULTILINE)
    assert len(times) == 3
    yield Life(house, admin_key, new, escrow, times, done.stdout + done.stderr)


def replace(house: House, old: Key, others: list[Key]) -> None:
    """A key by others, as OPERATIONS.md says: the mirrors know all of them; of the bundle, the old one is
    taken out by hand.
    """
    for mirror in house.mirrors:
        recipients = mirror.root / "recipients.pem"
        recipients.write_text("".join(key.certificate.read_text() for key in (old, *others)))
        mirror.config.write_text(mirror.config.read_text().replace(str(old.certificate), str(recipients)))
        mirror.enroll(HOST, house.bundle, "--again")
    bundle = tomllib.loads(house.bundle.read_text())
    bundle["recipients"].remove(old.certificate.read_text())
    assert len(bundle["recipients"]) == len(others)
    house.bundle.write_text(tomli_w.dumps(bundle))


def test_it_takes_effect_with_the_next_full(life: Life) -> None:
    assert "the new ones take effect with the next full" in life.said


def test_the_check_says_what_each_key_is_needed_for(life: Life) -> None:
    done = run("check", "--config", life.house.mirrors[0].config, "--no-page")
    assert "Key CN=admin: opens 2 of 3 sets, 2 with no other key (web1; the newest came " in done.stdout
    for name in ("new", "notary"):
        assert (
            f"Key CN={name}: opens 1 of 3 sets; each of them opens with another key, too." in done.stdout
        )


def test_the_right_key_restores(life: Life, tmp_path: Path) -> None:
    for key, number, content in ((life.old, 0, "one"), (life.new, 2, "three"), (life.escrow, 2, "three")):
        to = tmp_path / key.folder.name
        life.restore(key, life.times[number], to)
        assert to.read_text() == content


def test_the_wrong_key_learns_which_would(life: Life, tmp_path: Path) -> None:
    names = {"CN=admin", "CN=new", "CN=notary"}
    for key, number, right in ((life.new, 1, {"CN=admin"}), (life.old, 2, {"CN=new", "CN=notary"})):
        error, hint = complaint(life.restore(key, life.times[number], tmp_path / "to", expect=1))
        assert error.endswith("the key given does not open this envelope")
        assert hint.startswith("hint: it is sealed to ")
        assert {name for name in names if name in hint} == right
        assert not (tmp_path / "to").exists()


def test_all_of_it_needs_both_keys(life: Life) -> None:
    words = ["restore", "verify", life.house.mirrors[1].vault, *life.new.arguments]
    done = run(*words, expect=3)
    assert "the key given does not open this envelope (it is sealed to CN=admin" in done.stdout
    assert f".{life.times[2]}." not in done.stdout
    # All have the same passphrase.
    assert "all as they should be" in run(*words, "--key", life.old.private).stdout


@pytest.mark.parametrize("which", ["old", "escrow"])
def test_typed_from_paper(life: Life, which: str, tmp_path: Path) -> None:
    """The longest key and the shortest: the host's file comes back with what was typed."""
    key: Key = getattr(life, which)
    paper, lines = tmp_path / "paper.html", tmp_path / "lines"
    run("key", "paper", key.private, "--passphrase-file", key.passphrase, "-o", paper)
    lines.write_text("\n".join(re.findall(r"<li>([KC]\d{3} [^<]*)</li>", paper.read_text())))
    run("key", "read", tmp_path / "typed", lines)
    typed = Key(tmp_path / "typed", key.passphrase)
    assert typed.private.read_bytes() == key.private.read_bytes()
    life.restore(typed, life.times[0 if which == "old" else 2], tmp_path / "to")
    assert (tmp_path / "to").read_text() == ("one" if which == "old" else "three")


def test_into_gpgsm_and_back(life: Life, tmp_path: Path) -> None:
    """As PKCS#12: gpgsm opens what was dropped, and what it exports opens that here."""
    name = f"duplicity-full.{life.times[0]}.manifest.p7m"
    manifest = life.house.mirrors[0].vault / HOST / name
    passphrase = tmp_path / "passphrase"
    passphrase.write_bytes(PASSPHRASE)
    with Gpgsm() as gpgsm:
        for _ in range(PKCS12_ATTEMPTS):
            subprocess.run(
                [
                    *("openssl", "pkcs12", "-export", "-out", tmp_path / "key.p12"),
                    *("-inkey", life.old.private, "-passin", f"file:{life.old.passphrase}"),
                    *("-in", life.old.certificate, "-passout", f"file:{passphrase}"),
                    *("-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha1"),
                ],
                check=True,
            )
            with suppress(RefusedError):
                gpgsm.run("--import", str(tmp_path / "key.p12"))
                break
        assert b"Hostname" in unpack(gpgsm.run("--decrypt", str(manifest)))
        gpgsm.run("--output", str(tmp_path / "key.pem"), "--export-secret-key-p12", "CN=admin")
    back = Key(tmp_path, passphrase)
    life.restore(back, life.times[1], tmp_path / "to")
    assert (tmp_path / "to").read_text() == "two!"


def test_which_key_it_is(admin_key: Key) -> None:
    """The file with the private key tells as much as the certificate does, and takes no passphrase."""
    told = run("key", "show", admin_key.certificate).stdout
    assert told.startswith("CN=admin\n  fingerprint  ")
    assert run("key", "show", admin_key.private).stdout == told
