"""Commands as sources: what they print is in the set, and a failed one is never taken for a good one."""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

import nightdrop_client
from nightdrop.configuration import load
from nightdrop.errors import ConfigurationError
from nightdrop_client.sources.configuration import load_sources

from house import HOST, House, run
from mirrors import NIGHTDROP, wait_until
from moments import kill_all, start

PLACE = "/.nightdrop/commands"
DUPLICITY = Path(sys.executable).with_name("duplicity")
FORMAT = Path(__file__).parents[2] / "docs" / "FORMAT.md"


def with_commands(house: House, *tables: str) -> None:
    """A configuration with these `[[commands]]`."""
    house.configure('volume_size = "1M"', 'patience = "5s"')
    text = house.config.read_text()
    house.config.write_text(text + "".join(f"[[commands]]\n{table}\n" for table in tables))


def shell(name: str, script: str, *more: str) -> str:
    """A command that a shell runs."""
    return "\n".join([f'name = "{name}"', f"command = ['sh', '-c', '''{script}''']", *more])


def restored(house: House, to: Path, *arguments: str, expect: int = 0) -> dict[str, bytes]:
    """What is restored of the commands, by name."""
    house.restore(to, "--path", PLACE, *arguments, expect=expect)
    return {path.name: path.read_bytes() for path in to.iterdir()}


def receipts(house: House) -> list[dict[str, object]]:
    """The `source` of each receipt, oldest first."""
    stored = house.mirrors[0].stored(HOST)
    found = [json.loads(octets) for name, octets in stored.items() if name.endswith(".receipt.json")]
    return [receipt["source"] for receipt in sorted(found, key=lambda receipt: receipt["finished"])]


def test_output_is_in_the_set_and_in_incrementals(house: House, tmp_path: Path) -> None:
    """Large, small and empty; restored from either mirror, and as of either time."""
    (house.source / "file").write_text("x")
    dump = house.root / "dump"
    dump.write_bytes(os.urandom(3_000_000))
    with_commands(
        house,
        f'name = "large"\ncommand = ["cat", "{dump}"]',
        shell("a-small.sql", "echo $GREETING", 'environment = { GREETING = "hello" }'),
        shell("z.empty", ":"),
    )
    first = house.backup()
    assert "z.empty is empty" in str(first["warnings"])
    before = {"large": dump.read_bytes(), "a-small.sql": b"hello\n", "z.empty": b""}
    with dump.open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"changed" * 1000)
        file.truncate(2_500_000)
    second = house.backup()
    after = before | {"large": dump.read_bytes()}
    assert (first["type"], second["type"]) == ("full", "inc")
    assert int(str(second["stored"])) < 200_000, "an incremental holds what changed"
    assert first["size"] == 3_000_000 + 6 + 1
    assert restored(house, tmp_path / "now") == after
    then = str(first["set"]).rsplit(".", 1)[-1]
    moment = f"{then[:4]}-{then[4:6]}-{then[6:11]}:{then[11:13]}:{then[13:15]}+00:00"
    assert restored(house, tmp_path / "then", "--time", moment) == before
    [source, _] = receipts(house)
    names = ("large", "a-small.sql", "z.empty")
    assert source["what"] == [str(house.source), *(f"{PLACE}/{name}" for name in names)]
    assert source["failed"] == []
    assert_stock_duplicity_agrees(house, tmp_path, after)


