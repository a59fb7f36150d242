"""Mistakes a user makes: one line, one hint, the right exit status, no traceback."""

import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from nightdrop_client.configuration import load_client

from gates import gate_to
from house import HOST, House, complaint, run
from mirrors import NIGHTDROP


def test_no_configuration(tmp_path: Path) -> None:
    path = tmp_path / "nothing.toml"
    error, _ = complaint(run("backup", "--config", path, expect=2))
    assert error == f"nightdrop: error: {path}: there is no such client configuration"


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ('volume_sise = "1M"', "unknown key `volume_sise`"),
        ('volume_size = "much"', "key `volume_size`: expected a size such as 200M or 1.5G, found 'much'"),
        ('volume_size = "1K"', "key `volume_size`: expected a size from 1M to 10G"),
        ("full_every = 30", "key `full_every`: expected a duration such as 8h, 30D or 5W, found 30"),
        ('cipher = "rot13"', 'key `cipher`: expected "aes-256-gcm" or "aes-256-cbc", found \'rot13\''),
        ('bundle = "elsewhere.toml"', "there is no such bundle"),
        ("what is this", "this client configuration is not TOML"),
    ],
)
def test_wrong_configuration(tmp_path: Path, still_house: House, lines: str, error: str) -> None:
    still_house.config.write_text(f'{lines}\n[folders]\ninclude = ["/etc"]\n')
    assert error in complaint(run("backup", "--config", still_house.config, expect=2))[0]


@pytest.mark.parametrize(
    ("folders", "error"),
    [
        ('include = ["/nowhere"]', "the source /nowhere does not exist"),
        ('include = ["relative"]', "key `folders.include`: expected absolute paths"),
        ("include = []", "key `folders.include`: expected at least one folder"),
        ("", "key `folders.include` is missing"),
        ('include = ["/etc"]\nexclude = ["cache"]', "key `folders.exclude`: expected a path"),
        ('include = ["/etc"]\nexclude = ["/home//tmp"]', "without // and with ranges such as [a-z]"),
        ('include = ["/etc"]\nexclude = ["/home/[z-a]"]', "without // and with ranges such as [a-z]"),
        (
            'include = ["/etc", "/usr/share"]\nexclude = ["/us?/**"]',
            "the source /usr/share is left out by `folders.exclude`: /us?/**",
        ),
        (
            'include = ["/etc"]\n[[commands]]\nname = "a"\ncommand = ["true"]\n'
            'environment = { A = "\\u0000" }',
            "key `commands[1].environment.A`: expected a text",
        ),
    ],
)
def test_wrong_folders(still_house: House, folders: str, error: str) -> None:
    still_house.configure(folders=folders or "exclude = []")
    assert error in complaint(run("backup", "--config", still_house.config, expect=2))[0]
    assert still_house.names() == []


def test_source_behind_a_link_is_refused_because_the_backup_would_be_empty(still_house: House) -> None:
    link = still_house.root / "link"
    link.symlink_to(still_house.source)
    still_house.configure(folders=f'include = ["{link}"]')
    error, hint = complaint(run("backup", "--config", still_house.config, expect=2))
    assert "symbolic link" in error
    assert hint == f"hint: name the place it leads to: {still_house.source}"


def test_private_key_in_a_bundle_is_refused(still_house: House) -> None:
    text = still_house.bundle.read_text()
    still_house.bundle.write_text(
        text.replace(
            "-----BEGIN CERTIFICATE-----",
            f"{still_house.key.private.read_text()}\n-----BEGIN CERTIFICATE-----",
            1,
        )
    )
    error, hint = complaint(run("backup", "--config", still_house.config, expect=2))
    assert "private key" in error
    assert "only the certificate" in hint


def test_a_backup_of_nothing_is_told(house: House) -> None:
    """As of a disk that is not mounted, or when too much is excluded."""
    (house.source / "file").write_text("x")
    house.configure(folders=f'include = ["{house.source}"]\nexclude = ["{house.source}/**"]')
    done = run("backup", "--config", house.config, expect=3)
    assert done.stdout.splitlines()[-1].startswith("there is no file in this backup: ")
    assert "there is no file in this backup: " in run("status", "--config", house.config, expect=3).stdout


