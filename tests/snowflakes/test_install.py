"""From a bundle to a client that works: install, doctor, status, delay."""

import os
import subprocess
from pathlib import Path

import pytest

from snowflakes.clients import HAS_GCM, ONLY, SCRIPT, SHELLS, Client, broken
from snowflakes.conftest import NewClient

from house import Key, run
from mirrors import Mirror
from nginx import folder_for_nginx, nginx


def test_install_in_every_shell(client: Client) -> None:
    folder = client.settings.parent
    assert sorted(path.name for path in (folder / "mirrors").iterdir()) == [
        *("mirror-a.curl", "mirror-a.pem", "mirror-b.curl", "mirror-b.pem")
    ]
    assert (folder / "recipients" / "1.pem").read_text() == client.home.key.certificate.read_text()
    curl = (folder / "mirrors" / "mirror-a.curl").read_text()
    assert f'user = "router1:{client.home.mirrors[0].password(client.home.bundle)}"' in curl
    assert curl.count("pinnedpubkey") == 1
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.rglob("*"))


def test_settings_survive_a_new_bundle(new_client: NewClient) -> None:
    client = new_client()
    client.set(volume="7M")
    client.run("install", client.home.bundle)
    settings = client.settings.read_text()
    assert "\nvolume=7M\n" in settings
    assert settings.count("host=") == 1
    assert settings.count("mirror=") == 2
    client.drop("conf", "echo", "one")


def install(tmp_path: Path, text: str, shell: str = "dash") -> subprocess.CompletedProcess[str]:
    bundle = tmp_path / "bundle.toml"
    bundle.write_text(text)
    return subprocess.run(
        [*SHELLS[ONLY or shell], SCRIPT, "-C", tmp_path / "etc", "install", bundle],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("shell", ["ash", "mksh"])
def test_toml_in_other_ways(tmp_path: Path, admin_key: Key, shell: str) -> None:
    pem = admin_key.certificate.read_text().replace("\n", "\\n")
    done = install(
        tmp_path,
        "# by hand\n"
        f'recipients=["{pem}" , # the key\n  "{pem}",]\n'
        "host='router1' # a comment with \"quotes\"\n"
        'format = "nightdrop-bundle/1"\n[[ mirror ]]\n'
        'password = """\nse\\"cr\\\\et\\\n   #x"""\nname="our \\"mirror\\""\n'
        "user = 'router1'\nurl = 'https://[::1]:8443/backups/'\n",
        shell,
    )
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "etc"
    assert "mirror=our__mirror_ https://[::1]:8443/backups/\n" in (folder / "nightdrop.conf").read_text()
    curl = (folder / "mirrors" / "our__mirror_.curl").read_text()
    assert 'user = "router1:se\\"cr\\\\et#x"\n' in curl
    assert "cacert" not in curl
    assert len(list((folder / "recipients").iterdir())) == 2


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (
            'format = "nightdrop-bundle/1"',
            'format = "nightdrop-bundle/2"',
            "is not a bundle of the format",
        ),
        ('host = "router1"', "", "it names no host"),
        ('host = "router1"', 'host = "../etc"', "it names no host"),
        ("[[mirror]]", "[[peer]]", "this table is not known here: peer"),
        ("user =", "usr =", "this key is not known here: usr"),
        ('url = "https', 'url = "ftp', "the mirror mirror-a has no URL"),
        ('name = "mirror-b"', 'name = "mirror-a"', "two mirrors of one name"),
        ('host = "router1"', 'host = "router1', "a text without an end"),
        ("BEGIN CERTIFICATE", "BEGIN PRIVATE KEY", "a private key is among the recipients"),
        ("MII", "MIX", "openssl cannot read a certificate in this bundle"),
    ],
)
def test_bad_bundle(new_client: NewClient, tmp_path: Path, old: str, new: str, why: str) -> None:
    client = new_client("ash")
    before = client.settings.read_text()
    text = client.home.bundle.read_text()
    assert old in text
    bundle = tmp_path / "bad.toml"
    bundle.write_text(text.replace(old, new))
    done = client.run("install", bundle, expect=2)
    lines = done.stderr.splitlines()
    assert len(lines) == 2, done.stderr
    assert why in lines[0]
    assert lines[1].startswith("hint: ")
    # What was installed before stays as it was.
    assert client.settings.read_text() == before
    client.drop("conf", "echo", "one")


