"""`nightdrop hosts`: what a mirror has of whom, while it serves and before it ever did."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from nightdrop.ledger import Ledger
from nightdrop.mirror import load_mirror
from nightdrop.vault import FolderVault
from nightdrop_server.facts import Facts

from house import run
from mirrors import Mirror

FULL = "duplicity-full.20260102T030405Z"
INC = "duplicity-inc.20260102T030405Z.to.20260103T030405Z"


@pytest.fixture
def mirror(recipient: Path, tmp_path: Path) -> Mirror:
    return Mirror(tmp_path, "fresh", [recipient])


def listed(mirror: Mirror, expect: int = 0) -> dict[str, Any]:
    found = json.loads(run("hosts", "--json", "--config", mirror.config, expect=expect).stdout)
    assert found["mirror"] == "fresh"
    return {host["host"]: host for host in found["hosts"]}


def put(mirror: Mirror, bundle: Path, name: str, size: int) -> None:
    fields = mirror.credentials(bundle)
    assert mirror.ask("PUT", f"/{bundle.stem}/{name}", b"x" * size, fields).status == 201


def test_hosts(mirror: Mirror, tmp_path: Path) -> None:
    web1, web2 = tmp_path / "web1.toml", tmp_path / "web2.toml"
    assert listed(mirror) == {}
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with mirror.start():
        mirror.enroll("web1", web1, "--quota", "5G", "--network", "127.0.0.0/8", "--kind", "shell")
        mirror.enroll("web2", web2)
        put(mirror, web1, f"{FULL}.vol1.difftar.p7m", 1000)
        put(mirror, web1, f"{FULL}.receipt.json", 10)
        put(mirror, web1, f"{INC}.vol1.difftar.p7m", 300)
        put(mirror, web1, "duplicity-new-signatures.20260102T030405Z.to.20260103T030405Z.sigtar.p7m", 20)
        put(mirror, web1, f"{INC}.receipt.json", 5)
        time.sleep(1.1)
        put(mirror, web1, "duplicity-full.20260104T030405Z.vol1.difftar.p7m", 1)
        hosts = listed(mirror)
        table = run("hosts", "--config", mirror.config).stdout
    first = hosts["web1"]
    assert (first["files"], first["size"], first["quota"]) == (6, 1336, 5 * 10**9)
    assert (first["last_set"], first["last_set_size"]) == (INC, 325)
    assert started <= first["last_receipt"] < first["last_drop"]
    assert (first["kind"], first["networks"]) == ("shell", ["127.0.0.0/8"])
    second = hosts["web2"]
    assert (second["files"], second["last_drop"], second["last_set"]) == (0, None, None)
    assert (second["quota"], second["networks"], second["trouble"]) == (None, [], None)
    lines = table.splitlines()
    assert [line.split()[0] for line in lines] == ["HOST", "web1", "web2"]
    assert lines[1].split()[1:] == [
        *("shell", first["last_drop"], first["last_receipt"], "1.3", "KB", "5.0", "GB", "127.0.0.0/8")
    ]
    assert lines[2].split()[1:] == ["duplicity", "never", "never", "0", "B", "-", "anywhere"]


def test_ages_go_by_the_ledger(mirror: Mirror, tmp_path: Path) -> None:
    """What a file's own times say can be changed; without the ledger they are all there is."""
    web1 = tmp_path / "web1.toml"
    mirror.enroll("web1", web1)
    with mirror.start():
        put(mirror, web1, f"{FULL}.receipt.json", 10)
    before = listed(mirror)["web1"]["last_receipt"]
    time.sleep(1.1)
    os.utime(mirror.vault / "web1" / f"{FULL}.receipt.json", (0, 0))
    assert listed(mirror)["web1"]["last_receipt"] == before
    for path in mirror.state.glob("ledger.sqlite*"):
        path.unlink()
    assert listed(mirror)["web1"]["last_receipt"] > before


def test_a_folder_is_read_again_when_it_changed(tmp_path: Path, mirror: Mirror) -> None:
    """However soon: within a tick of the file system's clock, too."""
    mirror.enroll("web1", tmp_path / "web1.toml")
    folder = mirror.vault / "web1"
    ledger = Ledger(mirror.ledger)
    facts = Facts(load_mirror(mirror.config), FolderVault(mirror.vault), ledger)

    def files() -> int | None:
        [host] = facts.all()
        return host.kept.files if host.kept else None

    for number in range(1, 200):
        (folder / f"{FULL}.vol{number}.difftar.p7m").touch()
        assert files() == number
    os.utime(folder, (0, 0))
    assert files() == files() == 199
    (folder / f"{FULL}.receipt.json").touch()
    assert files() == 200
    ledger.close()


def test_a_revoked_host_is_listed_while_it_has_a_folder(mirror: Mirror, tmp_path: Path) -> None:
    mirror.enroll("web1", tmp_path / "web1.toml")
    run("revoke", "web1", "--config", mirror.config)
    [host] = listed(mirror).values()
    assert (host["enrolled"], host["trouble"], host["files"]) == (None, "not enrolled", 0)
    assert "nowhere" in run("hosts", "--config", mirror.config).stdout
    (mirror.vault / "web1").rmdir()
    assert listed(mirror) == {}
    assert "enroll" in run("hosts", "--config", mirror.config).stdout


def test_one_that_cannot_be_looked_at_does_not_hide_the_others(mirror: Mirror, tmp_path: Path) -> None:
    for host in ("web1", "web2", "web3"):
        mirror.enroll(host, tmp_path / f"{host}.toml")
    (mirror.vault / "web1").rmdir()
    (mirror.state / "hosts" / "web2.toml").write_text("hello")
    hosts = listed(mirror, expect=1)
    assert hosts["web1"]["files"] is None
    assert "web1" in hosts["web1"]["trouble"]
    assert "web2.toml" in hosts["web2"]["trouble"]
    assert (hosts["web3"]["files"], hosts["web3"]["trouble"]) == (0, None)
    assert "web1: " in run("hosts", "--config", mirror.config, expect=1).stdout
