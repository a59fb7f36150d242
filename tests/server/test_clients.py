"""Stock clients work at the door: curl with a file and with a pipe, requests, and a strict TLS stack."""

import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest
import requests
from cryptography import x509

from nightdrop_server.conversation import LINGER

from mirrors import Served, basic, environment_without_proxies, new_name


def curl(served: Served, *arguments: str, octets: bytes = b"") -> tuple[int, bytes]:
    """curl as web1; the last answer's status and its body."""
    password = served.mirror.password(served.bundles["web1"])
    trust = ["--cacert", str(served.mirror.certificate)] if served.mirror.tls else []
    done = subprocess.run(
        ["curl", "-sS", *trust, "-u", f"web1:{password}", "-w", "\n%{http_code}", *arguments],
        input=octets,
        capture_output=True,
        check=True,
        env=environment_without_proxies(),
    )
    body, _, status = done.stdout.rpartition(b"\n")
    return int(status), body


def test_curl_sends_a_file(served: Served, tmp_path: Path) -> None:
    file, name = tmp_path / "file", new_name()
    file.write_bytes(b"volume" * 500_000)
    assert curl(served, "-T", str(file), f"{served.mirror.url}/web1/{name}")[0] == 201
    assert curl(served, "-T", str(file), f"{served.mirror.url}/web1/{name}")[0] == 204
    assert served.mirror.stored("web1")[name] == file.read_bytes()


def test_curl_sends_into_a_folder(served: Served, tmp_path: Path) -> None:
    file = tmp_path / new_name()
    file.write_bytes(b"volume")
    assert curl(served, "-T", str(file), f"{served.mirror.url}/web1/")[0] == 201
    assert served.mirror.stored("web1")[file.name] == b"volume"


def test_curl_sends_a_pipe(served: Served) -> None:
    name, octets = new_name(), b"stream" * 500_000
    assert curl(served, "-T", "-", f"{served.mirror.url}/web1/{name}", octets=octets)[0] == 201
    assert served.mirror.stored("web1")[name] == octets
    status, body = curl(served, "-T", "-", f"{served.mirror.url}/web1/{name}", octets=b"x" + octets)
    assert (status, body.count(b"\n")) == (409, 1)
    assert b"taken" in body


def test_curl_wrong_password_with_a_body(served: Served, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 20_000_000)
    status, body = curl(
        served, "-u", "web1:wrong", "-T", str(file), f"{served.mirror.url}/web1/{new_name()}"
    )
    assert (status, body) == (401, b"wrong user or password\n")


def test_curl_knows_no_other_certificate(https: Served, tmp_path: Path) -> None:
    done = subprocess.run(
        ["curl", "-sS", f"{https.mirror.url}/web1/"],
        capture_output=True,
        check=False,
        env=environment_without_proxies(),
    )
    assert done.returncode == 60


def test_requests_keeps_its_connection(served: Served) -> None:
    session = requests.Session()
    session.trust_env = False
    session.auth = ("web1", served.mirror.password(served.bundles["web1"]))
    session.verify = str(served.mirror.certificate) if served.mirror.tls else False
    names = [new_name() for _ in range(3)]
    for name in names:
        assert session.put(f"{served.mirror.url}/web1/{name}", data=b"x").status_code == 201
    listing = session.request("PROPFIND", f"{served.mirror.url}/web1/", headers={"Depth": "1"})
    assert all(name in listing.text for name in names)
    assert session.get(f"{served.mirror.url}/web1/{names[0]}").status_code == 405


@pytest.mark.parametrize("flags", [0, ssl.VERIFY_X509_STRICT, ssl.VERIFY_X509_STRICT | 0x80000])
def test_certificate_is_anchor_and_leaf_for_strict_verifiers(https: Served, flags: int) -> None:
    """Python 3.13 verifies with VERIFY_X509_STRICT and VERIFY_X509_PARTIAL_CHAIN."""
    context = https.mirror.tls_context()
    context.verify_flags |= flags
    with (
        socket.create_connection((https.mirror.address, https.mirror.port)) as sock,
        context.wrap_socket(sock, server_hostname=https.mirror.address) as tls,
    ):
        assert tls.version() in ("TLSv1.2", "TLSv1.3")


def test_openssl_verifies_the_certificate_strictly(https: Served) -> None:
    path = str(https.mirror.certificate)
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", path, path]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.endswith(": OK\n")


@pytest.mark.parametrize("refusal", ["taken", "bad name"])
def test_client_that_sends_all_before_it_reads_learns_why(served: Served, refusal: str) -> None:
    """As http.client does, which duplicity's own backend uses: the answer is not lost in a reset."""
    name = new_name()
    served.put(name, b"first")
    path = "/web1/notes.txt" if refusal == "bad name" else f"/web1/{name}"
    answer = served.mirror.ask("PUT", path, b"x" * 30_000_000, served.fields())
    assert answer.status == {"taken": 409, "bad name": 403}[refusal]


def test_stranger_that_sends_all_before_it_reads_learns_why(served: Served) -> None:
    """If it takes no longer than a stranger is waited for: a busy machine gets it several times."""
    for _ in range(20):
        begun = time.monotonic()
        try:
            answer = served.mirror.ask(
                "PUT", f"/web1/{new_name()}", b"x" * 30_000_000, basic("web1", "wrong")
            )
        except OSError:
            assert time.monotonic() - begun > LINGER
        else:
            assert answer.status == 401
            return
    raise AssertionError(f"30 MB never were sent within {LINGER} s")


def test_a_host_that_pauses_learns_why(served: Served) -> None:
    """A slow link, or a machine that is busy: for longer than a stranger is waited for."""
    head = "".join(f"{name}: {value}\r\n" for name, value in served.fields().items())
    with served.mirror.connect() as sock:
        sock.sendall(
            f"PUT /web1/notes.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 30000000\r\n{head}\r\n".encode()
        )
        time.sleep(LINGER + 1)
        for _ in range(30):
            sock.sendall(b"x" * 1_000_000)
        assert sock.recv(4096).startswith(b"HTTP/1.1 403 ")


def test_an_address_is_among_the_names_of_the_certificate(https: Served) -> None:
    """mbedTLS 2.28, with which many a router's curl is built, knows no addresses."""
    san = x509.SubjectAlternativeName
    certificate = x509.load_pem_x509_certificate(https.mirror.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(san).value
    assert names.get_values_for_type(x509.DNSName) == [https.mirror.address]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == [https.mirror.address]
