"""A report as people read it: a page, and text on a terminal or in a plain mail."""

from datetime import timedelta
from pathlib import Path

from check.vaults import HOUR, NIGHT, Mirror, Shelves
from nightdrop.envelope.recipients import parse_recipients
from nightdrop_check.reports.as_page import to_page, write_page
from nightdrop_check.reports.as_text import to_text


def test_page_is_replaced_whole(shelves: Shelves, tmp_path: Path) -> None:
    first = tmp_path / "index.html"
    write_page(shelves.check(), first)
    inode = first.stat().st_ino
    write_page(shelves.check(), first)
    assert first.stat().st_ino != inode
    left = [path.name for path in tmp_path.iterdir() if path.is_file()]
    assert left == ["index.html"]


def test_page_stands_alone(shelves: Shelves) -> None:
    page = to_page(shelves.check())
    assert "<script" not in page
    assert "http:" not in page and "https:" not in page
    sets = 3
    assert page.count("<rect") == 2 * sets + 1, "a bar for each size, and a tick for each age on an axis"
    assert "prefers-color-scheme: dark" in page


def test_text_for_a_terminal(shelves: Shelves) -> None:
    shelves.path("volume").unlink()
    report = shelves.check()
    plain, painted = to_text(report), to_text(report, colour=True)
    assert "\x1b[31m" in painted
    for code in ("31", "32", "33", "36", "0"):
        painted = painted.replace(f"\x1b[{code}m", "")
    assert painted == plain


def test_text_fits_a_plain_mail_and_a_terminal(mirror: Mirror) -> None:
    """Names alone are never broken. What a narrow table goes without, a wide one has."""
    mirror.enroll("web")
    mirror.enroll("a-host-with-a-name-as-long-as-a-name-may-be.example.org")
    mirror.full("web", NIGHT)
    (mirror.vault / "web" / "notes.txt").touch()
    report = Shelves(mirror.config, "web", NIGHT.timestamp() + 5 * 86400).check()
    for width in (70, 78, 80, 100):
        lines = to_text(report, width=width).splitlines()
        assert max(len(line) for line in lines if str(mirror.vault) not in line) <= width
        table = lines[2]
        assert all(head in table for head in ("host", "state", "newest set", "newest full"))
        assert lines[3].split() == ["a-host-with-a-name-as-long-as-a-name-may-be.example.org"]
        assert lines[4].split()[0] == "missing"
    assert "usual" in lines[2] and "sets" in lines[2]


def test_the_worst_host_stands_first(mirror: Mirror) -> None:
    for host in ("a", "b", "c"):
        mirror.enroll(host)
        mirror.full(host, NIGHT)
    (mirror.vault / "b" / "notes.txt").touch()
    Shelves(mirror.config, "c", 0).path("volume").unlink()
    report = Shelves(mirror.config, "c", NIGHT.timestamp() + 3600).check()
    assert [each.name for each in report.worst_first] == ["c", "b", "a"]
    assert [line.split()[0] for line in to_text(report).splitlines()[3:6]] == ["c", "b", "a"]


def test_what_keys_are_needed_for(mirror: Mirror, stranger: bytes) -> None:
    """An old key and one that lies in a safe: what each opens, and what only it does. No finding."""
    (old,) = mirror.recipients
    (new,) = parse_recipients(stranger, "test")
    for host in ("web", "db"):
        mirror.enroll(host)
        mirror.full(host, NIGHT)
    shelves = Shelves(mirror.config, "web", NIGHT.timestamp() + HOUR)
    assert "Key " not in to_text(shelves.check())
    with shelves.mirror.recipients[0].open("ab") as file:
        file.write(stranger)
    mirror.full("db", NIGHT + timedelta(minutes=9), recipients=[old, new])
    mirror.full("db", NIGHT + timedelta(minutes=15), recipients=[new])
    for after in (0, 120, 240):
        report = shelves.check(after)
        assert report.findings == ()
        assert "Key CN=admin: opens 3 of 4 sets, 2 with no other key (db and web; the " in to_text(report)
        assert "Key CN=other: opens 2 of 4 sets, 1 with no other key (db; it came " in to_text(report)


def test_hosts_that_wait_for_their_first_backup(mirror: Mirror) -> None:
    for host, whose in (("web", "its"), ("db", "their")):
        mirror.enroll(host, enrolled="2026-03-01T00:00:00Z")
        report = Shelves(mirror.config, host, NIGHT.timestamp()).check()
        assert f"waiting for {whose} first backup" in report.headline
