"""Runs of the shell client: one at a time, nothing left behind, no secret shown, every failure said."""

import os
import shutil
import signal
import subprocess
import textwrap
from contextlib import suppress
from pathlib import Path

import pytest

from snowflakes.clients import ONLY, RUN, SCRIPT, SHELLS, Client, Mirrors, end, programs_of
from snowflakes.conftest import NewClient

from mirrors import PATIENCE, wait_for

NOBODY = 65534


def test_one_run_at_a_time(some_client: Client, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    run = some_client.begin("conf", "cat", tmp_path / "gate")
    some_client.stage("source")
    done = subprocess.run(
        some_client.command("drop", "other", "bin", "--", "echo"),
        capture_output=True,
        text=True,
        check=False,
        env=some_client.variables(),
    )
    assert (done.returncode, f"a run is under way already: process {run.pid}" in done.stderr) == (1, True)
    said = status_of(some_client)
    assert "a run is under way" in said
    assert f"the last run of {some_client.kind('conf')}-full began at 20" in said
    (tmp_path / "gate").write_text("the first one goes on\n")
    status, said = end(run)
    assert status == 0, said
    assert some_client.opened() == b"the first one goes on\n"


@pytest.mark.parametrize("verb", ["install", "doctor"])
def test_what_can_wait_for_a_run_does(new_client: NewClient, tmp_path: Path, verb: str) -> None:
    client = new_client()
    client.set(patience=int(PATIENCE))
    os.mkfifo(tmp_path / "gate")
    run = client.begin("conf", "cat", tmp_path / "gate")
    client.stage("source")
    waiting = subprocess.Popen(
        client.command(verb, *([client.home.bundle] if verb == "install" else [])),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=client.variables(),
    )
    assert waiting.stderr is not None
    assert waiting.stderr.readline() == waits_for(run, int(PATIENCE)) + "\n"
    (tmp_path / "gate").write_text("one\n")
    assert end(run)[0] == 0
    assert (end(waiting)[0], client.opened()) == (0, b"one\n")


def waits_for(run: subprocess.Popen[str], patience: int) -> str:
    return (
        f"nightdrop: a run is under way (process {run.pid}): "
        f"waiting for its end, at most {patience} seconds"
    )


def test_nothing_waits_for_ever(new_client: NewClient, tmp_path: Path) -> None:
    client = new_client()
    client.set(patience=1)
    os.mkfifo(tmp_path / "gate")
    run = client.begin("conf", "cat", tmp_path / "gate")
    client.stage("source")
    for words in (["install", client.home.bundle], ["doctor"]):
        done = subprocess.run(
            client.command(*words), capture_output=True, text=True, check=False, env=client.variables()
        )
        assert (done.returncode, done.stderr.splitlines()) == (
            1,
            [
                waits_for(run, 1),
                f"nightdrop: error: a run is under way already: process {run.pid}",
                "hint: this one did nothing",
            ],
        )
    (tmp_path / "gate").write_text("one\n")
    assert end(run)[0] == 0


def test_a_run_under_another_name_is_one_too(new_client: NewClient, tmp_path: Path) -> None:
    client = new_client()
    script = tmp_path / "backup"
    shutil.copy(SCRIPT, script)
    os.mkfifo(tmp_path / "gate")
    words = [
        str(script) if word == str(SCRIPT) else word for word in client.command("drop", "conf", "bin")
    ]
    first = subprocess.Popen(
        [*words, "--", "cat", tmp_path / "gate"], env=client.variables(), stderr=subprocess.DEVNULL
    )
    client.stage("source")
    second = subprocess.run(
        [*words, "--", "echo"], env=client.variables(), check=False, capture_output=True, text=True
    )
    assert f"a run is under way already: process {first.pid}" in second.stderr
    first.terminate()
    assert first.wait(RUN) == 143
    client.left_nothing()


def status_of(client: Client) -> str:
    done = subprocess.run(
        client.command("status"), capture_output=True, text=True, check=True, env=client.variables()
    )
    return done.stdout


def test_the_number_of_a_process_that_ended_is_forgotten(client: Client, tmp_path: Path) -> None:
    """While receipts are sent, it may become another process's, which the end of the run would end."""
    programs, seen = tmp_path / "programs", tmp_path / "seen"
    programs.mkdir()
    look = f'ls -d "{client.temporary}"/nightdrop~*/run/pid.* >{seen}.$$ && mv {seen}.$$ {seen}'
    (programs / "curl").write_text(f'#!/bin/sh\n{look}\nexec {shutil.which("curl")} "$@"\n')
    (programs / "curl").chmod(0o755)
    client.environment["PATH"] = f"{programs}:{client.variables()['PATH']}"
    client.drop("conf", "echo", "one")
    assert {Path(path).suffix for path in seen.read_text().split()} <= {".mirror-a", ".mirror-b"}


def test_what_a_killed_run_left_is_cleared(some_client: Client) -> None:
    run = some_client.begin("conf", "sh", "-c", "echo one; exec sleep 1000")
    source = some_client.stage("source")
    assert end_hard(run) == -signal.SIGKILL
    os.kill(source, signal.SIGKILL)
    assert os.path.lexists(some_client.state / "lock")
    said = status_of(some_client)
    assert ("Z, and has not ended" in said, "under way" in said) == (True, False)
    some_client.drop("conf", "echo", "two")
    assert some_client.opened() == b"two\n"
    assert len(some_client.receipts()) == 1


def test_what_a_killed_run_still_writes_does_not_stop_the_next(some_client: Client) -> None:
    """Its last processes may outlive it, and write into its folder until that is gone."""
    run = some_client.temporary / "nightdrop~router1~1" / "run"
    run.mkdir(parents=True)
    script = 'n=0; while : >"$0/$n"; do n=$((n + 1)); done 2>/dev/null'
    with subprocess.Popen(["dash", "-c", script, run]) as writer:
        try:
            wait_for(lambda: len(os.listdir(run)) > 1000, "it writes")
            some_client.drop("conf", "echo", "one")
            writer.wait(PATIENCE)
        finally:
            writer.kill()


def test_what_others_put_beside_it_stays(some_client: Client) -> None:
    """Anybody may write to /tmp: root removes nothing of somebody else's there, nor where it leads."""
    theirs, ours = (some_client.temporary / f"nightdrop~router1~{number}" for number in (1, 2))
    for folder in (theirs, ours):
        folder.mkdir()
        (folder / "file").touch()
    os.chown(theirs, NOBODY, NOBODY)
    link = some_client.temporary / "nightdrop~router1~3"
    link.symlink_to(theirs)
    status, said = end(some_client.begin("conf", "echo", "one"))
    assert status == 0, said
    assert sorted(some_client.temporary.iterdir()) == [theirs, link]
    assert (theirs / "file").exists()


def test_a_run_of_another_configuration_goes_on(new_client: NewClient, tmp_path: Path) -> None:
    """Both are for one host, and have their temporary files in one place."""
    first, second = new_client("dash"), new_client("ash")
    second.set(temporary=first.temporary)
    os.mkfifo(tmp_path / "gate")
    run = first.begin("conf", "cat", tmp_path / "gate")
    first.stage("source")
    second.drop("conf", "echo", "two")
    (tmp_path / "gate").write_text("the first one goes on\n")
    status, said = end(run)
    assert status == 0, said
    # They are for one host, so the first sees what the second dropped, too.
    assert len(first.receipts()) == 2
    first.left_nothing()


@pytest.mark.parametrize("holder", ["1", "4194305", "own"])
def test_lock_from_before_a_reboot(new_client: NewClient, holder: str) -> None:
    """The number in it is nobody's now, or somebody else's, or by chance our own."""
    client = new_client("ash")
    script = 'rm -f "$0"; ln -s "$1" "$0"; shift; exec "$@"'
    number = "$$" if holder == "own" else holder
    done = subprocess.run(
        ["sh", "-c", script.replace("$1", number), client.state / "lock", "-", *client.command("doctor")],
        capture_output=True,
        text=True,
        check=False,
        env=client.variables(),
    )
    assert done.returncode == 0, done.stderr
    client.left_nothing()


def end_hard(run: subprocess.Popen[str]) -> int:
    run.kill()
    return run.wait()


@pytest.mark.parametrize(
    "how",
    [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE],
    ids=lambda how: how.name,
)
def test_signals(new_client: NewClient, how: signal.Signals) -> None:
    client = new_client()
    client.set(volume="stream")
    # Who runs tests in the background, or by nohup, makes them deaf to these, and no shell can undo that.
    before = signal.signal(how, lambda *_: None)
    try:
        run = client.begin("conf", "sh", "-c", "echo one; exec sleep 1000")
    finally:
        signal.signal(how, before)
    client.stage("curl.mirror-b")
    status, said = end(run, how)
    assert status == 128 + how, said
    client.left_nothing()
    assert client.names() == []


def test_no_password_is_ever_shown(new_client: NewClient) -> None:
    client = new_client("posh")
    client.set(volume="stream")
    secrets = [mirror.password(client.home.bundle).encode() for mirror in client.home.mirrors]
    mark = os.fsencode(client.temporary)
    client.environment["MARK"] = os.fsdecode(mark)
    # Never so silent that anybody gives it up before all are seen at once.
    run = client.begin("conf", "sh", "-c", "while head -c 100000 /dev/zero; do sleep 1; done")

    def programs() -> set[bytes]:
        """Look at everything that runs on this machine; the names of this run's programs."""
        found = set()
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (process / "cmdline").read_bytes()
                environment = (process / "environ").read_bytes()
                assert not any(secret in words + environment for secret in secrets), words
                if mark in environment:
                    found.add(os.path.basename(words.partition(b"\0")[0]))
        return found

    shell = os.fsencode(os.path.basename(client.shell[0]))
    wait_for(lambda: programs() >= {shell, b"openssl", b"curl", b"sleep"}, "all stages run")
    end(run, signal.SIGTERM)
    for path in client.settings.parent.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_producer_killed_by_a_signal(some_client: Client, noise: Path) -> None:
    said = some_client.drop("mtd", "sh", "-c", f"cat {noise}; kill -9 $$", expect=1)
    # The shell's own way to say that it was signal 9: 128 + 9, ksh93's is 256 + 9, and yash's 384 + 9.
    assert any(f"source ended with status {status}" in said for status in (137, 265, 393)), said
    # The volumes before the last are there, and no receipt makes them a set.
    assert [name.split(".")[-3] for name in some_client.names()] == ["vol1", "vol2"]


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (["true"], "source wrote nothing"),
        (["false"], "source ended with status 1"),
        (["no-such-command"], "source ended with status 127"),
    ],
)
@pytest.mark.parametrize("volume", ["1M", "stream"])
def test_nothing_came(new_client: NewClient, volume: str, command: list[str], why: str) -> None:
    client = new_client("ash")
    client.set(volume=volume)
    assert why in client.drop("conf", *command, expect=1)
    assert client.names() == []


