"""The escape hatch: what Nightdrop stored comes back with stock tools alone, none of our code."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from house import HOST, House
from trees import Entry, change_odd_tree, describe, differences, make_odd_tree

DUPLICITY = Path(sys.executable).with_name("duplicity")
FORMAT = Path(__file__).parents[2] / "docs" / "FORMAT.md"


@pytest.mark.parametrize("cipher", ["aes-256-gcm", "aes-256-cbc"])
def test_stock_duplicity_restores_a_chain(house: House, tmp_path: Path, cipher: str) -> None:
    """Stock duplicity with the script that FORMAT.md prints: a full and an incremental."""
    house.configure(f'cipher = "{cipher}"', 'volume_size = "1M"')
    house.source.rmdir()
    make_odd_tree(house.source)
    house.backup()
    change_odd_tree(house.source)
    house.backup()
    [script] = re.findall(r'```sh title="gpgsm-openssl"\n(.*?)```', FORMAT.read_text(), re.DOTALL)
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "gpgsm-openssl").write_text(script)
    (tools / "gpgsm-openssl").chmod(0o700)
    plain_key, passphrase = tmp_path / "plain.pem", f"file:{house.key.passphrase}"
    unlock = ["openssl", "pkey", "-in", house.key.private, "-passin", passphrase, "-out", plain_key]
    subprocess.run(unlock, check=True)
    restored = tmp_path / "restored"
    opener = ["--use-gpgsm", "--gpg-binary", tools / "gpgsm-openssl", "--use-agent"]
    places = ["--archive-dir", tmp_path / "archive", f"file://{house.mirrors[0].vault / HOST}", restored]
    keys = {"NIGHTDROP_KEY": str(plain_key), "NIGHTDROP_CERT": str(house.key.certificate)}
    subprocess.run(
        [DUPLICITY, "restore", *opener, *places],
        check=True,
        stdout=subprocess.DEVNULL,
        env=os.environ | keys | {"LC_ALL": "C.UTF-8"},
    )
    there = without_what_duplicity_loses(describe(house.source))
    back = without_what_duplicity_loses(describe(restored / house.source.relative_to("/")))
    assert differences(there, back) == {}


def test_supplement_is_readable_text(house: House) -> None:
    (house.source / "a").write_text("x")
    os.link(house.source / "a", house.source / "b")
    house.backup()
    [name] = [name for name in house.names() if ".supplement." in name]
    plain = subprocess.run(
        f"openssl cms -decrypt -binary -inform DER -in '{house.mirrors[0].vault / HOST / name}'"
        f" -inkey '{house.key.private}' -passin 'file:{house.key.passphrase}'"
        f" -recip '{house.key.certificate}' | zstd -dcf",
        shell=True,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    below = str(house.source.relative_to("/"))
    assert f'"{below}/a"' in plain
    assert f'"{below}/b"' in plain


def without_what_duplicity_loses(entries: dict[bytes, Entry]) -> dict[bytes, Entry]:
    """As stock duplicity restores: names of one file apart, and links as old as their restoring."""
    import dataclasses

    return {
        name: dataclasses.replace(entry, same_as=b"", mtime=0 if entry.type == "l" else entry.mtime)
        for name, entry in entries.items()
    }


def test_tools_are_here() -> None:
    for tool in ("openssl", "gpgsm", "zstd"):
        assert shutil.which(tool), f"{tool} is needed"
