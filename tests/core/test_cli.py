"""The `nightdrop` command as a user meets it: a process, its two outputs and its exit status."""

import json
import os
import re
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from cryptography.hazmat.backends.openssl import backend

from core.keyring import holders
from nightdrop.cli import VERBS
from nightdrop.errors import EXIT_STATUS_HELP

from mirrors import wait_for

NIGHTDROP = Path(sys.executable).with_name("nightdrop")


def run(
    *words: str | Path, stdin: bytes = b"", stdout: int = subprocess.PIPE
) -> subprocess.CompletedProcess[bytes]:
    command = [NIGHTDROP, *words]
    return subprocess.run(
        command, input=stdin, stdout=stdout, stderr=subprocess.PIPE, timeout=300, check=False
    )


def complaint(done: subprocess.CompletedProcess[bytes]) -> list[str]:
    """The lines on standard error: an error and perhaps a hint, and no traceback."""
    lines = done.stderr.decode().splitlines()
    assert lines[0].startswith("nightdrop: error: ")
    assert len(lines) == 1 or (len(lines) == 2 and lines[1].startswith("hint: "))
    return lines


def test_version_names_what_it_runs_with() -> None:
    done = run("--version")
    assert done.returncode == 0
    lines = done.stdout.decode().splitlines()
    for package in ("nightdrop", "duplicity", "cryptography", "wsgidav", "cheroot"):
        assert f"{package} {version(package)}" in lines
    [envelopes] = [line for line in lines if line.endswith(" (envelopes)")]
    assert envelopes.split(" ")[0] == "OpenSSL"
    assert envelopes.split(" ")[1] in backend.openssl_version_text()
    assert any(line.startswith("OpenSSL ") and line.endswith(" (TLS)") for line in lines)


def test_version_needs_no_role_but_the_core() -> None:
    """A mirror has no duplicity, a client no wsgidav: the command says so instead of failing."""
    hide = (
        "import importlib.metadata as m; version = m.version\n"
        "def only(name):\n"
        "    if name in ('duplicity', 'wsgidav', 'cheroot'): raise m.PackageNotFoundError(name)\n"
        "    return version(name)\n"
        "m.version = only\n"
        "from nightdrop.cli import version_text; print(version_text())\n"
    )
    done = subprocess.run([sys.executable, "-c", hide], capture_output=True, text=True, check=True)
    assert "duplicity not installed (its role is not on this machine)" in done.stdout.splitlines()


def test_no_verb_is_usage() -> None:
    done = run()
    assert done.returncode == 2
    said = (done.stdout + done.stderr).decode()
    assert said.startswith("usage: nightdrop VERB ")
    for verb in VERBS:
        assert f"  {verb} " in said
    assert said.endswith(EXIT_STATUS_HELP)


@pytest.mark.parametrize("word", ["-h", "--help", "help"])
def test_help_is_help(word: str) -> None:
    done = run(word)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"usage: nightdrop VERB ")
    assert done.stdout.decode().endswith(EXIT_STATUS_HELP)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["frobnicate"], "'frobnicate'"),
        (["restore", "everything"], "'restore everything'"),
        (["restore"], "'restore'"),
        (["--frobnicate"], "'--frobnicate'"),
        (["\x1b[31mred\n"], "\\x1b[31mred\\n"),
        ([""], "''"),
    ],
)
def test_an_unknown_verb_is_one_line_and_a_hint(words: list[str], named: str) -> None:
    done = run(*words)
    assert (done.returncode, done.stdout) == (2, b"")
    error, hint = complaint(done)
    assert error.startswith("nightdrop: error: there is no verb ")
    assert named in error.replace("\\\\", "\\")
    assert "restore run" in hint


@pytest.mark.parametrize("verb", VERBS)
def test_every_verbs_help_ends_with_the_exit_statuses(verb: str) -> None:
    done = run(*verb.split(), "--help")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(f"usage: nightdrop {verb} ".encode())
    assert done.stdout.decode().endswith(EXIT_STATUS_HELP)


