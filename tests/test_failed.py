"""A unit that failed is told of: by the administrator's command, to whom a mirror reports, or to root."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import nightdrop
from check.mailserver import MailServer
from nightdrop.errors import ExitStatus

from house import Key, run
from mirrors import Mirror

SCRIPT = Path(nightdrop.__file__).parent / "systemd" / "nightdrop-failed"
NIGHTDROP = Path(sys.executable).with_name("nightdrop")


class Machine:
    """One on which a unit fails: the script as it is, with this machine's places in the real ones'."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mirror_toml = folder / "mirror.toml"
        self.on_failure = folder / "on-failure"

    def program(self, path: Path) -> None:
        """A program of the administrator's, or sendmail, which keeps what it was told."""
        path.write_text(f'#!/bin/sh\necho "$@" >"{path}.words"; cat >"{path}.text"\n')
        path.chmod(0o755)

    def fail(self, expect: int = 0) -> str:
        """Let some.service have failed; what the script says."""
        text = SCRIPT.read_text()
        for real, here in (
            ("PATH=/usr/sbin:/usr/lib:$PATH", f"PATH={self.folder}:$PATH"),
            ("/opt/nightdrop/.venv/bin/nightdrop", str(NIGHTDROP)),
            ("/etc/nightdrop/mirror.toml", str(self.mirror_toml)),
            # The user nightdrop is not there.
            ("runuser -u nightdrop --", "env"),
        ):
            assert text.count(real) == 1
            text = text.replace(real, here)
        script = self.folder / "nightdrop-failed"
        script.write_text(text)
        done = subprocess.run(
            ["sh", str(script), "some.service"],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"NIGHTDROP_ON_FAILURE": str(self.on_failure)},
        )
        assert done.returncode == expect, done.stderr
        return done.stderr


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def server(machine: Machine, admin_key: Key) -> MailServer:
    """A mail server that does not run yet, to which the machine, a mirror, is to report."""
    server = MailServer(machine.folder)
    mirror = Mirror(machine.folder, "one", [admin_key.certificate])
    mirror.config.write_text(mirror.config.read_text() + server.settings)
    machine.mirror_toml = mirror.config
    mirror.enroll("web1", machine.folder / "web1.toml")
    return server


def test_by_the_administrators_command(machine: Machine) -> None:
    machine.program(machine.on_failure)
    machine.fail()
    assert Path(f"{machine.on_failure}.words").read_text() == "some.service\n"
    assert "some.service failed on " in Path(f"{machine.on_failure}.text").read_text()


def test_by_sendmail(machine: Machine) -> None:
    machine.program(machine.folder / "sendmail")
    machine.fail()
    assert (machine.folder / "sendmail.words").read_text() == "-t\n"
    assert (
        "\nSubject: [nightdrop] some.service failed on " in (machine.folder / "sendmail.text").read_text()
    )


def test_on_a_mirror_as_its_reports(machine: Machine, server: MailServer) -> None:
    machine.program(machine.folder / "sendmail")
    with server.running():
        machine.fail()
    (mail,) = server.mails
    assert mail["Subject"].startswith("[nightdrop] some.service failed on ")
    assert mail["To"] == "admin@example.org, second@example.org"
    assert "What to do: nightdrop doctor; journalctl -u some.service" in mail.get_content()
    assert not (machine.folder / "sendmail.text").exists()


def test_where_the_mail_server_is_down_by_sendmail_too(machine: Machine, server: MailServer) -> None:
    machine.program(machine.folder / "sendmail")
    machine.fail()
    assert "some.service failed on " in (machine.folder / "sendmail.text").read_text()
    with server.running():
        run("check", "--config", machine.mirror_toml, "--send")
    assert len(server.mails) == 1


def test_that_nobody_could_be_told(machine: Machine, server: MailServer) -> None:
    said = machine.fail(expect=1)
    assert "a mail waits to be sent" in said
    assert "nobody was told that some.service failed" in said


def test_a_notice_for_nobody(machine: Machine, admin_key: Key) -> None:
    mirror = Mirror(machine.folder, "one", [admin_key.certificate])
    done = run("check", "--config", mirror.config, "--notice", "s", expect=ExitStatus.USAGE)
    assert "nobody is named to mail to" in done.stderr