def test_unreadable_source_files_are_counted(house: House) -> None:
    """As a root that may not read everything (without its capabilities): exit 3, and counted."""
    (house.source / "readable").write_text("x")
    (house.source / "secret").write_text("x")
    (house.source / "secret").chmod(0)
    (house.source / "closed").mkdir(mode=0)
    fewer = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    done = subprocess.run(
        [*fewer, *NIGHTDROP, "backup", "--config", str(house.config)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stdout + done.stderr
    assert "not in this backup: 2 source files could not be read" in done.stdout
    [receipt] = [v for k, v in house.mirrors[0].stored(HOST).items() if ".receipt." in k]
    assert json.loads(receipt)["source"]["unread"] == 2


def test_full_disk_under_the_state(house: House, tmp_path: Path) -> None:
    """No room for a volume: one line, and afterwards everything goes on."""
    (house.source / "file").write_bytes(os.urandom(5_000_000))
    house.backup()
    with on_a_small_disk(house, tmp_path / "small", "1M"):
        house.configure()
        complaint(run("backup", "--config", house.config, "--json", expect=1))
    house.state = house.root / "client-state"
    house.configure()
    assert house.backup()["type"] == "inc"


@pytest.mark.parametrize(
    ("words", "why"),
    [(">/dev/full", "No space left on device"), ("| true", "Broken pipe")],
)
def test_a_run_goes_on_though_nobody_hears_of_it(house: House, words: str, why: str) -> None:
    """A log on a full disk, a reader who is gone: the set is made, and the status that of a warning."""
    (house.source / "file").write_text("x")
    backup = f"{shlex.join([*NIGHTDROP, 'backup', '--config', str(house.config)])}; echo $? >&2"
    done = subprocess.run(
        ["sh", "-c", f"{{ {backup}; }} {words}"], capture_output=True, text=True, check=False
    )
    assert done.stderr == f"nightdrop: warning: what this run says is lost: {why}\n3\n"
    assert sum(name.endswith(".receipt.json") for name in house.names()) == 1


@contextmanager
def on_a_small_disk(house: House, folder: Path, size: str) -> Iterator[Path]:
    """The house's state on a disk of its own; yields that."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], check=True)
    try:
        house.state = folder / "state"
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_full_in_the_end_costs_a_backup_nothing(
    plain_house: House, tmp_path: Path
) -> None:
    """When the receipt is on its way to the mirrors, nothing more can be written down here. The set is
    whole all the same: a success, with warnings, and the next run knows all of it.
    """
    house = plain_house
    (house.source / "file").write_text("one")
    url = house.mirrors[0].url
    with (
        on_a_small_disk(house, tmp_path / "small", "16M") as disk,
        gate_to(house.mirrors[0].port, b".receipt.json ") as (near, gate),
    ):
        house.bundle.write_text(house.bundle.read_text().replace(url, f"http://127.0.0.1:{near}"))
        house.configure()
        command = [*NIGHTDROP, "backup", "--config", str(house.config), "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            gate.wait_until_reached()
            fill(disk / "filler")
            gate.open()
            said, complaints = process.communicate()
        assert (process.returncode, complaints) == (3, b"")
        facts = json.loads(said)
        assert facts["mirrors_lacking"] == []
        assert [warning.rpartition(": ")[2] for warning in facts["warnings"]] == [
            "database or disk is full",
            "No space left on device",
        ]
        told = run("status", "--config", house.config, expect=3).stdout
        assert "did not write down how it ended" in told
        (disk / "filler").unlink()
        (house.source / "file").write_text("another")
        assert house.backup()["type"] == "inc"
        assert "not on" not in run("status", "--config", house.config).stdout
        house.assert_mirrors_are_honest()


def fill(path: Path) -> None:
    """Take all the room that there is."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def test_example_configuration_is_the_default(tmp_path: Path, still_house: House) -> None:
    """The commented example loads, and says of each key what it is without the example."""
    import nightdrop_client

    text = (Path(nightdrop_client.__file__).parent / "client.example.toml").read_text()
    text = text.replace('["/etc", "/home", "/root", "/srv"]', '["/etc"]')
    example, plain = tmp_path / "example.toml", tmp_path / "plain.toml"
    example.write_text(text)
    plain.write_text('[folders]\ninclude = ["/etc"]\nexclude = ["/home/*/.cache", "**/node_modules"]\n')
    (tmp_path / "bundle.toml").write_text(still_house.bundle.read_text())
    one, other = load_client(example), load_client(plain)
    assert [getattr(one, f) for f in one.__dataclass_fields__ if f != "path"] == [
        getattr(other, f) for f in other.__dataclass_fields__ if f != "path"
    ]
