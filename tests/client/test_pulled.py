"""Folders pulled by FTPS from a real server that allows nothing else."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from nightdrop.configuration import load
from nightdrop.errors import ConfigurationError
from nightdrop_client.sources.configuration import load_sources

from house import House, run
from mirrors import wait_until
from trees import describe

PLACE = "/.nightdrop/pulled"
PASSWORD = 'odd "pass\\word; !'


class Camera:
    """A machine with a folder, and an FTPS server in front of that."""

    def __init__(self, root: Path, mode: str) -> None:
        self.mode = mode
        self.folder = root / mode
        self.log = root / f"{mode}.log"
        self.certificate = root / f"{mode}.pem"
        (self.folder / "rec" / "deep folder").mkdir(parents=True)
        (self.folder / "rec" / "one.jpg").write_bytes(os.urandom(300_000))
        (self.folder / "rec" / "deep folder" / 'two "x".jpg').write_bytes(os.urandom(1000))
        (self.folder / "private").write_text("not below the folder that is pulled")
        new_certificate(self.certificate)
        self.start()

    def start(self) -> None:
        server = Path(__file__).with_name("ftps_server.py")
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                ["/usr/bin/python3", server, self.folder, "camera", self.certificate, self.mode],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{PASSWORD}\n")
        self.process.stdin.close()
        self.port = int(self.process.stdout.readline())

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def table(self, certificate: Path, password: Path) -> str:
        """The `[[pulled]]` that fetches from here."""
        return (
            f'[[pulled]]\nname = "{self.mode}"\ntls = "{self.mode}"\nhost = "127.0.0.1"\n'
            f"port = {self.port}\n"
            f'user = "camera"\npassword = {{ file = "{password}" }}\nfolder = "/rec"\n'
            f'certificate = "{certificate}"\n'
        )

    def fetched(self) -> int:
        """How many files were fetched from here."""
        return len(re.findall(r"RETR .* completed=1", self.log.read_text()))


def new_certificate(path: Path) -> None:
    """Such as a device makes itself: for a name that it is not reached by."""
    words = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]
    command = ["openssl", "req", *words, "-subj", "/CN=camera", "-keyout", "-", "-out", "-"]
    path.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)


@pytest.fixture
def cameras(house: House) -> Iterator[list[Camera]]:
    """One with either kind of TLS."""
    found = [Camera(house.root, mode) for mode in ("explicit", "implicit")]
    yield found
    for camera in found:
        camera.stop()


def test_pulled_folders_are_in_the_set(house: House, cameras: list[Camera], tmp_path: Path) -> None:
    """Of two machines; then again, when little has changed there; then one cannot be trusted any more."""
    password = house.root / "camera.password"
    password.write_text(f"{PASSWORD}\n")

    def configure() -> None:
        tables = "".join(camera.table(house.root / f"{camera.mode}.pem", password) for camera in cameras)
        house.configure('volume_size = "1M"')
        house.config.write_text(house.config.read_text() + tables)

    def compare(name: str, expect: int = 0) -> dict[str, list[bytes]]:
        """Restore, and see what is not as it is on the machines."""
        to = tmp_path / name
        house.restore(to, "--path", PLACE, expect=expect)
        found = {}
        for camera in cameras:
            there, back = content(camera.folder / "rec"), content(to / camera.mode)
            found[camera.mode] = sorted(
                key for key in there.keys() | back if there.get(key) != back.get(key)
            )
        return found

    configure()
    facts = house.backup()
    assert facts["failed_sources"] == {}
    assert compare("first") == {"explicit": [], "implicit": []}
    wait_until(lambda: [camera.fetched() for camera in cameras] == [2, 2], "all of it was fetched")

    for camera in cameras:
        (camera.folder / "rec" / "one.jpg").write_bytes(os.urandom(2000))
        (camera.folder / "rec" / "new.jpg").write_bytes(os.urandom(2000))
        (camera.folder / "rec" / "deep folder" / 'two "x".jpg').unlink()
    assert house.backup()["type"] == "inc"
    assert compare("second") == {"explicit": [], "implicit": []}
    wait_until(lambda: [camera.fetched() for camera in cameras] == [4, 4], "only what changed is fetched")

    # Another certificate than the pinned one here, nobody there: both stay as they were fetched last.
    (cameras[0].folder / "rec" / "newer.jpg").touch()
    cameras[0].stop()
    pinned = cameras[0].certificate.read_bytes()
    new_certificate(cameras[0].certificate)
    cameras[0].start()
    cameras[0].certificate.write_bytes(pinned)
    cameras[1].stop()
    configure()
    done = run("backup", "--config", house.config, expect=3)
    assert re.search(
        rf"not whole in this backup: {PLACE}/explicit: lftp .*certificate", done.stdout, re.I
    )
    assert f"not whole in this backup: {PLACE}/implicit: lftp " in done.stdout
    assert PASSWORD not in done.stdout + (house.state / "duplicity.log").read_text()
    assert compare("third", expect=3) == {"explicit": [b"newer.jpg"], "implicit": []}
    assert "certificate" in (tmp_path / "third" / "explicit.failed").read_text().lower()


def content(root: Path) -> dict[bytes, str]:
    """The files below a folder: FTP tells no more of them than what is in them."""
    return {name: entry.content for name, entry in describe(root).items() if entry.type == "-"}


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ('user = "u"\npassword = "p"', "key `pulled[1].host` is missing"),
        (
            'host = "a b"\nuser = "u"\npassword = "p"',
            "key `pulled[1].host`: expected the name or address",
        ),
        ('host = "-x"\nuser = "u"\npassword = "p"', "key `pulled[1].host`: expected the name or address"),
        ('host = "h"\nuser = "u"', "key `pulled[1].password` is missing"),
        ('host = "h"\nuser = "u"\npassword = { f = "x" }', "key `pulled[1].password`: expected one of"),
        ('host = "h"\nuser = "u"\npassword = "p"\ntls = "none"', "key `pulled[1].tls`: expected"),
        ('host = "h"\nuser = "u"\npassword = "p"\nfolder = "rec"', "key `pulled[1].folder`: expected"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, lines: str, error: str) -> None:
    path = tmp_path / "client.toml"
    path.write_text(f'[[pulled]]\nname = "n"\n{lines}\n')
    with pytest.raises(ConfigurationError, match=re.escape(error)):
        load_sources(load(path, "client configuration", "a hint"))
