"""Trying whether backups can be restored: everything opened, a sample restored; the check tells."""

import glob
import json
import os
import re
import signal
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from nightdrop.drills import parse_drill
from nightdrop_restore.sampling import Sample
from restore.forging import forge, member, seal, tar

from gates import gate_to
from house import HOST, House, Key, complaint, run
from mirrors import NIGHTDROP, PATIENCE, Mirror, wait_until
from ports import free_port


def alter(path: Path) -> None:
    octets = bytearray(path.read_bytes())
    octets[len(octets) // 2] ^= 1
    path.write_bytes(octets)


def name_of(chain: House, *parts: str) -> Path:
    """The one file of the first vault whose name has these parts."""
    [name] = [name for name in chain.names() if all(part in name for part in parts)]
    return chain.mirrors[0].vault / HOST / name


def test_verify_a_good_vault(chain: House) -> None:
    vaults = [mirror.vault for mirror in chain.mirrors]
    sealed = [name for name in chain.names() if name.endswith(".p7m")]
    said = run("restore", "verify", *vaults, *chain.key.arguments).stdout
    assert said.startswith(f"{2 * len(sealed)} files, ")
    assert said.endswith("all as they should be\n")


def test_what_is_no_vault(admin_key: Key, tmp_path: Path) -> None:
    """A disk that has its vault deeper down, say: nothing was looked at, so nothing is fine."""
    (tmp_path / "srv" / "nightdrop").mkdir(parents=True)
    (tmp_path / "lost+found").mkdir()
    error, hint = complaint(run("restore", "list", tmp_path, expect=1))
    assert error == f"nightdrop: error: there is no backup in {tmp_path}"
    assert "one folder for each host" in hint
    error, hint = complaint(run("restore", "verify", tmp_path, *admin_key.arguments, expect=1))
    assert error == f"nightdrop: error: there is no backup in {tmp_path}"
    assert "one folder for each host" in hint


def test_verify_tells_every_damage(chain: House) -> None:
    """Altered, cut off, missing, replaced by another envelope that opens: of each, in which vault."""
    altered, cut = name_of(chain, "full.", ".vol2."), name_of(chain, "full.", ".vol3.")
    missing, other = name_of(chain, "full.", ".vol4."), name_of(chain, "-inc.", ".manifest.")
    alter(altered)
    os.truncate(cut, 1000)
    missing.unlink()
    seal(other, chain.key, b"something else")
    words = ["restore", "verify", *(mirror.vault for mirror in chain.mirrors), *chain.key.arguments]
    told = json.loads(run(*words, "--json", expect=3).stdout)
    problems = {each["name"]: each["problem"] for each in told["problems"]}
    assert "altered" in problems[altered.name]
    assert "not what its receipt says" in problems[cut.name]
    assert problems[other.name] == "it is not what its receipt says"
    assert problems[missing.name] == "it is missing"
    assert {each["vault"] for each in told["problems"]} == {str(chain.mirrors[0].vault)}
    assert told["hosts"] == [HOST]


def test_verify_without_a_receipt_and_with_the_wrong_key(chain: House, tmp_path: Path) -> None:
    for name in chain.names():
        if name.endswith(".receipt.json"):
            (chain.mirrors[0].vault / HOST / name).unlink()
    alter(name_of(chain, "full.", ".vol2."))
    words = ["restore", "verify", chain.mirrors[0].vault]
    said = run(*words, *chain.key.arguments, expect=3).stdout
    assert "vol2.difftar.p7m: it was altered: its authentication tag does not match" in said
    assert said.endswith("; 1 problem\n")


def test_a_drill_and_its_record(chain: House, tmp_path: Path) -> None:
    records, work = tmp_path / "drills", tmp_path / "work"
    records.mkdir()
    work.mkdir()
    words = ["restore", "drill", chain.mirrors[0].vault, "--sample", "9", "--work", work]
    said = run(*words, "--record", records, *chain.key.arguments).stdout
    assert f"{HOST}: 9 of 9, " in said
    assert list(work.iterdir()) == []
    [record] = records.iterdir()
    drill = parse_drill(record.read_bytes())
    assert (drill.files, drill.good, drill.passed) == (9, 9, True)
    assert b"folder" not in record.read_bytes()
    # Where the mirror keeps it, the check tells of it.
    mirror = chain.mirrors[0]
    (mirror.state / "drills").mkdir(exist_ok=True)
    kept = mirror.state / "drills" / record.name
    try:
        kept.write_bytes(record.read_bytes())
        told = json.loads(run("check", "--config", mirror.config, "--json", "--no-page").stdout)
        assert told["drill"]["files"] == told["drill"]["good"] == 9
        text = run("check", "--config", mirror.config, "--no-page").stdout
        assert re.search(r"^Last drill: (just now|\d+ min ago), 9 of 9 files, ", text, re.MULTILINE)
        assert "drill-due" not in text
    finally:
        kept.unlink()


def test_a_drill_of_everything_finds_what_is_lost(chain: House) -> None:
    alter(name_of(chain, "full.", ".vol3."))
    words = ["restore", "drill", chain.mirrors[0].vault, "--sample", "1000", *chain.key.arguments]
    told = parse_drill(run(*words, "--json", expect=3).stdout.encode())
    assert 0 < told.good < told.files
    # What one vault has damaged is taken from the other on the day itself, and so here.
    words.insert(3, str(chain.mirrors[1].vault))
    told = parse_drill(run(*words, "--json").stdout.encode())
    assert told.good == told.files > 90


def test_a_drill_that_is_interrupted_leaves_nothing(chain: House, tmp_path: Path) -> None:
    """While it restores, from a mirror that does not give out the last volume of the full."""
    room, password, port = tmp_path / "room", tmp_path / "password", free_port()
    room.mkdir()
    vault = chain.mirrors[0].vault
    mirror = Mirror(tmp_path, "listener", [chain.key.certificate], vault=vault)
    with mirror.config.open("a") as file:
        file.write(f'[administration]\nlisten = "127.0.0.1:{port}"\n')
    password.write_text(run("admin-password", "--config", mirror.config).stdout)
    volumes = [name for name in chain.names() if "-full." in name and ".difftar." in name]
    last = f".vol{len(volumes)}.difftar."
    with mirror, gate_to(port, last.encode()) as (near, gate):
        words = ["restore", "drill", f"http://127.0.0.1:{near}", "--password-file", password]
        words += ["--sample", "1000", "--work", room, *chain.key.arguments]
        process = subprocess.Popen([*NIGHTDROP, *map(str, words)], stderr=subprocess.PIPE, text=True)
        gate.wait_until_reached()
        wait_until(lambda: bool(glob.glob(f"{room}/*/restored/*", include_hidden=True)), "it restores")
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGTERM
    assert "interrupted" in said
    assert list(room.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("nothing", "in it are no signatures, or not all"),
        ("garbage", "in it are no signatures, or not all"),
        ("cut off", "in it are no signatures, or not all"),
        ("empty", "they name not even a folder"),
    ],
)
def test_a_drill_by_signatures_that_are_none(admin_key: Key, tmp_path: Path, kind: str, why: str) -> None:
    """A drill that cannot look is one that failed: none of no files would be as they were."""
    files = [(member(f"snapshot/{number}"), b"content") for number in range(9)]
    signatures = {
        "nothing": b"",
        "garbage": b"garbage" * 10_000,
        "cut off": tar([(member("snapshot", tarfile.DIRTYPE), b"")])[: tarfile.BLOCKSIZE],
        "empty": bytes(tarfile.RECORDSIZE),
    }[kind]
    forge(tmp_path / "vault", admin_key, files, signatures)
    words = ["restore", "drill", tmp_path / "vault", *admin_key.arguments]
    said = run(*words, expect=3).stdout
    assert f"{HOST}: 0 of 1, " in said
    assert why in said
    told = parse_drill(run(*words, "--json", expect=3).stdout.encode())
    assert not told.passed


