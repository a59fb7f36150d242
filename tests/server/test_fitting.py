"""What `install.sh mirror` tells systemd of a mirror.toml that says something else than the units do."""

import subprocess
import sys
from pathlib import Path

import pytest

import nightdrop_server
from nightdrop.mirror import load_mirror
from nightdrop_server.fitting import ADMINISTRATION, DOOR, STATE, VAULT, drop_ins, units

from units import complaints

EXAMPLE = Path(nightdrop_server.__file__).parent / "mirror.example.toml"


def written(folder: Path, **changes: str) -> Path:
    text = EXAMPLE.read_text()
    for line, other in changes.items():
        key = line.replace("_", " ").split()[-1]
        before = next(each for each in text.splitlines() if each.startswith(f"{key} = "))
        text = text.replace(f"\n{before}\n", f"\n{key} = {other}\n", 1)
    path = folder / "mirror.toml"
    path.write_text(text)
    return path


def test_the_example_needs_nothing_more(tmp_path: Path) -> None:
    mirror = load_mirror(written(tmp_path))
    assert (mirror.vault, mirror.state, mirror.listen) == (VAULT, STATE, DOOR)
    assert drop_ins(mirror) == {}
    assert "nightdrop-report.timer" not in units(mirror)


def test_a_vault_and_an_address_elsewhere(tmp_path: Path) -> None:
    path = written(tmp_path, vault='"/mnt/a disk/50%"', url='"https://b.example.org:443"')
    text = path.read_text().replace('listen = "[::]:8443"', 'listen = "192.0.2.1:443"')
    text = text.replace('listen = ""', 'listen = "10.0.0.5:9000"')
    path.write_text(text + '[check.mail]\nto = ["a@example.org"]\nfrom = "b@example.org"\n')
    mirror = load_mirror(path)
    found = drop_ins(mirror)
    assert found["nightdrop-serve.service"] == (
        '[Unit]\nRequiresMountsFor="/mnt/a disk/50%%"\n'
        '[Service]\nReadWritePaths=\nReadWritePaths="/mnt/a disk/50%%"\n'
    )
    assert "ListenStream=\nListenStream=192.0.2.1:443\n" in found["nightdrop-serve.socket"]
    assert "ListenStream=10.0.0.5:9000\n" in found["nightdrop-administration.socket"]
    assert 'RequiresMountsFor="/mnt/a disk/50%%"' in found["nightdrop-look.service"]
    wanted = units(mirror)
    assert wanted[:2] == ["nightdrop-serve.socket", "nightdrop-administration.socket"]
    assert {"nightdrop-report.timer", "nightdrop-send.timer"} <= set(wanted)


def test_systemd_takes_the_drop_ins(tmp_path: Path) -> None:
    mirror = load_mirror(written(tmp_path, vault='"/mnt/a disk/50%"', state='"/mnt/other state"'))
    folder = tmp_path / "units"
    folder.mkdir()
    source = Path(nightdrop_server.__file__).parent / "systemd"
    for unit in (*source.glob("*.service"), *source.glob("*.socket")):
        (folder / unit.name).write_text(unit.read_text())
    for name, text in drop_ins(mirror).items():
        if (folder / name).exists():
            with (folder / name).open("a") as unit:
                unit.write(text)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert complaints(folder, scratch) == []


@pytest.mark.parametrize("wrong", ["vaults", "listen"])
def test_a_mirror_toml_that_is_wrong_is_said(tmp_path: Path, wrong: str) -> None:
    path = written(tmp_path)
    text = path.read_text()
    path.write_text(
        text.replace('vault = "', 'vaults = "') if wrong == "vaults" else text.replace("8443", "x")
    )
    command = [sys.executable, "-m", "nightdrop_server.fitting", str(path), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"nightdrop: error: {path}: ")
    assert not (tmp_path / "units").exists()


def test_the_usual_places_are_those_of_the_units() -> None:
    assert ADMINISTRATION.port == 8444
