"""A client backs up to two real mirrors: what arrives, what is restored, and what is asked of them."""

import hashlib
import json
import os
import stat
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from house import HOST, House, run
from mirrors import NIGHTDROP
from trees import change_odd_tree, describe, differences, make_odd_tree


def test_odd_tree_comes_back_as_it_was(house: House, tmp_path: Path) -> None:
    """Full, changes, incremental; either mirror alone gives back both states."""
    house.source.rmdir()
    make_odd_tree(house.source)
    before = describe(house.source)
    first = house.backup()
    change_odd_tree(house.source)
    after = describe(house.source)
    second = house.backup()

    assert (first["type"], second["type"]) == ("full", "inc")
    for number in (0, 1):
        restored = house.restore(tmp_path / f"now-{number}", mirror=number)
        assert differences(after, describe(restored)) == {}
    then = str(first["set"]).rsplit(".", 1)[-1]
    moment = f"{then[:4]}-{then[4:6]}-{then[6:11]}:{then[11:13]}:{then[13:15]}+00:00"
    restored = house.restore(tmp_path / "then", "--time", moment)
    assert differences(before, describe(restored)) == {}
    sparse = (tmp_path / "now-0" / house.source.relative_to("/") / "sparse").stat()
    assert sparse.st_blocks * 512 < sparse.st_size / 2, "the holes were filled"


def test_mirrors_hold_the_same_and_were_only_written_to(house: House) -> None:
    (house.source / "file").write_bytes(os.urandom(2_500_000))
    os.link(house.source / "file", house.source / "link")
    house.backup()
    house.backup()
    assert house.names(0) == house.names(1)
    assert house.mirrors[0].stored(HOST) == house.mirrors[1].stored(HOST)
    for number in (0, 1):
        assert {method for method, _, _ in house.requests(number)} == {"OPTIONS", "PUT"}
        assert {status for _, _, status in house.requests(number)} <= {200, 201}


def test_receipt_is_last_and_names_everything(house: House) -> None:
    (house.source / "file").write_bytes(os.urandom(2_500_000))
    (house.source / "name that nobody may see").touch()
    house.backup()
    house.backup()
    puts = [path.rsplit("/", 1)[-1] for method, path, _ in house.requests() if method == "PUT"]
    stored = house.mirrors[0].stored(HOST)
    previous = ""
    for receipt_name in [name for name in puts if name.endswith(".receipt.json")]:
        octets = stored[receipt_name]
        receipt = json.loads(octets)
        named = {file["name"]: file for file in receipt["files"]}
        assert all(puts.index(name) < puts.index(receipt_name) for name in named)
        for name, file in named.items():
            assert file["size"] == len(stored[name])
            assert file["sha256"] == hashlib.sha256(stored[name]).hexdigest()
        assert receipt["previous"] == previous
        assert receipt["source"]["files"] == 2
        assert b"nobody may see" not in octets
        previous = hashlib.sha256(octets).hexdigest()
    parts = [name.split(".")[-3] for name in puts[:4]]
    assert parts[:2] == ["vol1", "vol2"]
    assert set(stored) == set(puts)


def test_full_when_due(house: House) -> None:
    (house.source / "file").write_text("x")
    assert house.backup()["type"] == "full"
    assert house.backup()["type"] == "inc"
    assert house.backup("--full")["type"] == "full"
    assert house.backup()["type"] == "inc"
    house.configure('full_every = "1s"')
    assert house.backup()["type"] == "full"


def test_local_metadata_lost_makes_a_full_that_restores(house: House, tmp_path: Path) -> None:
    """Lost as a whole, and in parts; test_leftovers.py has every part. What happened is said."""
    (house.source / "file").write_text("one")
    house.backup()
    archive = house.state / "archive" / "backup"
    losses = {
        "there is none to build on": lambda: os.unlink(house.state / "drops.sqlite"),
        "its local metadata is gone": lambda: next(archive.glob("*-full-sig*.gz")).unlink(),
        "its local metadata is damaged": lambda: os.truncate(next(archive.glob("*-full-sig*.gz")), 20),
    }
    for number, (reason, lose) in enumerate(losses.items()):
        lose()
        house.let_a_second_pass()
        (house.source / "file").write_text(f"after loss {number}")
        said = run("backup", "--config", house.config).stdout
        assert "making a full" in said
        assert reason in said
        (house.source / "more").write_text(f"after loss {number}")
        assert house.backup()["type"] == "inc"
        restored = house.restore(tmp_path / f"restored-{number}", mirror=number % 2)
        assert differences(describe(house.source), describe(restored)) == {}


def test_excluded_is_left_out_and_globs_in_folder_names_are_literal(house: House, tmp_path: Path) -> None:
    odd = house.source / "odd [ab]*?"
    odd.mkdir()
    (odd / "kept").touch()
    (house.source / "odd a").mkdir()
    (house.source / "odd a" / "not included").touch()
    (odd / "cache").mkdir()
    (odd / "cache" / "left out").touch()
    house.configure(folders=f"include = ['{odd}']\nexclude = ['**/cache']")
    house.backup()
    restored = house.restore(tmp_path / "restored")
    assert sorted(os.listdir(restored)) == ["odd [ab]*?"]
    assert sorted(os.listdir(restored / odd.name)) == ["kept"]


def test_state_inside_the_source_is_not_backed_up(house: House, tmp_path: Path) -> None:
    house.state = house.source / "state"
    house.configure()
    (house.source / "file").write_text("x")
    house.backup()
    house.backup()
    restored = house.restore(tmp_path / "restored")
    assert sorted(os.listdir(restored)) == ["file"]


@pytest.mark.parametrize("setting", ['cipher = "aes-256-cbc"', 'compress = "none"'])
def test_other_envelopes(house: House, tmp_path: Path, setting: str) -> None:
    house.configure(setting)
    (house.source / "file").write_bytes(os.urandom(100_000))
    house.backup()
    restored = house.restore(tmp_path / "restored")
    assert differences(describe(house.source), describe(restored)) == {}


def test_local_state_is_readable_by_its_owner_alone(house: House) -> None:
    (house.source / "file").write_text("x")
    house.backup()
    for path in [house.state, *house.state.rglob("*")]:
        assert stat.S_IMODE(path.lstat().st_mode) & 0o077 == 0, path


def test_nothing_secret_is_on_a_command_line_in_an_environment_or_written_down(house: House) -> None:
    """Every process of the machine is looked at while the run goes on; and then all that it left."""
    (house.source / "file").write_text("x")
    gate = house.gated()
    secrets = [mirror.password(house.bundle).encode() for mirror in house.mirrors]
    process = subprocess.Popen(
        [*NIGHTDROP, "backup", "--config", str(house.config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    seen = set()
    while process.poll() is None:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words, environment = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
            except OSError:
                continue
            assert not any(secret in words + environment for secret in secrets)
            with suppress(ProcessLookupError):
                # Another test's would be seen, too.
                if os.getsid(int(folder.name)) == process.pid:
                    seen.update(words.split(b"\0"))
        if b"nightdrop_client.launcher" in seen:
            gate.touch()
    said, _ = process.communicate()
    assert process.returncode == 0, said
    assert b"nightdrop_client.launcher" in seen
    written = [path.read_bytes() for path in house.state.rglob("*") if path.is_file()]
    written += house.mirrors[0].stored(HOST).values()
    assert len(written) > 10
    assert not any(secret in octets for secret in secrets for octets in [said, *written])