def test_doctor_leaves_nothing_on_a_mirror(some_client: Client) -> None:
    before = [set(os.listdir(some_client.vault(mirror))) for mirror in some_client.home.mirrors]
    said = some_client.run("doctor").stdout
    assert said.count(" gives nothing out") == said.count(" takes files, and tells a damaged one") == 2
    assert f"sealed with {'aes-256-gcm' if HAS_GCM else 'aes-256-cbc'}" in said
    assert before == [set(os.listdir(some_client.vault(mirror))) for mirror in some_client.home.mirrors]


def test_doctor_tells_what_is_wrong(new_client: NewClient) -> None:
    client = new_client()
    path = client.settings.parent / "mirrors" / "mirror-b.curl"
    path.write_text(path.read_text().replace("router1:", "router1:x"))
    with broken(client, 0, [0]):
        done = client.run("doctor", expect=1)
    assert "error: mirror-a: curl: " in done.stderr
    assert "error: mirror-b: it does not accept the password of router1" in done.stderr


def test_nginx_in_the_doors_place(tmp_path: Path, admin_key: Key, unlocked: Path) -> None:
    with folder_for_nginx() as folder:
        mirror = Mirror(folder, "mirror-n", [admin_key.certificate], vault=folder / "vault")
        # Its certificate is made by the door's first start.
        mirror.start().stop()
        bundle = tmp_path / "bundle.toml"
        mirror.enroll("router1", bundle)
        site = folder / "site.conf"
        run("nginx-config", "--config", mirror.config, "-o", site)
        subprocess.run(["chown", "-R", "www-data:", mirror.vault, mirror.state], check=True)
        folder.joinpath("mirror-n").chmod(0o755)
        with nginx(folder, site, mirror.address, mirror.port):
            etc = tmp_path / "etc"
            command = [*SHELLS[ONLY or "dash"], SCRIPT, "-C", etc]
            subprocess.run([*command, "install", bundle], check=True)
            # Not /tmp: another one of this name, tested beside this, would clear it up there.
            with (etc / "nightdrop.conf").open("a") as settings:
                settings.write(f"temporary={tmp_path}\n")
            done = subprocess.run([*command, "doctor"], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            assert "ok: mirror-n gives nothing out" in done.stdout
            assert os.listdir(mirror.vault / "router1") == []
            subprocess.run([*command, "drop", "conf", "tar", "--", "echo", "one"], check=True)
            assert len(os.listdir(mirror.vault / "router1")) == 2


def test_delay_is_the_hosts_own(new_client: NewClient) -> None:
    delays = set()
    for host in ("router1", "router2", "router3"):
        client = new_client("mksh")
        client.set(host=host)
        shown = client.run("delay", "--show").stdout
        assert shown == client.run("delay", "--show").stdout
        assert 0 <= int(shown) <= 3600
        delays.add(shown)
    assert len(delays) > 1
    client.set(delay=0)
    client.run("delay")


def test_status(new_client: NewClient) -> None:
    client = new_client("ash")
    assert "nothing was dropped yet" in client.run("status").stdout
    client.drop("conf", "echo", "one")
    [receipt] = client.receipts()
    assert f"{receipt.set}: {receipt.files[0].size} octets in 1 file; on: mirror-a, mirror-b" in (
        client.run("status").stdout
    )


def test_status_of_runs_that_failed(new_client: NewClient) -> None:
    """Each kind for itself: what goes well does not hide what does not."""
    client = new_client("ash")
    client.drop("mtd", "echo", "one")
    client.drop("mtd-inc", "false", expect=1)
    client.set(patience=1)
    with broken(client, 1, [0]):
        client.drop("conf", "echo", "two", expect=3)
    client.drop("logs", "echo", "three")
    said = client.run("status").stdout

    def went(kind: str) -> str:
        [line] = [line for line in said.splitlines() if f"the last run of {client.kind(kind)} " in line]
        return line

    assert " failed at 20" in went("mtd-inc")
    assert ": source ended with status 1" in went("mtd-inc")
    assert "Z, but not everywhere: " in went("conf-full")
    assert went("conf-full").endswith("mirror-b lacks it")
    assert went("logs-full").endswith("Z")