@pytest.mark.parametrize("verb", VERBS)
def test_an_unknown_option_is_one_line_and_a_hint(verb: str) -> None:
    done = run(*verb.split(), "--frobnicate")
    assert (done.returncode, done.stdout) == (2, b"")
    assert complaint(done)[1] == f"hint: see `nightdrop {verb} --help`"


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["restore", "--help"], ["seal", "--help"]])
def test_nobody_reads_what_it_says(words: list[str]) -> None:
    """As in `nightdrop … | head -c0`: whoever reads has gone before anything is written."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run(*words, stdout=writing)
    finally:
        os.close(writing)
    assert done.stderr == b""
    assert done.returncode in (0, 1)


def test_nobody_reads_the_envelope(tmp_path: Path) -> None:
    _, certificate = holders()[0].write(tmp_path)
    words = ["seal", "--recipient", str(certificate), "--compress", "none", "/dev/zero"]
    with subprocess.Popen([NIGHTDROP, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(100_000)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["restore", "--help"]])
def test_no_room_for_what_it_says(words: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = run(*words, stdout=full.fileno())
    assert done.returncode == 1
    assert done.stderr == b"nightdrop: error: No space left on device\n"


@pytest.mark.parametrize("size", [5, 5_000_000])
def test_no_room_for_the_envelope_or_what_was_in_it(tmp_path: Path, size: int) -> None:
    key, certificate = holders()[0].write(tmp_path)
    (tmp_path / "plain").write_bytes(os.urandom(size))
    sealed = tmp_path / "sealed"
    assert run("seal", "--recipient", certificate, "-o", sealed, tmp_path / "plain").returncode == 0
    commands: list[list[str | Path]] = [
        ["seal", "--recipient", certificate, tmp_path / "plain"],
        ["open", "--key", key, sealed],
    ]
    for words in commands:
        with Path("/dev/full").open("wb") as full:
            done = run(*words, stdout=full.fileno())
        assert done.returncode == 1
        assert done.stderr == b"nightdrop: error: standard output: No space left on device\n"
        done = run(*words, "-o", "/dev/full")
        assert done.returncode == 1
        assert done.stderr == b"nightdrop: error: /dev/full: No space left on device\n"


def test_a_disk_that_does_not_read_is_named(tmp_path: Path) -> None:
    """A process's memory has nothing at its beginning: EIO, as from a bad sector."""
    key, certificate = holders()[0].write(tmp_path)
    for words in (["seal", "--recipient", certificate], ["open", "--key", key]):
        done = run(*words, "/proc/self/mem")
        assert done.returncode == 1
        assert done.stderr == b"nightdrop: error: /proc/self/mem: Input/output error\n"


def test_an_error_is_one_harmless_line_whatever_name_stands_in_it(tmp_path: Path) -> None:
    name = tmp_path / "\x1b[31mred\nhint: all is well"
    name.write_bytes(b"no certificate")
    shown = f"{tmp_path}/\\x1b[31mred\\nhint: all is well"
    done = run("seal", "--recipient", name)
    assert complaint(done)[0] == f"nightdrop: error: {shown}: there is no certificate here"
    done = run("seal", "--recipient", tmp_path / "none\x1b]0;title\x07")
    assert complaint(done)[0].isprintable()


def test_seal_and_open_through_pipes_and_files(tmp_path: Path) -> None:
    key, certificate = holders()[0].write(tmp_path)
    plain = os.urandom(700_000)
    sealed = run("seal", "--recipient", certificate, stdin=plain)
    assert (sealed.returncode, sealed.stderr) == (0, b"")
    opened = run("open", "--key", key, "-o", tmp_path / "out", stdin=sealed.stdout)
    assert (opened.returncode, opened.stdout, opened.stderr) == (0, b"", b"")
    assert (tmp_path / "out").read_bytes() == plain
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("cut", [1, 100, 300_000])
def test_open_leaves_nothing_of_a_message_that_is_not_whole(tmp_path: Path, cut: int) -> None:
    key, certificate = holders()[0].write(tmp_path)
    sealed = run("seal", "--recipient", certificate, stdin=os.urandom(700_000)).stdout
    done = run("open", "--key", key, "-o", tmp_path / "out", stdin=sealed[:-cut])
    assert (done.returncode, done.stdout) == (1, b"")
    assert complaint(done)[0].startswith("nightdrop: error: standard input: it ends in the middle")
    assert not (tmp_path / "out").exists()
    assert run("open", "--key", key, stdin=sealed[:-cut]).returncode == 1