def test_dd_without_fullblock(new_client: NewClient, noise: Path, tmp_path: Path) -> None:
    """OpenWrt's busybox is built without it, Debian's is not: a dd that refuses it stands in here. Not in
    Debian's ash, to which its own dd comes before all others.
    """
    client = new_client("dash")
    refusing = tmp_path / "programs"
    refusing.mkdir()
    (refusing / "dd").write_text(
        f'#!/bin/sh\ncase " $* " in *" iflag="*) exit 1 ;; esac\nexec {SHELLS["ash"][0]} dd "$@"\n'
    )
    (refusing / "dd").chmod(0o755)
    client.environment["PATH"] = f"{refusing}:{client.variables()['PATH']}"
    # In small pieces, so that reads are short.
    client.drop("mtd", "dd", f"if={noise}", "bs=1000")
    assert len(client.receipts()[0].files) >= 3
    assert client.opened() == noise.read_bytes()


def test_failures_are_in_syslog(new_client: NewClient, tmp_path: Path) -> None:
    client = new_client("ash")
    log = tmp_path / "log"
    # A /dev of its own, for a real syslogd that is nobody else's.
    script = f"""
        mount -t tmpfs nightdrop /mnt && mkdir /mnt/dev
        for device in null zero urandom; do
            touch /mnt/dev/$device && mount --bind /dev/$device /mnt/dev/$device
        done
        ln -s /proc/self/fd /mnt/dev/fd
        mount --bind /mnt/dev /dev
        busybox syslogd -n -O {log} &
        while [ ! -S /dev/log ]; do sleep 0.05; done
        "$@" || :
        while ! grep -q 'no backup was made' {log}; do sleep 0.05; done
        kill $!
    """
    command = client.command("drop", client.kind("conf"), "bin", "--", "false")
    subprocess.run(
        ["unshare", "-m", "sh", "-ec", textwrap.dedent(script), "sh", *command],
        check=True,
        env=client.variables() | {"PATH": os.environ["PATH"]},
        capture_output=True,
        timeout=RUN,
    )
    assert "daemon.err nightdrop: no backup was made" in log.read_text()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["drop", "conf", "tar", "echo", "one"], "the command to run comes after --"),
        (["drop", "Conf", "tar", "--", "echo"], "Conf cannot be the kind of a set"),
        (["drop", "duplicity-full", "tar", "--", "echo"], "duplicity-full cannot be the kind of a set"),
        (["drop", "conf", "vol1.tar", "--", "echo"], "vol1.tar cannot be the extension of a set"),
        (["drop", "conf", "a..b", "--", "echo"], "a..b cannot be the extension of a set"),
        (["drop", "conf", "manifest", "--", "echo"], "manifest cannot be the extension of a set"),
    ],
)
def test_wrong_words(new_client: NewClient, words: list[str], why: str) -> None:
    done = new_client().run(*words, expect=2)
    assert done.stderr.splitlines()[0] == f"nightdrop: error: {why}"
    assert done.stderr.splitlines()[1].startswith("hint: ")


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ({"volume": "many"}, 'volume has to be stream, or a size such as 256M, and is "many"'),
        ({"cipher": "des3"}, "cipher has to be auto, aes-256-gcm or aes-256-cbc"),
        ({"compress": "gzip"}, "compress has to be auto, zstd or none"),
        ({"patience": "1h"}, 'patience has to be seconds, and is "1h"'),
        ({"temporary": "tmp"}, 'temporary has to be a path that begins with /, and is "tmp"'),
        ({"state": "here"}, 'state has to be a path that begins with /, and is "here"'),
        ({"mirror": ""}, 'mirror has to be a name of its own, a blank and a URL, and is ""'),
        ({"volumes": "1M"}, "is no setting: volumes=1M"),
        ({"patience": "08"}, 'patience has to be seconds, and is "08"'),
        ({"rate": "300"}, "rate has to be octets a second, such as 2M, and at least 4000"),
        ({"mirror": "mirror-a -K/etc/passwd"}, "mirror has to be a name of its own, a blank and a URL"),
        (
            {"mirror": "mirror-a https://[::1]/ x"},
            "mirror has to be a name of its own, a blank and a URL",
        ),
        ({"host": "Router"}, "host has to be the name of a host"),
    ],
)
def test_wrong_settings(new_client: NewClient, setting: dict[str, str], why: str) -> None:
    client = new_client("ash")
    client.set(**setting)
    assert why in client.run("drop", "conf", "tar", "--", "echo", expect=2).stderr


