"""install.sh: what it says it would do, and what it refuses. tests/lab/evening really installs."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WRITES = ("/opt/nightdrop", "/etc/nightdrop", "/var/lib/nightdrop", "/srv/nightdrop", "/usr/local/share",
          "/etc/credstore.encrypted", "/usr/local/bin/nightdrop",
          "/usr/local/lib/systemd/system/nightdrop-")  # fmt: skip
_NOTHING_ELSE = 'mount -t tmpfs tmpfs /mnt; mount -o remount,bind,ro /; TMPDIR=/mnt exec "$@"'
# Runs a command where nothing but temporary files can be written.
READ_ONLY = ("unshare", "--mount", "sh", "-ec", _NOTHING_ELSE, "sh")


def install(
    *words: str | Path, expect: int = 0, cwd: Path = ROOT, within: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    command = [*within, str(ROOT / "install.sh"), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
    assert done.returncode == expect, done.stdout + done.stderr
    return done


@pytest.mark.parametrize(
    ("words", "steps"),
    [
        (
            ["mirror", "--url", "https://backup9.example.net:8443"],
            ["Python packages for: check server", "the user nightdrop", "/etc/nightdrop/mirror.toml",
             "nightdrop-serve.socket", "nightdrop-report.timer"],
        ),
        (["client", "--bundle", "README.md"], ["packages for: client", "nightdrop-backup@client.timer"]),
        (["client", "--bundle", "README.md", "--plain"], ["write /etc/nightdrop/bundle.toml"]),
        (["client", "--job", "db", "--bundle", "README.md"], ["/etc/nightdrop/db.toml", "@db.timer"]),
        (["admin"], ["packages for: restore", "/usr/local/bin/nightdrop"]),
        (["uninstall"], ["left where they are"]),
    ],
)  # fmt: skip
def test_a_dry_run_says_the_steps_and_does_none(words: list[str], steps: list[str]) -> None:
    done = install(*words, "--dry-run", within=READ_ONLY)
    for step in steps:
        assert step in done.stdout
    # And it is all where --help says.
    for word in done.stdout.replace(",", " ").replace(":", " ").split():
        assert not word.startswith("/") or word.startswith(WRITES), word
    # Nothing is installed here, so there is nothing to uninstall.
    done_nothing = "nothing had to be changed" if words[0] == "uninstall" else "this was a dry run"
    assert done_nothing in done.stdout


def test_compilers_are_wanted_by_what_the_system_is_not_by_its_kernel(tmp_path: Path) -> None:
    """A Raspberry Pi OS of 32 bits with a kernel of 64, as far as one can be told from here: what its
    programs would print.
    """
    for name, says in (("uname", "aarch64"), ("dpkg", '[ "$1" != -s ] && echo armhf')):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{says if '[' in says else f'echo {says}'}\n")
        program.chmod(0o755)
    done = install("admin", "--dry-run", within=("env", f"PATH={tmp_path}:{os.environ['PATH']}"))
    assert "installing Debian packages: build-essential " in done.stdout


@pytest.mark.parametrize(("uname", "dpkg"), [("armv6l", "armhf"), ("armv5tel", "armel")])
def test_a_processor_for_which_there_is_no_cryptography(tmp_path: Path, uname: str, dpkg: str) -> None:
    """A Raspberry Pi 1 or Zero, as far as one can be told from here."""
    for name, says in (("uname", uname), ("dpkg", dpkg)):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho {says}\n")
        program.chmod(0o755)
    path = f"PATH={tmp_path}:{os.environ['PATH']}"
    done = install("client", "--dry-run", expect=1, within=("env", path))
    assert done.stderr.startswith("nightdrop: error: cryptography is not ready for this processor")
    assert "hint: ARMv7" in done.stderr
    assert done.stdout == ""


def test_nothing_can_be_written_where_that_is_tried(tmp_path: Path) -> None:
    done = subprocess.run([*READ_ONLY, "touch", f"/var/tmp/{tmp_path.name}"], check=False)
    assert done.returncode == 1


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["mirrors"],
        ["mirror", "--bundle", "README.md"],
        ["client", "--url", "https://a.example"],
        ["client", "--bundle"],
        ["client", "--job", "../x"],
        ["client", "--job", "mirror"],
        ["client", "--job", "-x"],
        ["mirror", "--url", "http://a.example"],
        ["mirror", "--url", 'https://a" x = "b'],
        ["mirror", "--url", "https://"],
        ["mirror", "--url", "https://a.example:"],
        ["mirror", "--url", "https://a.example:65536"],
        ["mirror", "--url", "https://fd99::1:8443"],
        ["mirror", "--url", "https://a.example\nhttps://b.example"],
        ["admin", "--plain"],
        ["wheels"],
        ["wheels", ""],
        ["venv", "test"],
        ["venv", "tests", "client"],
        ["client", "--bundle", ""],
        ["admin", "--wheels", ""],
    ],
)
def test_wrong_usage(words: list[str]) -> None:
    dry = ["--dry-run"] if words and words[0] in ("mirror", "client", "admin") else []
    done = install(*words[:1], *dry, *words[1:], expect=2)
    assert done.stdout == ""
    if words:
        error, hint = done.stderr.splitlines()
        assert error.startswith("nightdrop: error: ")
        assert hint == "hint: see ./install.sh --help"
    else:
        assert done.stderr.startswith("usage: ")


@pytest.mark.parametrize(
    ("words", "why", "hint"),
    [
        (["client", "--bundle", "/absent"], "/absent: there is no such file", "nightdrop enroll HOST"),
        (["client", "--bundle", "/etc"], "/etc: is not a file", "nightdrop enroll HOST"),
        (["mirror", "--recipients", "/absent"], "/absent: there is no such file", "nightdrop key new"),
        (["admin", "--wheels", "/absent"], "/absent: there is no such folder", "./install.sh wheels"),
    ],
)
def test_files_that_are_none(words: list[str], why: str, hint: str) -> None:
    done = install(*words, expect=2)
    assert done.stdout == ""
    told, help_ = done.stderr.splitlines()
    assert (told, help_.startswith("hint: "), hint in help_) == (f"nightdrop: error: {why}", True, True)


def test_nothing_temporary_can_be_made() -> None:
    done = install("client", "--dry-run", expect=1, within=("env", "TMPDIR=/absent"))
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["mktemp", "nightdrop", "hint"]


@pytest.mark.parametrize(
    "url", ["https://a.example", "https://a.example:65535/", "https://[2001:db8::1]:8443/b"]
)
def test_addresses_of_mirrors(url: str) -> None:
    install("mirror", "--url", url, "--dry-run")


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["mirror", "--help"], ["client", "--plain", "-h"]])
def test_help(words: list[str]) -> None:
    done = install(*words)
    assert done.stdout.startswith("usage: ./install.sh try")
    assert done.stderr == ""


def test_a_python_that_is_too_old_is_told_before_anything_is_done(tmp_path: Path) -> None:
    python = tmp_path / "python3"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    # Of a role it is the system's own, whichever one comes first on root's PATH.
    within = ("env", f"PATH={tmp_path}:{os.environ['PATH']}")
    install("admin", "--dry-run", within=within)
    done = install("venv", expect=1, within=within)
    assert done.stderr.startswith("nightdrop: error: python3 is older than 3.11\nhint: ")
    assert done.stdout == ""


@pytest.mark.parametrize("kind", ["recipients", "bundle"])
def test_a_file_that_is_none_of_its_kind_is_not_taken(kind: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nightdrop.vetting", kind, "README.md"],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["nightdrop", "hint"]


def test_files_are_taken_from_where_one_stands(tmp_path: Path) -> None:
    (tmp_path / "web1.toml").write_text("x")
    install("client", "--bundle", "web1.toml", "--dry-run", cwd=tmp_path)
    done = install("client", "--bundle", "web2.toml", "--dry-run", cwd=tmp_path, expect=2)
    assert done.stderr.startswith(f"nightdrop: error: {tmp_path}/web2.toml: there is no such file")


@pytest.fixture
def readable() -> Iterator[Path]:
    """The installer where nobody can read it, too, as this checkout may not be."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="nightdrop-install-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        shutil.copy(ROOT / "install.sh", folder)
        shutil.copytree(ROOT / "install", folder / "install")
        for path in folder.rglob("*"):
            path.chmod(0o755)
        yield folder / "install.sh"