def assert_stock_duplicity_agrees(house: House, folder: Path, expected: dict[str, bytes]) -> None:
    """Stock duplicity restores the chain of mirror-b, and then finds nothing that differs."""
    script = re.findall(r'```sh title="gpgsm-openssl"\n(.*?)```', FORMAT.read_text(), re.DOTALL)
    opener, key = folder / "gpgsm-openssl", folder / "plain.pem"
    opener.write_text(*script)
    opener.chmod(0o700)
    unlock = ["openssl", "pkey", "-in", house.key.private, "-out", key]
    subprocess.run([*unlock, "-passin", f"file:{house.key.passphrase}"], check=True)
    words = ["--use-gpgsm", "--gpg-binary", opener, "--use-agent", "--archive-dir", folder / "archive"]
    words += ["--path-to-restore", PLACE.lstrip("/")]
    url, stock = f"file://{house.mirrors[1].vault / HOST}", folder / "stock"
    keys = {"NIGHTDROP_KEY": str(key), "NIGHTDROP_CERT": str(house.key.certificate)}
    for action in (["restore", *words, url, stock], ["verify", "--compare-data", *words, url, stock]):
        done = subprocess.run(
            [DUPLICITY, *action],
            env=os.environ | keys | {"LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert {path.name: path.read_bytes() for path in stock.iterdir()} == expected
    assert "4 file(s) compared, 0 difference(s) found" in done.stdout


BAD = {
    "dies": (
        shell("dies", "echo begun; echo no such table: shop >&2; exit 3"),
        "status 3: no such table: shop",
    ),
    "killed": (shell("killed", "echo begun; kill -9 $$"), "it was killed by signal 9"),
    "cut": (shell("cut", "echo begun", 'ends_with = "-- done"'), "does not end with '-- done'"),
    "hangs": (
        shell("hangs", "echo begun; exec sleep 600", 'patience = "1s"'),
        "printed nothing for 1.0 s",
    ),
    # It is given the time to begin, too, on a machine that stands still meanwhile.
    "lingers": (
        shell("lingers", "echo begun; exec sleep 600 >/dev/null", 'patience = "20s"'),
        "it did not end within 20 s",
    ),
    "absent": (
        'name = "absent"\ncommand = ["/nowhere/dump"]',
        "/nowhere/dump cannot be started: there is no such program",
    ),
    "unkeyed": (
        shell("unkeyed", "echo begun", 'secrets = { KEY = { file = "/nowhere/key" } }'),
        "cannot read the file /nowhere/key: No such file or directory",
    ),
}
"""Commands that fail, and what is said of each."""


def test_a_command_that_fails_is_never_a_good_backup(house: House, tmp_path: Path) -> None:
    """It is said by the run, the receipt, `status` and restore; all else is in the set."""
    (house.source / "file").write_text("x")
    good = [
        shell("aa", "echo good"),
        shell("kept", "echo good", 'ends_with = "good"'),
        shell("zz", "echo good"),
    ]
    with_commands(house, *good, *(table for table, _ in BAD.values()))
    done = run("backup", "--config", house.config, expect=3)
    for name, (_, why) in BAD.items():
        assert f"not whole in this backup: {PLACE}/{name}: " in done.stdout
        assert why in done.stdout
    assert "no such table: shop" in (house.state / "duplicity.log").read_text()
    [source] = receipts(house)
    assert source["failed"] == sorted(f"{PLACE}/{name}" for name in BAD)
    assert f"not whole in it: {PLACE}/dies" in run("status", "--config", house.config, expect=3).stdout

    listed = run("restore", "list", house.mirrors[0].vault).stdout
    assert f"failed in that run: {PLACE}/absent, {PLACE}/cut, {PLACE}/dies" in listed

    to = tmp_path / "to"
    words = ["restore", "run", house.mirrors[0].vault, "--host", HOST, "--to", to, *house.key.arguments]
    said = run(*words, expect=3).stdout
    files = {path.name: path.read_text() for path in (to / PLACE.lstrip("/")).iterdir()}
    for name, (_, why) in BAD.items():
        assert f"not whole in this backup: {PLACE}/{name}: its source failed" in said
        assert why in files.pop(f"{name}.failed")
        assert files.pop(name, "") in ("begun\n", "")
    assert files == {"aa": "good\n", "kept": "good\n", "zz": "good\n"}
    assert (to / house.source.relative_to("/") / "file").read_text() == "x"

    one = ["--path", f"{PLACE}/kept", "--to", tmp_path / "kept.sql", *house.key.arguments]
    said = run("restore", "run", house.mirrors[0].vault, "--host", HOST, *one).stdout
    assert "not whole" not in said
    assert (tmp_path / "kept.sql").read_text() == "good\n"

    with_commands(house, *good, shell("dies", "echo whole"))
    assert house.backup()["type"] == "inc"
    after = restored(house, tmp_path / "after")
    assert after == {"aa": b"good\n", "dies": b"whole\n", "kept": b"good\n", "zz": b"good\n"}


def test_kill_9_in_the_middle_of_a_dump(house: House, tmp_path: Path) -> None:
    """The command ends with the run, and the next run is as if nothing had been."""
    pids = house.root / "pids"
    with_commands(house, shell("slow", f"echo $$ >>{pids}; head -c 3000000 /dev/urandom; exec sleep 600"))
    for killed in ("the run", "all of it"):
        dropped = len(house.names())
        process = start([*NIGHTDROP, "backup", "--config", house.config, "--json"])
        wait_until(lambda: len(house.names()) > dropped, "a volume")  # noqa: B023
        [*_, pid] = pids.read_text().split()
        if killed == "the run":
            duplicity = os.pidfd_open(int(Path(f"/proc/{pid}/stat").read_text().split()[3]))
            process.kill()
            process.wait()
            # Its duplicity process is in nobody's way: whoever runs next waits for it, or ends it. It
            # may end by itself, too, when it has something to tell and nobody listens any more.
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(duplicity, signal.SIGKILL)
            os.close(duplicity)
        else:
            assert kill_all(process)
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the command ends")  # noqa: B023
        house.wait_until_no_run_is_left()
    with_commands(house, shell("slow", "echo whole"))
    assert house.backup()["type"] == "full"
    assert restored(house, tmp_path / "to") == {"slow": b"whole\n"}
    for number in (0, 1):
        assert {status for method, _, status in house.requests(number) if method == "PUT"} == {201}


@pytest.mark.parametrize(
    ("table", "error"),
    [
        ('command = ["x"]', "key `commands[1].name` is missing"),
        ('name = "a/b"\ncommand = ["x"]', "key `commands[1].name`: expected letters"),
        ('name = "a.failed"\ncommand = ["x"]', "key `commands[1].name`: expected letters"),
        ('name = "a"\ncommand = "x"', "key `commands[1].command`: expected a list of texts"),
        ('name = "a"\ncommand = []', "key `commands[1].command`: expected the words of a command"),
        ('name = "a"\ncommand = ["x"]\ntimeout = "1h"', "unknown key `commands[1].timeout`"),
        (
            'name = "a"\ncommand = ["x"]\nsecrets = { K = "plain" }',
            "key `commands[1].secrets.K`: expected one of { file",
        ),
        (
            'name = "a"\ncommand = ["x"]\nsecrets = { K = { fil = "x" } }',
            "key `commands[1].secrets.K`: expected one of { file",
        ),
        (
            'name = "a"\ncommand = ["x"]\nenvironment = { "A B" = "x" }',
            "key `commands[1].environment`: expected the names of environment variables",
        ),
        (
            'name = "a"\ncommand = ["x"]\n[[commands]]\nname = "a"\ncommand = ["y"]',
            "key `commands[2].name`: expected another one in each",
        ),
    ],
)
def test_mistakes_are_named(tmp_path: Path, table: str, error: str) -> None:
    section = load(written(tmp_path, f"[[commands]]\n{table}\n"), "client configuration", "a hint")
    with pytest.raises(ConfigurationError, match=re.escape(error)):
        load_sources(section)


def test_the_example_has_every_source(tmp_path: Path) -> None:
    """What stands commented out in client.example.toml, taken as it is."""
    lines = Path(nightdrop_client.__file__).with_name("client.example.toml").read_text().splitlines()
    kept = [line[2:] for line in lines if re.fullmatch(r"# (\[\[\w+\]\]|\w+ = .*)", line)]
    section = load(written(tmp_path, "\n".join(kept)), "client configuration", "a hint")
    sources = load_sources(section)
    section.finish()
    names = [
        "commands/shop.sql",
        "commands/blog.sql",
        "containers/wiki.sql",
        "pulled/camera",
        "volumes/wiki-files",
    ]
    assert list(sources.places) == [f"/.nightdrop/{name}" for name in names]
    assert [one.folder for one in sources.snapshots] == ["/srv"]


def written(folder: Path, text: str) -> Path:
    path = folder / "client.toml"
    path.write_text(text)
    return path
