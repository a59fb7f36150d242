"""A mirror's listener as VAULT: everything works from it; a mirror that lies harms nobody."""

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from nightdrop.errors import VaultError
from nightdrop_restore.vaults.remote import Address, RemoteVault

from house import HOST, House, complaint, run
from nginx import folder_for_nginx, nginx
from ports import free_port
from trees import describe, differences


@dataclass(frozen=True)
class Listener:
    """A mirror's listener: directly, and over TLS; the file with its password."""

    plain: str
    tls: str
    password: Path
    certificate: Path

    @property
    def words(self) -> list[object]:
        """What makes a verb read it over TLS."""
        return [self.tls, "--certificate", self.certificate, "--password-file", self.password]


@pytest.fixture(scope="module")
def listener(made_once: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listener]:
    """The real listener. It speaks plain HTTP on loopback, so nginx stands in front for TLS."""
    mirror = made_once.mirrors[0]
    inner, outer = free_port(), free_port()
    # Who else restores from it, or comes back here, is to find it as it was.
    before = mirror.config.read_text()
    mirror.config.write_text(f'{before}[administration]\nlisten = "127.0.0.1:{inner}"\n')
    password = tmp_path_factory.mktemp("listener") / "password"
    password.write_text(run("admin-password", "--config", mirror.config).stdout)
    try:
        with folder_for_nginx() as folder:
            for path in (mirror.certificate, mirror.certificate.with_suffix(".key")):
                shutil.copy(path, folder)
            site = folder / "site.conf"
            site.write_text(
                f"server {{ listen 127.0.0.1:{outer} ssl; ssl_certificate {folder}/tls.crt;"
                f" ssl_certificate_key {folder}/tls.key;"
                f" location / {{ proxy_pass http://127.0.0.1:{inner}; }} }}\n"
            )
            with mirror, nginx(folder, site, "127.0.0.1", outer):
                yield Listener(
                    f"http://127.0.0.1:{inner}",
                    f"https://admin@127.0.0.1:{outer}",
                    password,
                    mirror.certificate,
                )
    finally:
        mirror.config.write_text(before)


def test_all_of_it_over_tls(listener: Listener, chain: House, tmp_path: Path) -> None:
    assert f"{HOST}: 2 sets" in run("restore", "list", *listener.words).stdout
    key = chain.key.arguments
    listed = run("restore", "files", *listener.words, "--host", HOST, "--find", "*.conf", *key).stdout
    assert len(listed.splitlines()) == 2
    assert "all as they should be" in run("restore", "verify", *listener.words, *key).stdout
    assert f"{HOST}: 3 of 3, " in run("restore", "drill", *listener.words, "--sample", 3, *key).stdout
    words = ["--host", HOST, "--to", tmp_path / "to", "--setuid", "--devices"]
    run("restore", "run", *listener.words, *words, *key)
    back = tmp_path / "to" / chain.source.relative_to("/")
    assert differences(describe(chain.source), describe(back)) == {}


def test_by_another_name(listener: Listener) -> None:
    """As through a tunnel: the certificate that is given counts, whatever addresses are in it."""
    address = listener.tls.replace("127.0.0.1", "localhost")
    assert f"{HOST}: 2 sets" in run("restore", "list", address, *listener.words[1:]).stdout


def test_a_folder_and_a_listener(listener: Listener, chain: House, tmp_path: Path) -> None:
    """What the folder lacks, the mirror has."""
    for volume in (chain.mirrors[0].vault / HOST).glob("*.vol1.*"):
        volume.unlink()
    words = [chain.mirrors[0].vault, listener.plain, "--password-file", listener.password, "--host", HOST]
    done = run("restore", "run", *words, "--to", tmp_path / "to", "--find", "c new", *chain.key.arguments)
    assert f"vol1.difftar.p7m taken from {listener.plain}" in done.stdout


