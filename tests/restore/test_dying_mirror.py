"""A mirror whose machine dies for good while something is restored, or verified, from its listener."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

from nightdrop.vault import FolderVault
from nightdrop_restore.drilling import drill
from nightdrop_restore.keys.reading import load_key
from nightdrop_restore.vaults.copies import Copies, Place
from nightdrop_restore.vaults.remote import Address, RemoteVault

from gates import gate_to
from house import HOST, House, Key, complaint, run
from mirrors import NIGHTDROP, PATIENCE, Mirror
from ports import free_port
from trees import describe, differences

VOLUME = ".vol3."
"""In the name of the file at whose request the mirror dies: there are some before it and some after."""


LISTENER = object()
"""Stands for the listener's address."""


def die_in_the_middle(chain: House, *words: object) -> subprocess.CompletedProcess[str]:
    """Run a verb that reads the first mirror's listener, LISTENER among the words, and have the mirror
    killed when it is asked for a volume in the middle of it all.
    """
    port, password = free_port(), chain.root / "password"
    vault = chain.mirrors[0].vault
    mirror = Mirror(chain.root, "listener", [chain.key.certificate], vault=vault)
    with mirror.config.open("a") as file:
        file.write(f'[administration]\nlisten = "127.0.0.1:{port}"\n')
    password.write_text(run("admin-password", "--config", mirror.config).stdout)
    with gate_to(port, VOLUME.encode()) as (near, gate):
        address = f"http://127.0.0.1:{near}"
        given = [address if word is LISTENER else str(word) for word in words]
        mirror.start()
        with subprocess.Popen(
            [*NIGHTDROP, *given, "--password-file", str(password), *chain.key.arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            gate.wait_until_reached()
            mirror.kill()
            gate.open()
            said, errors = process.communicate(timeout=PATIENCE)
    assert "Traceback" not in errors
    return subprocess.CompletedProcess(
        given, process.returncode, said.replace(address, "LISTENER"), errors.replace(address, "LISTENER")
    )


def test_the_other_vault_takes_over(chain: House, tmp_path: Path) -> None:
    """File by file, and that is said; nobody waits for the dead one again."""
    words = ["restore", "run", LISTENER, chain.mirrors[1].vault, "--host", HOST, "--to", tmp_path / "to"]
    done = die_in_the_middle(chain, *words, "--setuid", "--devices")
    assert done.returncode == 0, done.stderr
    back = tmp_path / "to" / chain.source.relative_to("/")
    assert differences(describe(chain.source), describe(back)) == {}
    notes = [line for line in done.stdout.splitlines() if line.startswith("note: ")]
    after = f" taken from {chain.mirrors[1].vault}; LISTENER does not answer: "
    assert all(after in note for note in notes), notes
    volumes = [name for name in chain.names() if ".difftar." in name]
    told = [name for name in volumes if f"note: {name}{after}" in done.stdout]
    assert any(VOLUME in name for name in told)
    assert 2 < len(told) < len(volumes)


def test_there_is_no_other_vault(chain: House, tmp_path: Path) -> None:
    """One line, and nothing is told of as lost that is there still."""
    room = tmp_path / "room"
    room.mkdir()
    done = die_in_the_middle(chain, "restore", "run", LISTENER, "--host", HOST, "--to", room / "to")
    assert done.returncode == 1
    error, hint = complaint(done)
    assert error.startswith(f"nightdrop: error: restoring {HOST} failed: LISTENER does not answer: ")
    assert hint == f"hint: what was restored up to then is in {room / 'to'}"
    assert "not restored" not in done.stdout
    assert list(room.iterdir()) == [room / "to"]
    assert not list(room.rglob(".nightdrop-*"))
    there, back = describe(chain.source), describe(room / "to" / chain.source.relative_to("/"))
    files = [name for name, one in back.items() if one.type == "-"]
    assert files
    assert [name for name in files if back[name].content != there[name].content] == []


def test_while_it_is_verified(chain: House) -> None:
    """What was not looked at is not fine; what was, is told apart."""
    words = ["restore", "verify", LISTENER, chain.mirrors[1].vault]
    done = die_in_the_middle(chain, *words)
    assert done.returncode == 3
    sealed = [name for name in chain.names() if name.endswith(".p7m")]
    problems = [line for line in done.stdout.splitlines() if line.startswith("LISTENER: ")]
    assert all(": LISTENER does not answer: " in line for line in problems)
    looked_at = 2 * len(sealed) - len(problems)
    assert len(sealed) < looked_at < 2 * len(sealed)
    assert f"{looked_at} files, " in done.stdout.splitlines()[-1]


def test_a_drill_waits_for_it_once(admin_key: Key, tmp_path: Path) -> None:
    """Every host is told of, and the mirror asked for the first alone."""
    key = load_key(admin_key.private, lambda: admin_key.passphrase.read_bytes().strip())
    asked = []
    for hosts in (["web1"], ["web1", "web2", "web3"]):
        with hanging_up() as (port, connections):
            places = [
                Place("LISTENER", RemoteVault(Address(f"http://127.0.0.1:{port}", "admin", "x", "")))
            ]
            told = list(drill(places, hosts, key, 1, folder=tmp_path))
        assert [(one.record.host, one.record.good) for one in told] == [(host, 0) for host in hosts]
        assert all("does not answer" in one.problems[0] for one in told)
        asked.append(len(connections))
    assert asked[0] == asked[1] > 0


def test_once_silent_it_is_asked_last(chain: House, tmp_path: Path) -> None:
    """Each time, it would be waited for."""
    asked = []
    with hanging_up() as (port, connections):
        silent = Place("LISTENER", RemoteVault(Address(f"http://127.0.0.1:{port}", "admin", "x", "")))
        copies = Copies([silent, Place("folder", FolderVault(chain.mirrors[0].vault))], HOST)
        for name in chain.names()[:3]:
            copies.fetch(name, tmp_path / "file")
            asked.append(len(connections))
    assert asked[0] == asked[-1] > 0


@contextmanager
def hanging_up() -> Iterator[tuple[int, list[object]]]:
    """A port where everybody is hung up on, and those who tried."""
    connections: list[object] = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, address = listening.accept()
                connections.append(address)
                connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1], connections
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
