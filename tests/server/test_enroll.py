"""`nightdrop enroll`: folder, password and bundle; on the second mirror, too; and what it refuses."""

import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nightdrop.enrolment import load_bundle, load_host

from house import complaint, run
from mirrors import NIGHTDROP, Mirror, basic, make_recipient, new_name


@pytest.fixture
def mirror(recipient: Path, tmp_path: Path) -> Mirror:
    """A mirror that never served."""
    return Mirror(tmp_path, "fresh", [recipient])


def enroll(mirror: Mirror, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*NIGHTDROP, "enroll", "--config", str(mirror.config), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def refused(mirror: Mirror, *arguments: str, status: int = 2) -> str:
    """The one error line (and hint) of an enrolment that is refused."""
    done = enroll(mirror, *arguments)
    assert (done.returncode, done.stdout) == (status, "")
    lines = done.stderr.splitlines()
    assert lines[0].startswith("nightdrop: error: ")
    assert all(line.startswith("hint: ") for line in lines[1:]) and len(lines) <= 2
    return done.stderr


def test_before_the_mirror_ever_served(mirror: Mirror, tmp_path: Path) -> None:
    """Everything is made, private, and the bundle lets the host drop."""
    bundle = tmp_path / "web1.toml"
    assert enroll(mirror, "web1", "-o", str(bundle), "--kind", "shell", "--quota", "100G").returncode == 0
    made = [bundle, mirror.certificate, mirror.state / "tls.key", mirror.state / "htpasswd"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o600}
    folders = [mirror.vault, mirror.vault / "web1", mirror.state, mirror.state / "hosts"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}
    host = load_host(mirror.state / "hosts" / "web1.toml")
    assert (host.name, host.kind, host.quota) == ("web1", "shell", 100 * 10**9)
    password = mirror.password(bundle)
    assert len(password) == 43
    for path in mirror.root.rglob("*"):
        assert not path.is_file() or password not in path.read_text()
    with mirror.start():
        assert mirror.ask("PUT", f"/web1/{new_name()}", b"x", mirror.credentials(bundle)).status == 201


def test_bundle_to_standard_output(mirror: Mirror, tmp_path: Path, recipient: Path) -> None:
    done = enroll(mirror, "web1")
    (tmp_path / "bundle").write_text(done.stdout)
    bundle = load_bundle(tmp_path / "bundle")
    assert bundle.recipients == (recipient.read_text(),)
    [entry] = bundle.mirrors
    assert (entry.name, entry.url, entry.user) == ("fresh", mirror.url, "web1")
    assert entry.certificate == mirror.certificate.read_text()


def test_plain_mirror_has_no_certificate(recipient: Path, tmp_path: Path) -> None:
    mirror = Mirror(tmp_path, "plain", [recipient], tls=False)
    mirror.enroll("web1", tmp_path / "web1.toml")
    assert load_bundle(tmp_path / "web1.toml").mirrors[0].certificate == ""
    assert not mirror.certificate.exists()


def test_second_mirror_adds_itself(mirror: Mirror, tmp_path: Path, recipient: Path) -> None:
    """One bundle for both mirrors, with the recipients of both, each once; again replaces, not adds."""
    more = make_recipient(tmp_path / "more.pem")
    second = Mirror(tmp_path, "second", [recipient, more], tls=False)
    bundle = tmp_path / "web1.toml"
    mirror.enroll("web1", bundle)
    first_password = mirror.password(bundle)
    second.enroll("web1", bundle)
    loaded = load_bundle(bundle)
    assert [entry.name for entry in loaded.mirrors] == ["fresh", "second"]
    assert loaded.recipients == (recipient.read_text(), more.read_text())
    assert mirror.password(bundle) == first_password
    mirror.enroll("web1", bundle, "--again")
    assert [entry.name for entry in load_bundle(bundle).mirrors] == ["second", "fresh"]
    assert mirror.password(bundle) != first_password


def test_a_second_mirror_of_the_same_name_does_not_take_the_firsts_place(
    mirror: Mirror, tmp_path: Path, recipient: Path
) -> None:
    """As when mirror.toml was copied: the host would go on with one mirror instead of two."""
    namesake = Mirror(tmp_path / "elsewhere", mirror.name, [recipient])
    bundle = tmp_path / "web1.toml"
    mirror.enroll("web1", bundle)
    before = bundle.read_text()
    error, hint = complaint(run("enroll", "web1", "--config", namesake.config, "-o", bundle, expect=2))
    assert error.endswith(f"has a mirror {mirror.name} already, and its address is {mirror.url}")
    assert "a `name` of its own" in hint
    assert bundle.read_text() == before
    assert not (namesake.vault / "web1").exists()


def test_a_mirror_that_got_another_name_takes_its_own_place(mirror: Mirror, tmp_path: Path) -> None:
    bundle = tmp_path / "web1.toml"
    mirror.enroll("web1", bundle)
    mirror.config.write_text(mirror.config.read_text().replace(f'name = "{mirror.name}"', 'name = "new"'))
    mirror.enroll("web1", bundle, "--again")
    assert [entry.name for entry in load_bundle(bundle).mirrors] == ["new"]


def test_enrolled_and_removed_without_restart(mirror: Mirror, tmp_path: Path) -> None:
    """A new host is in at once, a new password is in force at once, a removed host is out at once."""
    bundle = tmp_path / "web1.toml"

    def status(fields: dict[str, str]) -> int:
        return mirror.ask("OPTIONS", "/web1/", None, fields).status

    with mirror.start():
        assert status(basic("web1", "anything")) == 401
        mirror.enroll("web1", bundle)
        first = mirror.credentials(bundle)
        assert status(first) == 200
        mirror.enroll("web1", bundle, "--again")
        assert status(first) == 401
        second = mirror.credentials(bundle)
        assert status(second) == 200
        htpasswd = mirror.state / "htpasswd"
        kept = htpasswd.read_bytes()
        htpasswd.write_bytes(b"")
        assert status(second) == 401
        htpasswd.write_bytes(kept)
        assert status(second) == 200
        (mirror.state / "hosts" / "web1.toml").unlink()
        assert mirror.ask("PUT", f"/web1/{new_name()}", b"x", second).status == 403


def test_many_at_once(mirror: Mirror, tmp_path: Path) -> None:
    """Enrolments that run at the same time lose none of each other's passwords."""
    hosts = [f"host{number}" for number in range(6)]
    with ThreadPoolExecutor(len(hosts)) as pool:
        all_done = list(pool.map(lambda h: enroll(mirror, h, "-o", str(tmp_path / f"{h}.toml")), hosts))
    assert [done.returncode for done in all_done] == [0] * len(hosts)
    with mirror.start():
        for host in hosts:
            fields = mirror.credentials(tmp_path / f"{host}.toml")
            assert mirror.ask("OPTIONS", f"/{host}/", None, fields).status == 200


@pytest.mark.parametrize(
    "host", ["", "Web1", "web 1", "../web1", "web1/", "-web1", "web..1", "wéb", "a" * 64]
)
def test_wrong_host_name(mirror: Mirror, host: str) -> None:
    assert "cannot be the name of a host" in refused(mirror, host) or host.startswith("-")
    assert not mirror.state.exists()


def test_enrolled_already(mirror: Mirror, tmp_path: Path) -> None:
    bundle = tmp_path / "web1.toml"
    mirror.enroll("web1", bundle)
    before = bundle.read_bytes()
    assert "--again" in refused(mirror, "web1", "-o", str(bundle))
    assert bundle.read_bytes() == before


def test_bundle_of_another_host(mirror: Mirror, tmp_path: Path) -> None:
    mirror.enroll("web1", tmp_path / "web1.toml")
    assert "bundle of web1" in refused(mirror, "web2", "-o", str(tmp_path / "web1.toml"))
    assert not (mirror.vault / "web2").exists()


def test_output_that_is_no_bundle(mirror: Mirror, tmp_path: Path) -> None:
    """Nothing is changed here when the bundle could not be written there."""
    (tmp_path / "notes").write_text("hello")
    (tmp_path / "link").symlink_to("/etc/passwd")
    for output in ("notes", "link", "missing/web1.toml", "."):
        refused(mirror, "web1", "-o", str(tmp_path / output))
    assert (tmp_path / "notes").read_text() == "hello"
    assert not mirror.state.exists()


def test_again_leaves_what_is_not_said_as_it_is(mirror: Mirror, tmp_path: Path) -> None:
    bundle = tmp_path / "web1.toml"
    path = mirror.state / "hosts" / "web1.toml"
    mirror.enroll("web1", bundle, "--quota", "5G", "--kind", "shell", "--network", "192.0.2.0/24", "::1")
    first = load_host(path)
    assert [str(network) for network in first.networks] == ["192.0.2.0/24", "::1/128"]
    mirror.enroll("web1", bundle, "--again")
    assert load_host(path) == first
    mirror.enroll("web1", bundle, "--again", "--quota", "none", "--network", "any")
    changed = load_host(path)
    assert (changed.quota, changed.networks, changed.kind) == (0, (), "shell")
    assert changed.enrolled == first.enrolled


@pytest.mark.parametrize("network", ["192.0.2.7/24", "example.org", "any,192.0.2.0/24"])
def test_wrong_network(mirror: Mirror, network: str) -> None:
    assert "--network" in refused(mirror, "web1", "--network", network)
    assert not mirror.state.exists()


def test_enrolment_that_is_damaged_is_not_written_over(mirror: Mirror, tmp_path: Path) -> None:
    """Its networks and its quota would be lost with it, and nobody would notice."""
    mirror.enroll("web1", tmp_path / "web1.toml")
    path = mirror.state / "hosts" / "web1.toml"
    path.write_text('networks = ["192.0.2.0/24"')
    assert "revoke" in refused(mirror, "web1", "--again")


@pytest.mark.parametrize("quota", ["0", "much", "-1G"])
def test_wrong_quota(mirror: Mirror, quota: str) -> None:
    assert "--quota" in refused(mirror, "web1", f"--quota={quota}")


def test_private_key_among_the_recipients(tmp_path: Path, recipient: Path) -> None:
    key = tmp_path / "key.pem"
    command = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subprocess.run([*command, "-out", key], check=True, capture_output=True)
    key.write_bytes(key.read_bytes() + recipient.read_bytes())
    error = refused(Mirror(tmp_path, "leaky", [key]), "web1")
    assert "private key" in error
    assert str(key) in error


def test_recipients_that_are_none(tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    assert str(missing) in refused(Mirror(tmp_path, "a", [missing]), "web1")
    missing.write_text("hello")
    assert str(missing) in refused(Mirror(tmp_path, "b", [missing]), "web1")


def test_configuration_that_is_not_there(mirror: Mirror) -> None:
    mirror.config.unlink()
    assert str(mirror.config) in refused(mirror, "web1")


def test_certificate_for_another_name(mirror: Mirror, tmp_path: Path) -> None:
    """`url` changed after the certificate was made: hosts could not connect, so it is said now."""
    mirror.enroll("web1", tmp_path / "web1.toml")
    text = mirror.config.read_text()
    mirror.config.write_text(text.replace(mirror.url, "https://backup.example.org:8443"))
    assert "not for backup.example.org" in refused(mirror, "web2")


def test_vault_that_is_not_mounted(mirror: Mirror, tmp_path: Path) -> None:
    """An absent vault is made for the first host, but never under hosts that have files somewhere."""
    mirror.enroll("web1", tmp_path / "web1.toml")
    mirror.vault.rename(tmp_path / "elsewhere")
    assert "mounted" in refused(mirror, "web2", status=1)
    assert not mirror.vault.exists()


@pytest.fixture
def owned(recipient: Path) -> Iterator[Mirror]:
    """A mirror whose state and vault are those of a user of its own, who can reach them."""
    if os.geteuid() != 0:
        pytest.fail("this test shows what root does: run it as root")
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="nightdrop-owned-") as name:
        Path(name).chmod(0o755)
        mirror = Mirror(Path(name), "owned", [recipient])
        for folder in (mirror.state, mirror.vault):
            folder.mkdir()
            os.chown(folder, 4711, 4711)
        yield mirror


def test_root_hands_over_to_the_mirrors_user(owned: Mirror) -> None:
    """Root enrols, the mirror's user serves: what is made belongs to the owner of its folder."""
    mirror = owned
    home = mirror.root / "home"
    home.mkdir()
    os.chown(home, 4712, 4712)
    mirror.enroll("web1", home / "web1.toml")
    made = [*mirror.state.rglob("*"), *mirror.vault.rglob("*")]
    assert len(made) == 7
    assert {path.stat().st_uid for path in made} == {4711}
    assert (home / "web1.toml").stat().st_uid == 0, "a bundle is for who made it, and holds passwords"


@pytest.mark.parametrize("name", ["htpasswd", "administrators", "lock", "tls.crt", "hosts"])
def test_root_goes_through_no_link_of_the_mirrors_user(owned: Mirror, name: str) -> None:
    """Who broke into the door rules the state. What only root may read or write stays root's."""
    secrets = owned.root / "root"
    secrets.mkdir(mode=0o700)
    (secrets / "shadow").write_text("root:$6$secret\n")
    (secrets / "shadow").chmod(0o600)
    (owned.state / name).symlink_to(secrets / {"hosts": ".", "lock": "new"}.get(name, "shadow"))
    verbs = [["admin-password"]] if name == "administrators" else [["enroll", "web1"], ["revoke", "web1"]]
    for words in verbs:
        command = [*NIGHTDROP, *words, "--config", str(owned.config)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert "Traceback" not in done.stderr
        assert "$6$" not in done.stdout + done.stderr
    assert [path.name for path in secrets.iterdir()] == ["shadow"]
    for path in owned.state.rglob("*"):
        assert path.is_symlink() or path.is_dir() or b"$6$" not in path.read_bytes()


def test_root_looks_through_no_link_of_the_mirrors_user(owned: Mirror) -> None:
    """`hosts` and `doctor` only read, and would show what they read, or how it is wrong."""
    owned.enroll("web1", owned.root / "web1.toml")
    secrets = owned.root / "root"
    secrets.mkdir(mode=0o700)
    (secrets / "web2.toml").write_text('host = "web2"\nenrolled = "2026-01-02T03:04:05Z"\n')
    (secrets / "tls.key").write_bytes((owned.state / "tls.key").read_bytes())
    for name in ("hosts/web2.toml", "tls.key"):
        (owned.state / name).unlink(missing_ok=True)
        (owned.state / name).symlink_to(secrets / Path(name).name)
    looked = (
        run("hosts", "--config", owned.config, expect=1).stdout
        + run("doctor", "--config", owned.config, expect=1).stdout
    )
    assert looked.count("web2.toml: cannot read this enrolment: Permission denied") == 2, looked
    assert "tls.key: cannot be read: Permission denied" in looked
