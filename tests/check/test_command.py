"""`nightdrop check` as people and programs meet it."""

import json
from pathlib import Path

from check.vaults import Mirror, Shelves
from nightdrop.errors import ExitStatus

from house import run


def test_all_well(now_good: Shelves) -> None:
    done = run("check", "--config", now_good.config)
    assert done.stderr == ""
    assert done.stdout.startswith("backup.example.org: 1 of 1 host well\n")
    assert "\x1b" not in done.stdout
    page = now_good.mirror.check.page / "index.html"
    assert done.stdout.endswith(f"page: {page}\n")
    assert "1 of 1 host well" in page.read_text()


def test_findings(now_good: Shelves) -> None:
    now_good.path("volume").unlink()
    done = run("check", "--config", now_good.config, "--no-page", expect=ExitStatus.FINDINGS)
    assert done.stderr == ""
    assert done.stdout.startswith("backup.example.org: 0 of 1 host well, 1 error\n")
    assert "incomplete" in done.stdout
    assert "hint: " in done.stdout
    assert not now_good.mirror.check.page.exists()


def test_warnings_are_no_failure(now_good: Shelves) -> None:
    (now_good.folder / "notes.txt").touch()
    done = run("check", "--config", now_good.config, "--no-page")
    assert done.stdout.startswith("backup.example.org: 1 of 1 host well, 1 warning\n")


def test_json(now_good: Shelves, tmp_path: Path) -> None:
    now_good.path("volume").unlink()
    done = run(
        "check",
        "--config",
        now_good.config,
        "--json",
        "--page",
        tmp_path / "page",
        expect=ExitStatus.FINDINGS,
    )
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
    done = run("check", "--config", tmp_path / "none.toml", expect=ExitStatus.USAGE)
    assert done.stderr.startswith("nightdrop: error: ")


def test_page_that_cannot_be_written(now_good: Shelves, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run(
        "check", "--config", now_good.config, "--page", tmp_path / "file", expect=ExitStatus.FINDINGS
    )
    assert done.stderr == ""
    assert "cannot write the page" in " ".join(done.stdout.split())
    assert "\npage: " not in done.stdout


def test_nobody_is_enrolled(mirror: Mirror) -> None:
    done = run("check", "--config", mirror.config, "--no-page")
    assert done.stdout.startswith("backup.example.org: no host is enrolled\n")