def test_only_root_installs(readable: Path) -> None:
    command = ["setpriv", "--reuid", "65534", "--clear-groups", str(readable), "admin"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("nightdrop: error: root is needed")


def test_anybody_may_look_at_the_steps_and_what_cannot_be_read_is_said(
    readable: Path,
) -> None:
    nobody = ["setpriv", "--reuid", "65534", "--clear-groups", str(readable)]
    path = readable.parent / "dpkg"
    path.write_text('#!/bin/sh\n[ "$1" != -s ] && echo armhf\n')
    path.chmod(0o755)
    without = {**os.environ, "TMPDIR": "/tmp", "PATH": f"{readable.parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [*nobody, "admin", "--dry-run"], capture_output=True, text=True, check=True, env=without
    )
    assert "installing Debian packages: build-essential" in done.stdout
    secret = readable.parent / "web1.toml"
    secret.touch(0o600)
    done = subprocess.run(
        [*nobody, "client", "--bundle", str(secret), "--dry-run"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2,
        f"nightdrop: error: {secret}: cannot be read",
    )


@pytest.mark.parametrize("shell", ["bash --posix", "busybox sh"])
def test_other_shells(shell: str) -> None:
    command = [*shell.split(), str(ROOT / "install.sh"), "admin", "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("this was a dry run: nothing was changed\n")
