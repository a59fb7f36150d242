"""A real mirror for tests: its own folder, `nightdrop serve` as a process of its own, a real socket."""

import base64
import hashlib
import http.client
import io
import itertools
import os
import select
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import tomli_w
from cryptography.hazmat.primitives.asymmetric import ec

from certificates import make_certificate, to_pem
from nightdrop import cli
from nightdrop.enrolment import load_bundle

from ports import free_port

_Found = TypeVar("_Found")

NIGHTDROP = [sys.executable, "-m", "nightdrop"]
PATIENCE = 180.0
"""Seconds that anything may take here: what takes longer on a busy machine, too, never happens."""

AT_ONCE = 32
"""How many requests a host may have under way, unless mirror.toml says otherwise."""

TIMES = int(os.environ.get("NIGHTDROP_TEST_TIMES", "1"))
"""How many times as often as usual to repeat what depends on chance: kills, races, connections."""


@dataclass(frozen=True)
class Reply:
    """An answer: names of header fields in lower case."""

    status: int
    fields: dict[str, str]
    body: bytes


class Mirror:
    """A mirror in FOLDER/NAME. `limits` goes into its configuration; no disk is reserved unless said."""

    def __init__(
        self,
        folder: Path,
        name: str,
        recipients: list[Path],
        tls: bool = True,
        *,
        address: str = "127.0.0.1",
        limits: Mapping[str, str | int] | None = None,
        vault: Path | None = None,
        url_path: str = "",
    ) -> None:
        self.root = folder / name
        self.root.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.tls = tls
        self.address = address
        self.port = free_port(address)
        shown = f"[{address}]" if ":" in address else address
        self.url = f"{'https' if tls else 'http'}://{shown}:{self.port}{url_path}"
        self.config = self.root / "mirror.toml"
        self.state = self.root / "state"
        self.vault = vault or self.root / "vault"
        self.certificate = self.state / "tls.crt"
        self.ledger = self.state / "ledger.sqlite"
        self.log = self.root / "log"
        self.process: subprocess.Popen[str] | None = None
        self.ready_line = ""
        self.config.write_text(
            tomli_w.dumps(
                {
                    "name": name,
                    "vault": str(self.vault),
                    "state": str(self.state),
                    "listen": f"{shown}:{self.port}",
                    "url": self.url,
                    "tls": tls,
                    "recipients": [str(path.resolve()) for path in recipients],
                    "limits": {"reserve": "0", **(limits or {})},
                }
            )
        )

    def start(self) -> Self:
        """Start `nightdrop serve` and wait until it is ready."""
        self.spawn()
        self.wait_until_ready()
        return self

    def spawn(self) -> None:
        """Start `nightdrop serve`."""
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*NIGHTDROP, "serve", "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def wait_until_ready(self) -> None:
        """Wait until a mirror that was started says that it is ready."""
        assert self.process is not None
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        self.ready_line = self.process.stdout.readline() if readable else ""
        if not self.ready_line:
            self.kill()
            raise AssertionError(f"mirror {self.name} did not start: {self.log.read_text()}")

    def stop(self) -> None:
        """Ask it to stop, and see that it does so cleanly."""
        status = self._end(signal.SIGTERM)
        assert status == 0, f"mirror {self.name} ended with {status}: {self.log.read_text()[-2000:]}"

    def kill(self) -> None:
        """Kill it, as a pulled plug would."""
        self._end(signal.SIGKILL)

    def enroll(self, host: str, bundle: Path, *arguments: str) -> None:
        """Enrol a host here; its bundle is made, or added to.

        The real command, but within this process: almost every test begins with it.
        """
        words = ["enroll", host, "--config", str(self.config), "-o", str(bundle), *arguments]
        with redirect_stdout(io.StringIO()):
            assert cli.run(words) == 0

    def knows(self, bundle: Path) -> None:
        """Have it work out a host's password: on a busy machine not everybody waits for that who comes
        at the same time.
        """
        host = load_bundle(bundle).host
        assert self.ask("OPTIONS", f"/{host}/", None, self.credentials(bundle)).status == 200

    @contextmanager
    def upload_under_way(self, bundle: Path) -> Iterator[socket.socket]:
        """A connection on which a host has sent the first half of a million octets."""
        fields = self.credentials(bundle) | {"Expect": "100-continue"}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        place = f"/{load_bundle(bundle).host}/{new_name()}"
        with self.connect() as sock:
            sock.sendall(
                f"PUT {place} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n{head}\r\n".encode()
            )
            assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n", "it is under way"
            sock.sendall(b"x" * 500_000)
            yield sock

    def password(self, bundle: Path) -> str:
        """The password for this mirror in a bundle."""
        [password] = [m.password for m in load_bundle(bundle).mirrors if m.name == self.name]
        return password

    def credentials(self, bundle: Path) -> dict[str, str]:
        """The header field that lets the bundle's host in here."""
        return basic(load_bundle(bundle).host, self.password(bundle))

    def stored(self, host: str) -> dict[str, bytes]:
        """What the host has in the vault: name to content."""
        return {path.name: path.read_bytes() for path in sorted((self.vault / host).iterdir())}

    def tls_context(self) -> ssl.SSLContext:
        """TLS pinned to this mirror's certificate."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def connect(self, timeout: float = PATIENCE) -> socket.socket:
        """A connected socket, over TLS if the mirror speaks it."""
        with self._refusals_explained():
            plain = socket.create_connection((self.address, self.port), timeout=timeout)
        return self.tls_context().wrap_socket(plain, server_hostname=self.address) if self.tls else plain

    def connection(self, timeout: float = PATIENCE) -> http.client.HTTPConnection:
        """An http.client connection to it."""
        if self.tls:
            return http.client.HTTPSConnection(
                self.address, self.port, timeout=timeout, context=self.tls_context()
            )
        return http.client.HTTPConnection(self.address, self.port, timeout=timeout)

    def ask(
        self, method: str, path: str, body: bytes | None = None, fields: Mapping[str, str] | None = None
    ) -> Reply:
        """One request on a connection of its own."""
        connection = self.connection()
        try:
            with self._refusals_explained():
                connection.request(method, path, body=body, headers=dict(fields or {}))
            return reply(connection.getresponse())
        finally:
            connection.close()

    @contextmanager
    def _refusals_explained(self) -> Iterator[None]:
        """Where nobody listens: whether the process is there, or how it ended, and what it said last."""
        try:
            yield
        except ConnectionRefusedError as error:
            status = self.process.poll() if self.process else "not started"
            said = self.log.read_text()[-2000:] if self.log.exists() else ""
            why = f"{error.strerror} by mirror {self.name} (exit status {status}): {said}"
            raise ConnectionRefusedError(error.errno, why) from error

    def memory(self) -> int:
        """How much memory the process has in use, in octets."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        [kib] = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
        return int(kib) * 1024

    def uploads(self) -> int:
        """How many files without a name it has open, which are those that are being dropped."""
        return sum(link.endswith("(deleted)") for link in self._open_files())

    def sockets(self) -> int:
        """How many sockets it has open: some of its own, and one a connection."""
        return sum(link.startswith("socket:") for link in self._open_files())

    def _open_files(self) -> list[str]:
        assert self.process is not None
        links = []
        for path in Path(f"/proc/{self.process.pid}/fd").iterdir():
            # Some are closed while we look.
            with suppress(FileNotFoundError):
                links.append(os.readlink(path))
        return links

    def __enter__(self) -> Self:
        return self.start() if self.process is None else self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None:
            self.stop() if kind is None else self.kill()

    def _end(self, how: signal.Signals) -> int:
        assert self.process is not None
        process, self.process = self.process, None
        process.send_signal(how)
        status = process.wait(PATIENCE)
        assert process.stdout is not None
        process.stdout.close()
        return status


