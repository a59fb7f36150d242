"""The folder of the check's own state is full, or may not be written: everything is judged and told all
the same, and that nothing can be kept is told, too.
"""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from check.mailserver import MailServer
from check.vaults import Mirror, Shelves
from nightdrop.errors import ExitStatus

from house import run


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """The mirror's state is on a small disk of its own. Its blocks are of 1 KB: where there is no room,
    whoever maps a file that is larger is killed.
    """
    image, folder = tmp_path / "disk", tmp_path / "mirror" / "state"
    image.touch()
    os.truncate(image, 8_000_000)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-b", "1024", image], check=True)
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-o", "loop", image, folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def server(tmp_path: Path) -> MailServer:
    return MailServer(tmp_path)


@pytest.fixture
def shelves(state: Path, tmp_path: Path, admin: bytes, server: MailServer) -> Shelves:
    """A mirror with two hosts that are well, which was looked at, and who is mailed."""
    mirror = Mirror(tmp_path / "mirror", admin)
    for host in ("web", "db"):
        mirror.enroll(host)
        mirror.full(host, datetime.now(UTC) - timedelta(hours=1))
    mirror.close()
    found = Shelves(mirror.config, "web", time.time())
    found.configure(server.settings)
    check(found)
    return found


def check(shelves: Shelves, *words: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    return run("check", "--config", shelves.config, *words, expect=expect)


def fill(state: Path, but: int = 0) -> None:
    """Leave so many octets on the disk."""
    disk = os.statvfs(state)
    with (state / "filler").open("wb", buffering=0) as file:
        left = disk.f_bavail * disk.f_frsize - but
        try:
            while left > 0:
                left -= file.write(b"x" * min(left, 1024))
        except OSError:
            assert not but


def forbid(state: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", state], check=True)


@pytest.mark.parametrize(
    ("spoil", "why"), [(fill, "No space left on device"), (forbid, "Read-only file system")]
)
def test_state_that_cannot_be_written(
    shelves: Shelves, state: Path, server: MailServer, spoil: Callable[[Path], None], why: str
) -> None:
    shelves.path("volume").unlink()
    old_page = (state / "page" / "index.html").read_bytes()
    spoil(state)
    done = check(shelves, expect=ExitStatus.FINDINGS)
    assert done.stderr == ""
    assert done.stdout.startswith("backup.example.org: 1 of 2 hosts well, 2 errors\n")
    said = " ".join(done.stdout.split())
    assert "what is seen now cannot be remembered" in said and why in said
    assert "\npage: " not in done.stdout
    assert (state / "page" / "index.html").read_bytes() == old_page
    with server.running():
        for words in (["--mail"], ["--daily"], ["--daily"]):
            done = check(shelves, *words, expect=ExitStatus.FINDINGS)
            assert done.stderr == ""
    assert len(server.mails) == 3
    for mail in server.mails:
        text = mail.get_body(("plain",)).get_content()
        assert "web: incomplete" in text and "cannot be remembered" in text


@pytest.mark.parametrize("spoil", [fill, forbid])
def test_state_that_cannot_be_written_and_no_mail_server(
    shelves: Shelves, state: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(state)
    done = check(shelves, "--mail", expect=ExitStatus.FINDINGS)
    assert "cannot keep a mail there" in done.stderr and "cannot be sent now" in done.stderr


def test_a_mail_that_waits_where_nothing_can_be_removed_is_not_sent_for_ever(
    shelves: Shelves, state: Path, server: MailServer
) -> None:
    check(shelves, "--mail", expect=ExitStatus.PARTIAL)
    forbid(state)
    with server.running():
        done = check(shelves, "--send", expect=ExitStatus.PARTIAL)
        assert "cannot be removed" in done.stderr
        assert server.mails == []
        subprocess.run(["mount", "-o", "remount,rw", state], check=True)
        check(shelves, "--send")
    assert len(server.mails) == 1


def test_state_that_becomes_full_in_the_midst_of_a_look(shelves: Shelves, state: Path) -> None:
    """It begins anew."""
    receipt = shelves.path("receipt")
    for number in range(1, 9000):
        (shelves.folder / receipt.name.replace("receipt.json", f"vol{number}.difftar.p7m")).touch()
    receipt.unlink()
    fill(state, but=1_300_000)
    done = check(shelves, "--no-page", expect=ExitStatus.FINDINGS)
    assert done.stderr == ""
    said = " ".join(done.stdout.split())
    assert "cannot be remembered" in said and "its receipt was here once" in said


def test_state_that_has_room_again(shelves: Shelves, state: Path, server: MailServer) -> None:
    fill(state)
    with server.running():
        check(shelves, "--daily", expect=ExitStatus.FINDINGS)
        (state / "filler").unlink()
        done = check(shelves, "--daily")
    assert "page: " in done.stdout
    assert len(server.mails) == 1
