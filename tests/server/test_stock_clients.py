"""Clients that know nothing of Nightdrop: duplicity's own backend, rclone, cadaver, litmus."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mirrors import Mirror, Served, environment_without_proxies, new_name, wait_until
from ports import free_port

DUPLICITY = Path(sys.executable).with_name("duplicity")
MB = 1_000_000


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"volume.." * 300_000)
    return path


def run(home: Path, *words: str | Path, typed: str = "") -> subprocess.CompletedProcess[str]:
    """A program with a home of its own, and what is typed into it."""
    return subprocess.run(
        [str(word) for word in words],
        input=typed,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=environment_without_proxies() | {"HOME": str(home), "LC_ALL": "C.UTF-8"},
    )


def test_rclone_copyto(served: Served, sent: Path, tmp_path: Path) -> None:
    """A file arrives, again is well, and other bytes under its name are refused with a reason."""
    password = served.mirror.password(served.bundles["web1"])
    obscured = run(tmp_path, "rclone", "obscure", "-", typed=password).stdout.strip()
    remote = ["--webdav-url", f"{served.mirror.url}/web1/", "--webdav-user", "web1"]
    remote += ["--webdav-pass", obscured, "--webdav-vendor", "other", "--config", "/dev/null"]
    remote += ["--retries", "1", "--low-level-retries", "1"]
    if served.mirror.tls:
        remote += ["--ca-cert", str(served.mirror.certificate)]
    name = new_name()
    assert run(tmp_path, "rclone", *remote, "copyto", sent, f":webdav:{name}").returncode == 0
    assert served.mirror.stored("web1")[name] == sent.read_bytes()
    assert run(tmp_path, "rclone", *remote, "copyto", sent, f":webdav:{name}").returncode == 0
    other = tmp_path / "other"
    other.write_bytes(b"other")
    refused = run(tmp_path, "rclone", *remote, "copyto", other, f":webdav:{name}")
    assert refused.returncode != 0
    assert "409" in refused.stderr
    assert served.mirror.stored("web1")[name] == sent.read_bytes()


def test_cadaver_puts_and_lists(http: Served, sent: Path, tmp_path: Path) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text(
        f"machine 127.0.0.1 login web1 password {http.mirror.password(http.bundles['web1'])}\n"
    )
    netrc.chmod(0o600)
    name = new_name()
    typed = f"put {sent} {name}\nls\nget {name} {tmp_path}/back\ndelete {name}\nquit\n"
    said = run(tmp_path, "cadaver", f"{http.mirror.url}/web1/", typed=typed).stdout
    assert http.mirror.stored("web1")[name] == sent.read_bytes()
    assert re.search(rf"{re.escape(name)} +{sent.stat().st_size}", said)
    assert not (tmp_path / "back").exists() or (tmp_path / "back").stat().st_size == 0
    assert said.count("405 Method Not Allowed") == 2


@contextmanager
def with_a_folder_for_litmus(mirror: Mirror, folder: Path) -> Iterator[str]:
    """litmus begins by making a folder, which the door refuses. nginx in front says yes to that alone,
    and hands everything else to the host's folder at the door.
    """
    port = free_port()
    (folder / "nginx.conf").write_text(f"""
        daemon off; pid {folder}/pid; error_log {folder}/error.log; user root;
        events {{ }}
        http {{
            access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
            server {{
                listen 127.0.0.1:{port};
                location = /web1/litmus/ {{
                    if ($request_method = MKCOL) {{ return 201; }}
                    if ($request_method = DELETE) {{ return 204; }}
                    proxy_pass {mirror.url}/web1/;
                }}
                location /web1/litmus/ {{ proxy_pass {mirror.url}/web1/; proxy_request_buffering off; }}
                location / {{ proxy_pass {mirror.url}; }}
            }}
        }}
    """)
    process = subprocess.Popen(["nginx", "-c", folder / "nginx.conf", "-e", folder / "error.log"])
    try:
        wait_until((folder / "pid").exists, "nginx is up")
        yield f"http://127.0.0.1:{port}/web1/"
    finally:
        process.terminate()
        process.wait()


LITMUS: dict[str, dict[str, str]] = {
    "http": {},
    # Each of these wants what the door refuses: a name that no backup has, or to make a folder.
    "basic": {
        "put_get": "403 Forbidden: this is not a name that backups have here",
        "put_get_utf8_segment": "403 Forbidden: this is not a name that backups have here",
        "delete_fragment": "could not create collection",
        "mkcol": "405 Method Not Allowed: this door takes files in and gives nothing out",
        "mkcol_with_body": "must fail with 415",
    },
}


@pytest.mark.parametrize("suite", LITMUS)
def test_litmus_fails_where_the_policy_says_so(http: Served, tmp_path: Path, suite: str) -> None:
    password = http.mirror.password(http.bundles["web1"])
    with with_a_folder_for_litmus(http.mirror, tmp_path) as url:
        words = [f"/usr/libexec/litmus/{suite}", "--htdocs", "/usr/share/litmus/htdocs", url]
        done = subprocess.run(
            [*words, "web1", password], check=False, capture_output=True, text=True, cwd=tmp_path
        )
    failed = dict(re.findall(r"^ *\d+\. (\w+)\.+ FAIL \((.*)", done.stdout, re.MULTILINE))
    assert failed.keys() == LITMUS[suite].keys()
    assert all(why in failed[name] for name, why in LITMUS[suite].items())
    assert f"summary for `{suite}'" in done.stdout


class Duplicity:
    """Stock duplicity with its own WebDAV backend, sealing with openssl."""

    def __init__(self, mirror: Mirror, folder: Path, recipient: Path) -> None:
        mirror.enroll("web1", folder / "web1.toml")
        self.source, self.archive = folder / "source", folder / "archive"
        self.source.mkdir()
        seal, self.gate, self._sealed = folder / "seal", folder / "gate", folder / "sealed"
        # While the gate is there, it seals six volumes and no more.
        seal.write_text(f"""#!/bin/sh
            case " $* " in *" --version "*) echo "gpgsm (GnuPG) 2.2.40"; exit 0 ;; esac
            if [ -e {self.gate} ]; then
                echo >>{self._sealed}
                while [ -e {self.gate} ] && [ "$(wc -l <{self._sealed})" -gt 6 ]; do sleep 0.1; done
            fi
            exec openssl cms -encrypt -binary -stream -outform DER -aes-256-cbc {recipient}
        """)
        seal.chmod(0o700)
        self._options = ["--use-gpgsm", "--gpg-binary", seal, "--use-agent", "--encrypt-key", "any"]
        self._options += ["--num-retries", "1", "--volsize", "1", "--archive-dir", self.archive]
        self._url = f"webdav://web1@127.0.0.1:{mirror.port}/web1"
        password = {"BACKEND_PASSWORD": mirror.password(folder / "web1.toml"), "LC_ALL": "C.UTF-8"}
        self._environment = environment_without_proxies() | password

    def start(self, verb: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(word) for word in (DUPLICITY, verb, *self._options, self.source, self._url)],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, verb: str) -> tuple[int, str]:
        # Its sets have names with seconds in them.
        time.sleep(1.1)
        process = self.start(verb)
        said, _ = process.communicate(timeout=300)
        return process.returncode, said


@pytest.mark.slow
def test_duplicity_webdav_backend(recipient: Path, tmp_path: Path) -> None:
    """A full and an incremental; its restart of a killed full, which sends other bytes under an old
    name, is refused with a line that says what to do; and that works.
    """
    with Mirror(tmp_path, "stock", [recipient], tls=False).start() as mirror:
        duplicity = Duplicity(mirror, tmp_path, recipient)
        (duplicity.source / "a").write_bytes(os.urandom(3 * MB))
        assert duplicity.run("full")[0] == 0
        (duplicity.source / "b").write_bytes(b"more")
        assert duplicity.run("incremental")[0] == 0
        whole = mirror.stored("web1")
        assert sum("manifest" in name for name in whole) == 2

        (duplicity.source / "c").write_bytes(os.urandom(20 * MB))
        time.sleep(1.1)
        duplicity.gate.touch()
        process = duplicity.start("full")
        wait_until(lambda: len(os.listdir(mirror.vault / "web1")) >= len(whole) + 4, "a few volumes")
        process.kill()
        process.wait()
        duplicity.gate.unlink()
        unfinished = mirror.stored("web1").keys() - whole.keys()
        status, said = duplicity.run("full")
        assert status == 50
        assert "409" in said
        assert "remove its *.part files here and its unfinished set there" in said
        assert {name: mirror.stored("web1")[name] for name in whole} == whole

        for part in duplicity.archive.glob("*/*.part"):
            part.unlink()
        for name in unfinished:
            (mirror.vault / "web1" / name).unlink()
        assert duplicity.run("full")[0] == 0