@dataclass(frozen=True)
class Served:
    """A mirror that serves, and the bundles of the hosts `web1` and `web2`."""

    mirror: Mirror
    bundles: dict[str, Path]

    def fields(self, host: str = "web1") -> dict[str, str]:
        return self.mirror.credentials(self.bundles[host])

    def put(self, name: str, body: bytes, **fields: str) -> Reply:
        """PUT as web1 in its own folder."""
        sent = self.fields() | {key.replace("_", "-"): value for key, value in fields.items()}
        return self.mirror.ask("PUT", f"/web1/{name}", body, sent)


def basic(user: str, password: str) -> dict[str, str]:
    """An Authorization field."""
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def repr_digest(octets: bytes) -> str:
    """The Repr-Digest of these bytes."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(octets).digest()).decode()}:"


def reply(response: http.client.HTTPResponse) -> Reply:
    """What a response says."""
    fields = {name.lower(): value for name, value in response.getheaders()}
    return Reply(response.status, fields, response.read())


_volumes = itertools.count(1)


def new_name() -> str:
    """A name that the door allows, another each time."""
    return f"duplicity-full.20260102T030405Z.vol{next(_volumes)}.difftar.p7m"


def make_recipient(path: Path) -> Path:
    """A recipient's certificate, for tests that never open anything: its key is forgotten."""
    key = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(to_pem(make_certificate(key, path.stem)))
    return path


def wait_until(holds: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Wait until `holds()` is true; AssertionError if it does not become so."""
    wait_for(holds, what, seconds)


def wait_for(value: Callable[[], _Found], what: str, seconds: float = PATIENCE) -> _Found:
    """Wait until `value()` is true or not empty, and return it: asked again, it may be gone."""
    end = time.monotonic() + seconds
    while not (found := value()):
        assert time.monotonic() < end, f"did not happen in {seconds} s: {what}"
        time.sleep(0.02)
    return found


def environment_without_proxies() -> dict[str, str]:
    """Our environment for programs that would send loopback through a proxy."""
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
