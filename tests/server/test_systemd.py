"""The systemd units: sockets that come from outside, and a sandbox that systemd itself calls tight.

Whether the service works inside it is for tests/lab/systemd, which boots a machine.
"""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import nightdrop_server

from house import run
from mirrors import NIGHTDROP, PATIENCE, Mirror, basic, new_name, wait_until
from ports import free_port
from units import complaints, exposure

UNITS = Path(nightdrop_server.__file__).parent / "systemd"


@contextmanager
def activated(mirror: Mirror, ports: dict[str, int], status: int = 0) -> Iterator[None]:
    """`nightdrop serve` as systemd starts it at the first connection, its sockets being systemd's."""
    command = ["systemd-socket-activate", f"--fdname={':'.join(ports)}"]
    command += [f"--listen=127.0.0.1:{port}" for port in ports.values()]
    with mirror.log.open("w") as log:
        process = subprocess.Popen(
            [*command, *NIGHTDROP, "serve", "--config", str(mirror.config)],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
    try:
        wait_until(lambda: mirror.log.read_text().count("Listening on") == len(ports), "it listens")
        yield
    finally:
        # What ends by itself is let: a signal on its way out would be how it ended.
        if not status:
            process.terminate()
        assert process.wait(PATIENCE) == status, mirror.log.read_text()


@pytest.fixture
def mirror(recipient: Path, tmp_path: Path) -> Mirror:
    mirror = Mirror(tmp_path, "one", [recipient], tls=False)
    mirror.enroll("web1", tmp_path / "web1.toml")
    return mirror


def test_sockets_from_systemd(mirror: Mirror, tmp_path: Path) -> None:
    """In another order than ours, too: names say what they are."""
    ports = {"administration": free_port(), "door": mirror.port}
    with mirror.config.open("a") as file:
        file.write(f'[administration]\nlisten = "127.0.0.1:{ports["administration"]}"\n')
    password = run("admin-password", "--config", mirror.config).stdout.strip()
    with activated(mirror, ports):
        fields, name = mirror.credentials(tmp_path / "web1.toml"), new_name()
        assert mirror.ask("PUT", f"/web1/{name}", b"x", fields).status == 201
        mirror.port = ports["administration"]
        assert mirror.ask("GET", f"/web1/{name}", None, basic("admin", password)).body == b"x"


@pytest.mark.parametrize("wrong", ["port", "name", "more"])
def test_sockets_that_do_not_fit_the_configuration(mirror: Mirror, wrong: str) -> None:
    """It says so, instead of leaving whoever connects without an answer."""
    other = free_port()
    ports = {
        "port": {"door": other},
        "name": {"unknown": mirror.port},
        "more": {"door": mirror.port, "administration": other},
    }[wrong]
    with activated(mirror, ports, status=2):
        mirror.port = next(iter(ports.values()))
        with pytest.raises(OSError):
            mirror.ask("OPTIONS", "/")
        wait_until(lambda: "nightdrop: error: systemd" in mirror.log.read_text(), "it says so")


def test_the_units_are_right(tmp_path: Path) -> None:
    """As far as systemd can tell without running them; the command is this one's."""
    assert complaints(UNITS, tmp_path) == []


def test_the_sandbox_is_tight() -> None:
    """Below 1 it cannot do much more."""
    assert exposure(UNITS / "nightdrop-serve.service") < 1


def test_the_units_and_the_example_configuration_agree() -> None:
    example = (UNITS.parent / "mirror.example.toml").read_text()
    service = (UNITS / "nightdrop-serve.service").read_text()
    vault = re.search(r'^vault = "(.*)"', example, re.MULTILINE)
    state = re.search(r'^state = "/var/lib/(.*)"', example, re.MULTILINE)
    listen = re.search(r'^listen = "\[::\]:(\d+)"', example, re.MULTILINE)
    assert vault and f"ReadWritePaths={vault[1]}\n" in service
    assert f"RequiresMountsFor={vault[1]}\n" in service
    assert state and f"StateDirectory={state[1]}\n" in service
    assert listen and f"ListenStream={listen[1]}\n" in (UNITS / "nightdrop-serve.socket").read_text()