def test_zstd_that_is_not_there(new_client: NewClient, busybox: Path) -> None:
    client = new_client("ash")
    client.environment["PATH"] = str(busybox)
    client.set(compress="zstd")
    assert "zstd is not installed" in client.run("drop", "conf", "tar", "--", "echo", expect=2).stderr


@pytest.mark.parametrize("volume", ["1M", "stream"])
def test_paths_with_signs(tmp_path: Path, home: Mirrors, busybox: Path, noise: Path, volume: str) -> None:
    """Blanks, quotes and what else means something to a shell, to awk or to curl's configuration."""
    shell = ONLY or "ash"
    folder = tmp_path / "-a  'b' \"c\" $(touch d) `touch d` * ; \\n \\"
    client = Client(folder, home, SHELLS[shell], programs_of(shell, busybox))
    client.set(volume=volume, state=folder / "state")
    what = 'a "b" \\ $(touch d)\nline \u00fc'
    client.run("drop", client.kind("odd"), "bin", "--what", what, "--", "cat", noise)
    assert client.opened() == noise.read_bytes()
    assert client.receipts()[0].source.what == ('a "b" \\ $(touch d)?line ??',)
    assert client.names(0) == client.names(1)
    assert "mirror-a, mirror-b" in client.run("status").stdout
    assert sorted(os.listdir(folder)) == ["etc", "state", "temporary"]