def test_a_drill_of_folders_alone(admin_key: Key, tmp_path: Path) -> None:
    """A host may have no file at all: then there is nothing to restore, and nothing wrong."""
    folder = [(member("snapshot", tarfile.DIRTYPE), b"")]
    forge(tmp_path / "vault", admin_key, folder, tar(folder))
    assert "0 of 0" in run("restore", "drill", tmp_path / "vault", *admin_key.arguments).stdout


def test_a_file_that_differs_is_no_match(tmp_path: Path) -> None:
    """The comparison itself: against a signature that rdiff's library made of another content."""
    from duplicity.librsync import SigGenerator

    signer = SigGenerator(512)
    signer.update(b"content" * 1000)
    sample = Sample.of((b"file",), BytesIO(signer.getsig()).read)
    (tmp_path / "file").write_bytes(b"content" * 1000)
    assert sample.is_like(tmp_path / "file")
    for other in (b"content" * 999, b"content" * 999 + b"contenu", b"", b"content" * 1001):
        (tmp_path / "file").write_bytes(other)
        assert not sample.is_like(tmp_path / "file")


def test_mistakes(chain: House, tmp_path: Path) -> None:
    words = ["restore", "drill", chain.mirrors[0].vault, *chain.key.arguments]
    assert "--sample needs" in complaint(run(*words, "--sample", "0", expect=2))[0]
    assert "there is no folder" in complaint(run(*words, "--record", tmp_path / "no", expect=2))[0]
    assert "no host nobody" in complaint(run(*words, "--host", "nobody", expect=2))[0]


def test_a_drill_by_signatures_that_unpack_to_more_than_the_disk_holds(
    admin_key: Key, tmp_path: Path
) -> None:
    """A few kilobytes of them may be gigabytes: nothing is unpacked to the disk."""
    large = 100_000_000
    files = [(member("snapshot/file"), b"content")]
    forge(tmp_path / "vault", admin_key, files, tar([(member("signature/file"), bytes(large))]))
    words = ["restore", "drill", tmp_path / "vault", "--work", tmp_path, *admin_key.arguments]
    limited = ["prlimit", f"--fsize={large // 2}", *NIGHTDROP, *map(str, words)]
    done = subprocess.run(limited, capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert "file: it is not what was backed up" in done.stdout
