"""Containers and volumes of the Podman that tests/lab/podman has set up."""

import subprocess
from pathlib import Path

from house import HOST, House, run
from trees import describe, differences

SOURCES = """
[[containers]]
name = "wiki.sql"
container = "wiki-db"
command = ["/bin/sh", "-c", "echo dump for $USER_NAME with $PASSWORD; cat /data/page"]
environment = {{ USER_NAME = "backup" }}
secrets = {{ PASSWORD = {{ file = "{password}" }} }}

[[volumes]]
name = "wiki-files"
"""


def podman(*words: str, told: bytes = b"") -> bytes:
    """Ask Podman for something."""
    return subprocess.run(["podman", *words], input=told, check=True, capture_output=True).stdout


def test_there_and_back(house: House, tmp_path: Path) -> None:
    """A full and an incremental; then a new volume, and a container, get what was restored."""
    password = tmp_path / "password"
    password.write_text("s3cret-in-container\n")
    house.config.write_text(house.config.read_text() + SOURCES.format(password=password))
    volume = Path(
        podman("volume", "inspect", "--format", "{{.Mountpoint}}", "wiki-files").decode().strip()
    )
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
    podman("volume", "create", "again")
    podman("volume", "import", "again", "-", told=archive.stdout)
    again = Path(podman("volume", "inspect", "--format", "{{.Mountpoint}}", "again").decode().strip())
    # The folder itself is as old as the import.
    assert differences(describe(volume), describe(again)).keys() <= {b"."}

    run(*words, "--path", "/.nightdrop/containers/wiki.sql", "--to", tmp_path / "wiki.sql")
    dump = (tmp_path / "wiki.sql").read_bytes()
    assert dump == b"dump for backup with s3cret-in-container\nsecond page\n"
    assert podman("exec", "--interactive", "wiki-db", "/bin/cat", told=dump) == dump


def test_what_is_not_there_has_failed(house: House) -> None:
    tables = (
        '[[containers]]\nname = "gone"\ncontainer = "gone"\ncommand = ["x"]\n[[volumes]]\nname = "gone"\n'
    )
    tables += '[[containers]]\nname = "wiki"\ncontainer = "wiki-db"\ncommand = ["/nowhere"]\n'
    house.config.write_text(house.config.read_text() + tables)
    done = run("backup", "--config", house.config, expect=3)
    for name, why in {
        "containers/gone": "it ended with status 125: Error: no container",
        "containers/wiki": "it ended with status 127: Error: ",
        "volumes/gone": "podman ended with status 125: Error: ",
    }.items():
        assert f"not whole in this backup: /.nightdrop/{name}: {why}" in done.stdout