def test_a_folder_may_be_said_from_here(new_client: NewClient) -> None:
    client = new_client()
    command = [*client.shell, SCRIPT, "-C", "etc"]
    for words in (["install", client.home.bundle], ["drop", client.kind("conf"), "bin", "--", "echo"]):
        subprocess.run(
            [*command, *words], cwd=client.folder, env=client.variables(), check=True, capture_output=True
        )
    cacert = (client.settings.parent / "mirrors" / "mirror-a.curl").read_text()
    assert f'cacert = "{client.settings.parent}/mirrors/mirror-a.pem"' in cacert
    assert len(client.receipts()) == 1


def test_as_cron_runs_it(new_client: NewClient) -> None:
    """Without a HOME, and with a PATH that does not have curl, as on FreeBSD."""
    client = new_client("dash")
    done = subprocess.run(
        client.command("drop", client.kind("conf"), "bin", "--", "echo", "one"),
        stdin=subprocess.DEVNULL,
        env={"PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert client.opened() == b"one\n"


def test_more_than_one_piece_is_counted(new_client: NewClient) -> None:
    """What comes is counted in pieces of 64 MiB, for the sake of routers."""
    client = new_client("dash")
    client.put_beside("zstd")
    # Not as a stream: a slow machine makes so little of zeros that a mirror would not wait for it.
    client.set(compress="zstd", volume="200M")
    client.drop("zeros", "head", "-c", "134217733", "/dev/zero")
    [receipt] = client.receipts()
    assert receipt.source.size == 134_217_733
    [file] = receipt.files
    assert file.size == (client.vault(client.home.mirrors[0]) / file.name).stat().st_size


def test_help(new_client: NewClient) -> None:
    assert "usage: nightdrop.sh" in new_client().run("--help").stdout
    # A word that is wrong is never passed over: this delay would be an hour.
    for words in ("", "install", "install a b", "doctor now", "status all", "delay --shwo"):
        done = subprocess.run(["sh", SCRIPT, *words.split()], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr.startswith("usage: ")) == (2, True), words
    done = subprocess.run(
        ["sh", SCRIPT, "-C", "/nowhere", "status"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "there is no such configuration" in done.stderr) == (2, True)
