"""Containers and volumes of the engine that tests/lab/podman or tests/lab/docker has set up."""

import os
import subprocess
from pathlib import Path

from house import HOST, House, run
from trees import describe, differences

ENGINE = os.environ["NIGHTDROP_LAB_ENGINE"]
SOURCES = """
[[containers]]
name = "wiki.sql"
engine = "{engine}"
container = "wiki-db"
command = ["/bin/sh", "-c", "echo dump for $USER_NAME with $PASSWORD; cat /data/page"]
environment = {{ USER_NAME = "backup" }}
secrets = {{ PASSWORD = {{ file = "{password}" }} }}

[[volumes]]
name = "wiki-files"
engine = "{engine}"
"""

WRONG = {
    "podman": {
        "containers/gone": "it ended with status 125: Error: no container",
        "containers/wiki": "it ended with status 127: Error: ",
        "volumes/gone": "podman ended with status 125: Error: ",
    },
    "docker": {
        "containers/gone": "it ended with status 1: Error: No such container: gone",
        "containers/wiki": "it ended with status 126",
        "volumes/gone": "docker ended with status 1: Error: No such volume: gone",
    },
}
"""What each engine says of what is not there."""


def engine(*words: str, told: bytes = b"") -> bytes:
    """Ask the engine for something."""
    return subprocess.run([ENGINE, *words], input=told, check=True, capture_output=True).stdout


def place_of(volume: str) -> Path:
    """The folder that a volume is on this host."""
    return Path(engine("volume", "inspect", "--format", "{{.Mountpoint}}", volume).decode().strip())


def put_into_a_new_volume(name: str, archive: bytes) -> None:
    """As docs/OPERATIONS.md does: Docker has no command for it, so a container unpacks the archive."""
    engine("volume", "create", name)
    if ENGINE == "podman":
        engine("volume", "import", name, "-", told=archive)
    else:
        words = ["--rm", "--interactive", "--network", "none", "--volume", f"{name}:/data"]
        engine("run", *words, "nightdrop-lab", "/bin/tar", "-x", "-C", "/data", told=archive)


def test_there_and_back(house: House, tmp_path: Path) -> None:
    """A full and an incremental; then a new volume, and a container, get what was restored."""
    password = tmp_path / "password"
    password.write_text("s3cret-in-container\n")
    house.config.write_text(house.config.read_text() + SOURCES.format(password=password, engine=ENGINE))
    volume = place_of("wiki-files")
    (volume / "page").write_text("first page\n")
    (volume / "folder").mkdir()
    (volume / "folder" / "file").write_bytes(bytes(100_000))
    assert house.backup()["failed_sources"] == {}
    (volume / "page").write_text("second page\n")
    assert house.backup()["type"] == "inc"

    vault = house.mirrors[0].vault
    words = ["restore", "run", vault, "--host", HOST, *house.key.arguments]
    run(*words, "--path", "/.nightdrop/volumes/wiki-files", "--to", tmp_path / "wiki-files")
    assert differences(describe(volume), describe(tmp_path / "wiki-files")) == {}
    archive = subprocess.run(
        ["tar", "-C", tmp_path / "wiki-files", "-c", "."], check=True, capture_output=True
    )
    put_into_a_new_volume("again", archive.stdout)
    again = place_of("again")
    # The volume is as old as the import, and busybox' tar gives folders no time.
    newer = {b"."} if ENGINE == "podman" else {b".", b"folder"}
    assert differences(describe(volume), describe(again)).keys() <= newer

    run(*words, "--path", "/.nightdrop/containers/wiki.sql", "--to", tmp_path / "wiki.sql")
    dump = (tmp_path / "wiki.sql").read_bytes()
    assert dump == b"dump for backup with s3cret-in-container\nsecond page\n"
    assert engine("exec", "--interactive", "wiki-db", "/bin/cat", told=dump) == dump


def test_what_is_not_there_has_failed(house: House) -> None:
    tables = ""
    for kind, name, container, command in (
        ("containers", "gone", "gone", "x"),
        ("containers", "wiki", "wiki-db", "/nowhere"),
        ("volumes", "gone", "", ""),
    ):
        tables += f'[[{kind}]]\nname = "{name}"\nengine = "{ENGINE}"\n'
        tables += f'container = "{container}"\ncommand = ["{command}"]\n' if container else ""
    house.config.write_text(house.config.read_text() + tables)
    done = run("backup", "--config", house.config, expect=3)
    for name, why in WRONG[ENGINE].items():
        assert f"not whole in this backup: /.nightdrop/{name}: {why}" in done.stdout