def test_a_wrong_key_is_told_with_the_recipients(tmp_path: Path) -> None:
    alice, bob, carol = holders()
    for holder in (alice, bob, carol):
        (tmp_path / holder.recipient.name).mkdir()
        holder.write(tmp_path / holder.recipient.name)
    names = [tmp_path / "CN=alice/certificate.pem", tmp_path / "CN=bob/certificate.pem"]
    sealed = run("seal", "--recipient", names[0], "--recipient", names[1], stdin=b"secret").stdout
    done = run("open", "--key", tmp_path / "CN=carol/key.pem", stdin=sealed)
    assert (done.returncode, done.stdout) == (1, b"")
    both = tmp_path / "CN=carol/both.pem"
    both.write_bytes(carol.private_pem + carol.certificate_pem)
    done = run("open", "--key", both, stdin=sealed)
    error, hint = complaint(done)
    assert error == "nightdrop: error: standard input: the key given does not open this envelope"
    assert "CN=alice, serial " in hint
    assert "CN=bob, serial " in hint


def test_inspect_says_what_is_whole(tmp_path: Path) -> None:
    _, certificate = holders()[0].write(tmp_path)
    whole, cut, other = tmp_path / "whole.p7m", tmp_path / "cut.p7m", tmp_path / "other\n"
    assert run("seal", "--recipient", certificate, "-o", whole, stdin=b"x" * 9999).returncode == 0
    cut.write_bytes(whole.read_bytes()[:-1])
    other.write_bytes(b"plain text")
    done = run("inspect", whole)
    assert done.returncode == 0
    assert done.stdout.startswith(f"{whole}: AuthEnvelopedData, aes-256-gcm, ".encode())
    assert b"ends properly, to CN=alice, serial " in done.stdout
    done = run("inspect", whole, cut, other)
    assert done.returncode == 1
    lines = done.stdout.decode().splitlines()
    assert len(lines) == 3
    assert "ENDS IN THE MIDDLE" in lines[1]
    assert lines[2].startswith(f"{tmp_path}/other\\n: no envelope: ")


def test_inspect_goes_on_after_what_cannot_be_read(tmp_path: Path) -> None:
    """One that is gone, a folder, one that fails: the others are described, and the status tells."""
    _, certificate = holders()[0].write(tmp_path)
    whole = tmp_path / "whole.p7m"
    assert run("seal", "--recipient", certificate, "-o", whole).returncode == 0
    missing, failing = tmp_path / "missing", Path("/proc/self/mem")
    done = run("inspect", missing, tmp_path, failing, whole)
    assert (done.returncode, done.stderr) == (1, b"")
    lines = done.stdout.decode().splitlines()
    assert lines[:3] == [
        f"{missing}: cannot be read: No such file or directory",
        f"{tmp_path}: cannot be read: Is a directory",
        f"{failing}: cannot be read: Invalid argument",
    ]
    assert "ends properly" in lines[3]
    done = run("inspect", "--json", missing, whole)
    assert done.returncode == 1
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert told[0] == {"file": str(missing), "error": "cannot be read: No such file or directory"}
    assert told[1]["complete"] is True


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("words", ["--version", "--help", "nonsense", "inspect /nowhere"])
def test_closed_descriptors(closed: str, words: str) -> None:
    done = subprocess.run(
        f"{shlex.quote(str(NIGHTDROP))} {words} {closed}", shell=True, capture_output=True, check=False
    )
    assert b"Traceback" not in done.stderr
    assert done.returncode == {"nonsense": 2, "inspect /nowhere": 1}.get(words, 0)


def test_a_crash_leaves_nothing_of_what_is_in_memory() -> None:
    """A core file would hold passwords and keys. Whatever we start inherits that it makes none."""
    words = 'ulimit -S -c unlimited 2>/dev/null; exec "$0" seal --recipient /dev/stdin'
    with subprocess.Popen(["sh", "-c", words, NIGHTDROP], stdin=subprocess.PIPE) as process:
        limits = Path(f"/proc/{process.pid}/limits")
        wait_for(
            lambda: re.search(r"Max core file size +0 ", limits.read_text()), "it makes no core file"
        )
        process.kill()
