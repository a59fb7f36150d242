"""What stands in for parts of duplicity leaves what stock duplicity leaves, octet for octet."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from house import HOST, House, Key
from trees import change_odd_tree, make_odd_tree

DUPLICITY = Path(sys.executable).with_name("duplicity")
FORMAT = Path(__file__).parents[2] / "docs" / "FORMAT.md"
TIMES = (1_800_000_000, 1_800_100_000)

SUBSTITUTED = """
import sys
from nightdrop_client import substitutions
substitutions.install(sys.argv[1:4])
sys.argv[:4] = [sys.executable]
from duplicity.__main__ import dup_run
dup_run()
"""


def backup(words: list[object], source: Path, place: Path, moment: int) -> None:
    """A set in the clear, so that it can be compared."""
    options = ["--no-encryption", "--no-compression", "--no-files-changed", "--volsize", "1"]
    options += ["--current-time", str(moment), "--archive-dir", place / "archive", "-v0"]
    subprocess.run([*words, *options, source, f"file://{place}/vault"], check=True, capture_output=True)


def test_a_full_and_an_incremental_are_stock_duplicitys(tmp_path: Path, admin_key: Key) -> None:
    """Volumes, signatures and manifests, of everything a backup may stumble over."""
    source = tmp_path / "source"
    make_odd_tree(source)
    (source / ("long name " * 12)).write_text("x" * 100_000)
    ours = [sys.executable, "-c", SUBSTITUTED, admin_key.certificate, "aes-256-gcm", "1"]
    for number, moment in enumerate(TIMES):
        if number:
            change_odd_tree(source)
        action = "inc" if number else "full"
        for name, words in (("ours", ours), ("stock", [DUPLICITY])):
            (tmp_path / name / "vault").mkdir(parents=True, exist_ok=True)
            backup([*words, action], source, tmp_path / name, moment)
    made, expected = (contents(tmp_path / name / "vault") for name in ("ours", "stock"))
    assert made.keys() == expected.keys()
    assert len(made) > 25
    assert [name for name in made if made[name] != expected[name]] == []


def contents(folder: Path) -> dict[str, bytes]:
    """What a folder holds, without the manifest's line that says where the local metadata is."""
    return {
        path.name: re.sub(rb"(?m)^Localdir.*\n", b"", path.read_bytes())
        for path in folder.iterdir()
        if "jsonstat" not in path.name
    }


def test_stock_duplicity_verifies_what_was_sealed(house: House, tmp_path: Path) -> None:
    """With two compressing threads and several volumes, of which the first ends within a file."""
    house.configure('volume_size = "50M"')
    (house.source / "large").write_bytes(os.urandom(60_000_000))
    for number in range(300):
        (house.source / f"text{number}").write_text(f"{number}\n" * 2000)
    house.backup()
    (house.source / "text7").write_text("changed\n")
    assert house.backup()["type"] == "inc"
    assert len([name for name in house.names() if ".vol" in name]) == 3
    [script] = re.findall(r'```sh title="gpgsm-openssl"\n(.*?)```', FORMAT.read_text(), re.DOTALL)
    opener = tmp_path / "gpgsm-openssl"
    opener.write_text(script)
    opener.chmod(0o700)
    plain_key, passphrase = tmp_path / "plain.pem", f"file:{house.key.passphrase}"
    unlock = ["openssl", "pkey", "-in", house.key.private, "-passin", passphrase, "-out", plain_key]
    subprocess.run(unlock, check=True)
    options = ["--use-gpgsm", "--gpg-binary", opener, "--use-agent", "--compare-data"]
    places = ["--archive-dir", tmp_path / "archive", f"file://{house.mirrors[0].vault / HOST}"]
    below = ["--path-to-restore", str(house.source.relative_to("/"))]
    done = subprocess.run(
        [DUPLICITY, "verify", *options, *below, *places, house.source],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ
        | {
            "NIGHTDROP_KEY": str(plain_key),
            "NIGHTDROP_CERT": str(house.key.certificate),
            "LC_ALL": "C.UTF-8",
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "302 file(s) compared, 0 difference(s)" in done.stdout


@pytest.mark.parametrize("version", ["3.2.1", "3.2.2"])
def test_only_the_pinned_version_is_touched(version: str) -> None:
    program = f"import duplicity; duplicity.__version__ = {version!r}\n"
    program += "from nightdrop.engine.inside import is_pinned; print(is_pinned())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == str(version == "3.2.1")
    assert ("runs as it is" in done.stdout) == (version != "3.2.1")