def test_who_it_is_and_who_we_are(listener: Listener, made_once: House, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong\n")
    words = ["restore", "list", listener.tls]
    other = made_once.mirrors[1].certificate
    error, hint = complaint(
        run(*words, "--certificate", other, "--password-file", listener.password, expect=1)
    )
    assert "TLS failed" in error
    assert "--certificate" in hint
    # A certificate that nobody vouches for, and none that it must have.
    assert "TLS failed" in run(*words, "--password-file", listener.password, expect=1).stderr
    pin = ["--certificate", listener.certificate]
    error, _ = complaint(run(*words, *pin, "--password-file", wrong, expect=1))
    assert "does not accept the password of admin" in error
    error, _ = complaint(run(*words, *pin, expect=2))
    assert "needs a password for admin" in error
    # The door is not the listener.
    door = made_once.mirrors[0].url
    error, hint = complaint(run("restore", "list", door, *pin, "--password-file", wrong, expect=1))
    assert "does not accept" in error or "administrator's listener" in hint


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("http://192.0.2.1:8444", "without TLS the password would go over the network in the clear"),
        ("https://admin:secret@192.0.2.1", "a password on the command line"),
        ("https://192.0.2.1:99999", "Port out of range"),
        ("https:///vault", "is no address of a listener"),
    ],
)
def test_addresses(address: str, error: str, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("x\n")
    done = run("restore", "list", address, "--password-file", tmp_path / "password", expect=2)
    assert error in complaint(done)[0]
    assert "secret" not in done.stderr


Answer = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def liar() -> Iterator[Callable[[Answer], RemoteVault]]:
    """A mirror in an attacker's hands: it answers as each test says."""
    servers: list[ThreadingHTTPServer] = []

    def serve(answer: Answer) -> RemoteVault:
        def heard_out(request: BaseHTTPRequestHandler) -> None:
            # With octets that nobody has read, the connection would be reset, and an answer be lost.
            request.rfile.read(int(request.headers.get("Content-Length", 0)))
            answer(request)

        handler = type("Handler", (BaseHTTPRequestHandler,), {})
        for method in ("GET", "HEAD", "PROPFIND"):
            setattr(handler, f"do_{method}", heard_out)
        handler.log_message = lambda *_words: None
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return RemoteVault(Address(f"http://127.0.0.1:{server.server_port}", "admin", "secret", ""))

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def say(status: int, body: bytes = b"", **fields: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in fields.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


def multistatus(*responses: tuple[str, str]) -> bytes:
    parts = (
        f"<D:response><D:href>{href}</D:href><D:propstat><D:prop>"
        f"<D:getcontentlength>{size}</D:getcontentlength></D:prop></D:propstat></D:response>"
        for href, size in responses
    )
    return f'<D:multistatus xmlns:D="DAV:">{"".join(parts)}</D:multistatus>'.encode()


def test_no_redirect_is_followed(liar: Callable[[Answer], RemoteVault]) -> None:
    asked = []

    def elsewhere(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.headers["Authorization"])
        say(200, b"stolen")(request)

    target = liar(elsewhere)
    vault = liar(say(302, Location=f"{target.address.url}/web1/"))
    with pytest.raises(VaultError, match="it answered 302"):
        vault.hosts()
    with pytest.raises(VaultError, match="it answered 302"):
        vault.open(HOST, "duplicity-full.20260102T030405Z.manifest.p7m")
    assert asked == []


def test_only_names_that_can_exist(liar: Callable[[Answer], RemoteVault]) -> None:
    good = "duplicity-full.20260102T030405Z.manifest.p7m"
    answers = multistatus(
        ("/web1/", ""),
        (f"/web1/{good}", "12"),
        (f"/web1/%2e%2e/{good}", "12"),
        (f"/other/{good}", "12"),
        ("/web1/../../etc/passwd", "12"),
        (f"/web1/{good.replace('full', 'inc')}", "-5"),
        ("/web1/%1b[31m", "1"),
        ("/web1/x%00y", "1"),
    )
    vault = liar(say(207, answers))
    assert [(file.name, file.size) for file in vault.list(HOST)] == [(good, 12)]
    vault = liar(say(207, multistatus(("/", ""), ("/web1/", ""), ("/..%2f/", ""), ("/UP/", ""))))
    assert vault.hosts() == ["web1"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>',
        b'<D:multistatus xmlns:D="DAV:"><D:response><D:href>' + b"x" * 100_000,
        multistatus(("http://[bad/", "1")),
    ],
)
def test_listings_that_cannot_be_read(body: bytes, liar: Callable[[Answer], RemoteVault]) -> None:
    with pytest.raises(VaultError, match="its listing cannot be read"):
        liar(say(207, body)).hosts()


def test_a_file_that_is_not_as_it_was_listed(liar: Callable[[Answer], RemoteVault]) -> None:
    name = "duplicity-full.20260102T030405Z.manifest.p7m"

    def answer(request: BaseHTTPRequestHandler) -> None:
        listing = multistatus((f"/web1/{name}", "12"))
        say(207, listing)(request) if request.command == "PROPFIND" else say(200, b"x" * 500)(request)

    vault = liar(answer)
    vault.list(HOST)
    with pytest.raises(VaultError, match="it has 500 octets, and was listed with 12"):
        vault.open(HOST, name)


def test_goes_on_where_a_connection_was_lost(liar: Callable[[Answer], RemoteVault]) -> None:
    content = bytes(range(256)) * 4000
    asked = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        first = int(wanted[6:-1]) if wanted else 0
        asked.append(first)
        request.send_response(206 if wanted else 200)
        request.send_header("Content-Length", str(len(content) - first))
        request.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        request.end_headers()
        # Half of what is left, and then the line is cut.
        request.wfile.write(content[first : first + 400_000])

    with liar(answer).open(HOST, "duplicity-full.20260102T030405Z.manifest.p7m") as file:
        assert file.read() == content
    assert len(asked) > 1
    assert asked[0] == 0


def test_another_part_than_was_asked_for(liar: Callable[[Answer], RemoteVault]) -> None:
    """From its beginning again: what is read would hold that twice."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(206 if request.headers.get("Range") else 200)
        request.send_header("Content-Length", "500000")
        request.send_header("Content-Range", "bytes 0-499999/500000")
        request.end_headers()
        request.wfile.write(bytes(400_000))

    with (
        liar(answer).open(HOST, "duplicity-full.20260102T030405Z.manifest.p7m") as file,
        pytest.raises(VaultError, match="another part than it was asked for"),
    ):
        file.read()
