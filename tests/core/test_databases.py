"""What a newer version has changed beyond what this one knows is left alone, and said in one line."""

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from core.keyring import holders

from mirrors import NIGHTDROP

_CLIENT = """bundle = "bundle.toml"
state = "state"
[folders]
include = ["/etc"]
"""
_MIRROR = """name = "mirror"
vault = "vault"
state = "state"
listen = "127.0.0.1:0"
url = "https://localhost:8443"
recipients = []
"""


_BUNDLE = '''format = "nightdrop-bundle/1"
host = "web1"
recipients = ["""{recipient}"""]
[[mirror]]
name = "mirror"
url = "https://localhost:8443"
user = "web1"
password = "p"
'''


@pytest.mark.parametrize(
    ("verb", "configuration", "file", "status"),
    [
        ("status", _CLIENT, "drops.sqlite", 1),
        ("serve", _MIRROR, "ledger.sqlite", 1),
        # Findings among others: it could not look into it, or remembers nothing.
        ("check", _MIRROR, "check.sqlite", 4),
        ("check", _MIRROR, "ledger.sqlite", 4),
    ],
)
def test_a_file_of_a_newer_version_is_left_alone(
    tmp_path: Path, verb: str, configuration: str, file: str, status: int
) -> None:
    for folder in ("state", "vault"):
        (tmp_path / folder).mkdir()
    settings = tmp_path / "settings.toml"
    settings.write_text(configuration)
    (tmp_path / "bundle.toml").write_text(_BUNDLE.format(recipient=holders()[0].recipient.pem))
    newer = tmp_path / "state" / file
    with closing(sqlite3.connect(newer)) as db:
        db.executescript("CREATE TABLE what (nobody, knows); PRAGMA user_version=2")
    command = [*NIGHTDROP, verb, "--config", str(settings)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    told = " ".join((done.stdout + done.stderr).split())
    assert f"{newer} is a newer Nightdrop's: this version does not know its format" in told
    assert "install that version again" in told
    assert status == 4 or len(done.stderr.splitlines()) == 2
    with closing(sqlite3.connect(newer)) as db:
        assert [name for (name,) in db.execute("SELECT name FROM sqlite_master")] == ["what"]
