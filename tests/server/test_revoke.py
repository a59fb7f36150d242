"""`nightdrop revoke`: at once, while the mirror serves, and what was dropped stays."""

from pathlib import Path

import pytest

from house import complaint, run
from mirrors import Mirror, new_name


@pytest.fixture
def mirror(recipient: Path, tmp_path: Path) -> Mirror:
    return Mirror(tmp_path, "fresh", [recipient])


def test_a_revoked_host_is_out_at_once(mirror: Mirror, tmp_path: Path) -> None:
    bundles = {host: tmp_path / f"{host}.toml" for host in ("web1", "web2")}
    with mirror.start():
        for host, bundle in bundles.items():
            mirror.enroll(host, bundle)
        fields = mirror.credentials(bundles["web1"])
        assert mirror.ask("PUT", f"/web1/{new_name()}", b"x", fields).status == 201
        before = mirror.stored("web1")
        done = run("revoke", "web1", "--config", mirror.config)
        assert "web1 may not drop on fresh any more" in done.stdout
        assert str(mirror.vault / "web1") in done.stdout
        assert mirror.ask("PUT", f"/web1/{new_name()}", b"x", fields).status == 401
        assert mirror.stored("web1") == before
        other = mirror.credentials(bundles["web2"])
        assert mirror.ask("PUT", f"/web2/{new_name()}", b"x", other).status == 201


@pytest.mark.parametrize(
    "command", [("revoke", "web1"), ("enroll", "web1", "--again")], ids=["revoked", "again"]
)
def test_an_upload_under_way_is_not_kept(
    mirror: Mirror, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """Otherwise a stolen bundle could keep a door open by sending slowly."""
    mirror.enroll("web1", tmp_path / "web1.toml")
    with mirror.start():
        with mirror.upload_under_way(tmp_path / "web1.toml") as sock:
            run(*command, "--config", mirror.config)
            sock.sendall(b"x" * 500_000)
            answer = sock.recv(65536)
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert answer.endswith(b"\r\n\r\nwrong user or password\n")
        assert mirror.stored("web1") == {}


def test_a_revoked_host_can_be_enrolled_anew(mirror: Mirror, tmp_path: Path) -> None:
    mirror.enroll("web1", tmp_path / "first.toml")
    run("revoke", "web1", "--config", mirror.config)
    mirror.enroll("web1", tmp_path / "second.toml")
    with mirror.start():
        for bundle, status in (("first.toml", 401), ("second.toml", 200)):
            fields = mirror.credentials(tmp_path / bundle)
            assert mirror.ask("OPTIONS", "/web1/", None, fields).status == status


def test_a_damaged_enrolment_can_be_revoked(mirror: Mirror, tmp_path: Path) -> None:
    mirror.enroll("web1", tmp_path / "web1.toml")
    (mirror.state / "hosts" / "web1.toml").write_text("hello")
    run("revoke", "web1", "--config", mirror.config)
    assert list((mirror.state / "hosts").iterdir()) == []
    assert (mirror.state / "htpasswd").read_bytes() == b""


def test_nobody_to_revoke(mirror: Mirror, tmp_path: Path) -> None:
    for prepared in (False, True):
        error, _ = complaint(run("revoke", "web1", "--config", mirror.config, expect=2))
        assert "web1 is not enrolled on fresh" in error
        assert mirror.state.exists() == prepared
        if not prepared:
            mirror.enroll("web2", tmp_path / "web2.toml")
    complaint(run("revoke", "../web2", "--config", mirror.config, expect=2))
