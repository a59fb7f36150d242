"""`nightdrop check` as people and programs meet it."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from check.vaults import NIGHT, Mirror, Shelves
from nightdrop.errors import ExitStatus
from nightdrop_check.reports.as_page import to_page, write_page
from nightdrop_check.reports.as_text import to_text


def nightdrop(*words: object) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    command = [sys.executable, "-m", "nightdrop", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def now_good(mirror: Mirror) -> Shelves:
    """A mirror whose one host dropped a full just now, by the clock on the wall."""
    import time
    from datetime import UTC, datetime

    mirror.enroll("web")
    mirror.full("web", datetime.now(UTC) - timedelta(hours=1))
    return Shelves(mirror.config, "web", time.time())


def test_all_well(now_good: Shelves) -> None:
    done = nightdrop("check", "--config", now_good.config)
    assert (done.returncode, done.stderr) == (ExitStatus.DONE, "")
    assert done.stdout.startswith("backup.example.org: 1 of 1 host well\n")
    assert "\x1b" not in done.stdout
    page = now_good.mirror.check.page / "index.html"
    assert done.stdout.endswith(f"page: {page}\n")
    assert "1 of 1 host well" in page.read_text()


def test_findings(now_good: Shelves) -> None:
    now_good.path("volume").unlink()
    done = nightdrop("check", "--config", now_good.config, "--no-page")
    assert (done.returncode, done.stderr) == (ExitStatus.FINDINGS, "")
    assert done.stdout.startswith("backup.example.org: 0 of 1 host well, 1 error\n")
    assert "incomplete" in done.stdout
    assert "hint: " in done.stdout
    assert not now_good.mirror.check.page.exists()


def test_warnings_are_no_failure(now_good: Shelves) -> None:
    (now_good.folder / "notes.txt").touch()
    done = nightdrop("check", "--config", now_good.config, "--no-page")
    assert done.returncode == ExitStatus.DONE
    assert done.stdout.startswith("backup.example.org: 1 of 1 host well, 1 warning\n")


def test_json(now_good: Shelves, tmp_path: Path) -> None:
    now_good.path("volume").unlink()
    done = nightdrop("check", "--config", now_good.config, "--json", "--page", tmp_path / "page")
    assert done.returncode == ExitStatus.FINDINGS
    fields = json.loads(done.stdout)
    assert fields["format"] == "nightdrop-check/1"
    assert fields["counts"] == {"error": 1, "warning": 0, "info": 0}
    (finding,) = fields["findings"]
    assert finding["code"] == "incomplete"
    assert set(finding) == {"code", "severity", "host", "subject", "sentence", "hint", "data"}
    (host,) = fields["hosts"]
    assert (host["name"], host["state"], host["sets"]) == ("web", "error", 1)
    assert host["newest_set"].endswith("Z")
    assert (tmp_path / "page" / "index.html").exists()


def test_wrong_configuration(tmp_path: Path) -> None:
    done = nightdrop("check", "--config", tmp_path / "none.toml")
    assert done.returncode == ExitStatus.USAGE
    assert done.stderr.startswith("nightdrop: error: ")


def test_page_that_cannot_be_written(now_good: Shelves, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = nightdrop("check", "--config", now_good.config, "--page", tmp_path / "file")
    assert (done.returncode, done.stderr) == (ExitStatus.FINDINGS, "")
    assert "cannot write the page" in " ".join(done.stdout.split())
    assert "\npage: " not in done.stdout


def test_nobody_is_enrolled(mirror: Mirror) -> None:
    done = nightdrop("check", "--config", mirror.config, "--no-page")
    assert done.returncode == ExitStatus.DONE
    assert done.stdout.startswith("backup.example.org: no host is enrolled\n")


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


def test_ages_are_by_the_mirrors_clock(mirror: Mirror) -> None:
    """A client may name its sets as it likes: what counts is when they came."""
    mirror.enroll("web")
    mirror.full("web", NIGHT + timedelta(days=999))
    book = mirror.folder / "state" / "ledger.sqlite"
    import sqlite3

    with sqlite3.connect(book) as db:
        db.execute("UPDATE drops SET received = ?", (NIGHT.timestamp(),))
    found = Shelves(mirror.config, "web", (NIGHT + timedelta(days=5)).timestamp()).check().findings
    assert [f.code for f in found] == ["clock-skew", "late"]


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
