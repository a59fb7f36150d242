"""The reports that are mailed: to a real mail server, with TLS and a password, up or down."""

import fcntl
import os
import socket
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest

from check.mailserver import MailServer
from check.vaults import DAY, Mirror, Shelves
from nightdrop.errors import ExitStatus
from nightdrop_check.reports.as_mail import report_mail, subject
from nightdrop_check.reports.as_text import to_text
from nightdrop_check.telling.occasions import send_queued, tell_report

from house import run


@pytest.fixture
def server(tmp_path: Path) -> MailServer:
    """A mail server that does not run yet."""
    return MailServer(tmp_path)


@pytest.fixture
def now_good(mirror: Mirror, server: MailServer) -> Shelves:
    """A mirror whose two hosts dropped a full just now, by the clock on the wall, and who is mailed."""
    for host in ("web", "db"):
        mirror.enroll(host)
        mirror.full(host, datetime.now(UTC) - timedelta(hours=1))
    shelves = Shelves(mirror.config, "web", datetime.now(UTC).timestamp())
    shelves.configure(server.settings)
    return shelves


def check(shelves: Shelves, *words: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    return run("check", "--config", shelves.config, "--no-page", *words, expect=expect)


def parts(mail: EmailMessage) -> tuple[str, str]:
    """A mail's text and its HTML."""
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None and html is not None
    return text.get_content().replace("\r\n", "\n"), html.get_content()


def test_report_when_all_is_well(now_good: Shelves, server: MailServer) -> None:
    with server.running():
        check(now_good, "--mail")
    (mail,) = server.mails
    assert mail["Subject"] == "[nightdrop] backup.example.org: 2 of 2 hosts well"
    assert mail["To"] == "admin@example.org, second@example.org"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "multipart/alternative"
    text, html = parts(mail)
    assert text.startswith("backup.example.org: 2 of 2 hosts well\n")
    assert "Nothing to tell" in html and "Read to the last byte" in html
    (envelope,) = server.envelopes
    assert envelope.mail_from == "mirror@example.org"
    assert envelope.rcpt_tos == ["admin@example.org", "second@example.org"]


def test_subject_says_what_is_wrong_with_whom(now_good: Shelves, server: MailServer) -> None:
    now_good.sql("UPDATE drops SET received = received - ? WHERE host = 'db'", 5.1 * DAY)
    now_good.path("volume").unlink()
    with server.running():
        check(now_good, "--mail", expect=ExitStatus.FINDINGS)
    (mail,) = server.mails
    said = "[nightdrop] backup.example.org: 0 of 2 hosts well, db missing 5 days, web incomplete"
    assert mail["Subject"] == said
    text, html = parts(mail)
    assert "hint: " in text
    assert "cannot be restored from here" in html


def test_mail_server_that_is_down_loses_nothing(now_good: Shelves, server: MailServer) -> None:
    done = check(now_good, "--mail", expect=ExitStatus.PARTIAL)
    assert done.stderr.startswith("nightdrop: warning: a mail waits to be sent: 127.0.0.1:")
    check(now_good, "--mail", expect=ExitStatus.PARTIAL)
    with server.running():
        check(now_good, "--send")
        assert len(server.mails) == 2
        check(now_good, "--send")
    assert len(server.mails) == 2


def test_a_mail_that_cannot_be_read_holds_up_no_other(now_good: Shelves, server: MailServer) -> None:
    check(now_good, "--mail", expect=ExitStatus.PARTIAL)
    (waits,) = (now_good.mirror.state / "mails").glob("*.eml")
    older = waits.with_name(f"{0:020}.eml")
    older.mkdir()
    with server.running():
        done = check(now_good, "--send", expect=ExitStatus.PARTIAL)
    assert f"{older}: cannot be read: Is a directory" in done.stderr
    assert len(server.mails) == 1
    assert not waits.exists()


@pytest.mark.parametrize("begin", [b"", b"220 here\r\n"], ids=["from the start", "then"])
def test_mail_server_that_dribbles(now_good: Shelves, server: MailServer, begin: bytes) -> None:
    """It answers octet by octet, without an end: each of them in time, for what waits for one. The line
    to it is cut, and its mails wait for the next run.
    """
    over, cut = threading.Event(), threading.Event()

    def dribble(listening: socket.socket) -> None:
        with listening.accept()[0] as connection:
            try:
                connection.sendall(begin)
                while not over.wait(0.02):
                    connection.sendall(b"2")
            except OSError:
                cut.set()

    for _ in range(2):
        tell_report(now_good.mirror, now_good.check())
    with socket.create_server(("127.0.0.1", server.port)) as listening:
        thread = threading.Thread(target=dribble, args=(listening,))
        thread.start()
        try:
            (said,) = send_queued(now_good.mirror, seconds=0.5)
            # A line on which nothing was said yet ends with the process: nothing is sent on it.
            assert not begin or cut.wait(60)
        finally:
            over.set()
            thread.join()
    assert said.startswith(f"2 mails wait to be sent: 127.0.0.1:{server.port}: it answers too slowly")
    with server.running():
        assert send_queued(now_good.mirror) == []
    assert len(server.mails) == 2


def test_two_runs_send_a_mail_once(now_good: Shelves, server: MailServer) -> None:
    tell_report(now_good.mirror, now_good.check())
    queue = os.open(now_good.mirror.state / "mails", os.O_RDONLY)
    with server.running():
        # As another run does while it sends.
        fcntl.flock(queue, fcntl.LOCK_EX)
        assert send_queued(now_good.mirror) == []
        assert server.mails == []
        os.close(queue)
        assert send_queued(now_good.mirror) == []
    assert len(server.mails) == 1


def test_mail_server_that_does_not_know_us(now_good: Shelves, server: MailServer) -> None:
    (now_good.config.parent.parent / "smtp.password").write_text("wrong")
    with server.running():
        done = check(now_good, "--mail", expect=ExitStatus.PARTIAL)
    assert "535" in done.stderr and "hint: see `server`" in done.stderr


def test_mail_server_with_another_certificate(now_good: Shelves, server: MailServer) -> None:
    text = now_good.config.read_text()
    now_good.config.write_text(text.replace(f'ca = "{server.certificate}"\n', ""))
    with server.running():
        done = check(now_good, "--mail", expect=ExitStatus.PARTIAL)
    assert "certificate verify failed" in done.stderr
    assert server.mails == []


def test_sendmail(now_good: Shelves, tmp_path: Path) -> None:
    program = tmp_path / "sendmail"
    program.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/words\ncat >{tmp_path}/mail\n')
    program.chmod(0o755)
    text = now_good.config.read_text()
    head = text[: text.index("[check.mail]")]
    mail = f'[check.mail]\nto = ["root@localhost"]\nfrom = "m@example.org"\nsendmail = "{program}"\n'
    now_good.config.write_text(head + mail)
    check(now_good, "--mail")
    assert (tmp_path / "words").read_text() == "-i -f m@example.org -- root@localhost\n"
    octets = (tmp_path / "mail").read_bytes()
    assert b"Subject: [nightdrop] backup.example.org: 2 of 2 hosts well\n" in octets
    assert b"\r" not in octets
    program.write_text("#!/bin/sh\necho no such user >&2\nexit 67\n")
    done = check(now_good, "--mail", expect=ExitStatus.PARTIAL)
    assert "no such user" in done.stderr


def test_daily_look_speaks_of_what_is_new_and_of_what_is_over(
    now_good: Shelves, server: MailServer
) -> None:
    volume = now_good.path("volume")
    with server.running():
        check(now_good, "--daily")
        assert server.mails == []
        volume.rename(now_good.folder.parent.parent / "moved")
        check(now_good, "--daily", expect=ExitStatus.FINDINGS)
        check(now_good, "--daily", expect=ExitStatus.FINDINGS)
        (mail,) = server.mails
        assert mail["Subject"] == "[nightdrop] backup.example.org: 1 of 2 hosts well, web incomplete"
        text, html = parts(mail)
        assert text.startswith("New:\nerror   web: incomplete: ")
        assert "New" in html and "cannot be restored from here" in html
        (now_good.folder.parent.parent / "moved").rename(volume)
        check(now_good, "--daily")
        check(now_good, "--daily")
    assert len(server.mails) == 2
    assert server.mails[1]["Subject"].endswith(": 2 of 2 hosts well, over: web incomplete")
    assert "No more:" in parts(server.mails[1])[0]


def test_daily_look_does_not_repeat_the_report(now_good: Shelves, server: MailServer) -> None:
    now_good.path("volume").unlink()
    with server.running():
        check(now_good, "--mail", expect=ExitStatus.FINDINGS)
        check(now_good, "--daily", expect=ExitStatus.FINDINGS)
    assert len(server.mails) == 1


def test_daily_look_says_nothing_of_warnings(now_good: Shelves, server: MailServer) -> None:
    (now_good.folder / "notes.txt").touch()
    with server.running():
        done = check(now_good, "--daily")
    assert server.mails == []
    assert done.stdout == "backup.example.org: 2 of 2 hosts well, 1 warning\n"


def test_nobody_to_mail_to(mirror: Mirror) -> None:
    done = run("check", "--config", mirror.config, "--mail", expect=ExitStatus.USAGE)
    assert "nobody is named to mail to" in done.stderr


@pytest.mark.parametrize(
    "line",
    [
        'to = ["a@b.org\\nBcc: c@d.org"]',
        'to = ["no address"]',
        'to = ["-oQ/tmp@example.org"]',
        'to = ["a@b.org"]\nserver = "mail:none"',
    ],
)
def test_settings_that_cannot_be_meant(mirror: Mirror, line: str) -> None:
    mirror.config.write_text(f"{mirror.config.read_text()}\n[check.mail]\n{line}\n")
    done = run("check", "--config", mirror.config, "--mail", expect=ExitStatus.USAGE)
    assert "check.mail." in done.stderr


ODD = [
    b"<script>alert(1)<script>",
    b"x\r\nBcc: eve@example.org\r\n\r\nbody",
    b"\x1b[2J",
    b"=?utf-8?q?x?=",
]


def test_nothing_a_stranger_named_gets_into_head_or_markup(now_good: Shelves, server: MailServer) -> None:
    for name in ODD:
        (now_good.folder / os.fsdecode(name)).write_bytes(b"")
        (now_good.mirror.vault / os.fsdecode(name)).mkdir()
        (now_good.mirror.hosts / os.fsdecode(name + b".toml")).write_text("host = ")
    report = now_good.check()
    settings = now_good.mirror.check.mail
    assert settings is not None
    mail = report_mail(report, settings)
    octets = mail.as_bytes()
    head = octets.split(b"\r\n\r\n")[0]
    assert b"\nBcc" not in octets
    assert b"\x1b" not in octets
    assert subject(report).isprintable()
    assert head.count(b"\r\nSubject:") + head.startswith(b"Subject:") == 1
    assert "<script" not in parts(mail)[1]
    assert all(character.isprintable() or character == "\n" for character in to_text(report))


# The connection is encrypted from its first octet on, which aiosmtpd does not know.
@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_tls_from_the_start(now_good: Shelves, server: MailServer) -> None:
    now_good.configure('security = "tls"')
    with server.running(tls=True):
        check(now_good, "--mail")
    assert len(server.mails) == 1
    # The server's name and signer are looked at there, too.
    now_good.config.write_text(now_good.config.read_text().replace("127.0.0.1:", "localhost:"))
    with server.running(tls=True):
        done = check(now_good, "--mail", expect=ExitStatus.PARTIAL)
    assert "a mail waits to be sent" in done.stderr
    assert len(server.mails) == 1


def test_wrong_password(now_good: Shelves, server: MailServer, tmp_path: Path) -> None:
    (tmp_path / "smtp.password").write_text("wrong")
    with server.running():
        done = check(now_good, "--mail", expect=ExitStatus.PARTIAL)
    assert "does not take the mail" in done.stderr and "password_file" in done.stderr
    assert server.mails == []


def test_a_password_that_no_login_takes(now_good: Shelves, server: MailServer, tmp_path: Path) -> None:
    for octets in ("pässword".encode(), b"\xff"):
        (tmp_path / "smtp.password").write_bytes(octets)
        with server.running():
            done = check(now_good, "--mail", expect=ExitStatus.PARTIAL)
        assert "are not in ASCII" in done.stderr
    assert server.mails == []
