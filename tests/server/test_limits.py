"""Quota, reserve and longest file: each with its answer, and nothing kept of what was too much."""

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mirrors import Mirror, Reply, new_name


@pytest.fixture(scope="module")
def limited(recipient: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Mirror, Path]]:
    """Files of 3 MB at most; web1 may keep 5 MB."""
    folder = tmp_path_factory.mktemp("limited")
    with Mirror(folder, "limited", [recipient], tls=False, limits={"max_file": "3M"}).start() as mirror:
        mirror.enroll("web1", folder / "web1.toml", "--quota", "5M")
        yield mirror, folder / "web1.toml"


def put(mirror: Mirror, bundle: Path, size: int, *, chunked: bool) -> Reply:
    body = b"x" * size
    fields = mirror.credentials(bundle)
    if not chunked:
        return mirror.ask("PUT", f"/web1/{new_name()}", body, fields)
    connection = mirror.connection()
    pieces = (body[at : at + 100_000] for at in range(0, size, 100_000))
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.request("PUT", f"/web1/{new_name()}", pieces, headers=fields, encode_chunked=True)
    response = connection.getresponse()
    return Reply(response.status, {}, response.read())


@pytest.mark.parametrize("chunked", [False, True])
def test_too_long_a_file(limited: tuple[Mirror, Path], chunked: bool) -> None:
    mirror, bundle = limited
    before = mirror.stored("web1")
    answer = put(mirror, bundle, 3_000_001, chunked=chunked)
    assert answer.status == 413
    assert b"3.0 MB" in answer.body
    assert mirror.stored("web1") == before


@pytest.mark.parametrize("chunked", [False, True])
def test_quota(limited: tuple[Mirror, Path], chunked: bool) -> None:
    mirror, bundle = limited
    for path in (mirror.vault / "web1").iterdir():
        path.unlink()
    assert put(mirror, bundle, 2_900_000, chunked=False).status == 201
    before = mirror.stored("web1")
    answer = put(mirror, bundle, 2_200_000, chunked=chunked)
    assert answer.status == 507
    assert b"quota of web1" in answer.body
    assert mirror.stored("web1") == before
    assert put(mirror, bundle, 2_000_000, chunked=chunked).status == 201


def test_reserve(recipient: Path, tmp_path: Path) -> None:
    """A disk that has no more free than the reserve takes nothing."""
    with Mirror(tmp_path, "full", [recipient], tls=False, limits={"reserve": "1000T"}).start() as mirror:
        bundle = tmp_path / "web1.toml"
        mirror.enroll("web1", bundle)
        for chunked in (False, True):
            answer = put(mirror, bundle, 1000, chunked=chunked)
            assert answer.status == 507
            assert b"disk of full is full" in answer.body
        assert mirror.stored("web1") == {}


def test_uploads_at_once(recipient: Path, tmp_path: Path) -> None:
    """A host that has too many uploads under way is told so; another host is not concerned."""
    with (
        Mirror(tmp_path, "busy", [recipient], tls=False, limits={"requests": 3}).start() as mirror,
        ExitStack() as stack,
    ):
        bundles = [tmp_path / "web1.toml", tmp_path / "web2.toml"]
        for bundle in bundles:
            mirror.enroll(bundle.stem, bundle)
        [credentials] = mirror.credentials(bundles[0]).values()
        for _ in range(3):
            sock = stack.enter_context(mirror.connect())
            head = f"Host: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\nAuthorization: {credentials}"
            sock.sendall(f"PUT /web1/{new_name()} HTTP/1.1\r\n{head}\r\n\r\n".encode())
            assert sock.recv(100).startswith(b"HTTP/1.1 100 ")
        answers = [
            mirror.ask("PUT", f"/{bundle.stem}/{new_name()}", b"x", mirror.credentials(bundle))
            for bundle in bundles
        ]
        assert [answer.status for answer in answers] == [503, 201]
        assert answers[0].fields["retry-after"] == "10"
        assert answers[0].body.startswith(b"web1 has 3 ")
        assert answers[0].body.endswith(b" under way already\n")


def test_folder_that_went_away(recipient: Path, tmp_path: Path) -> None:
    """A disk that is not mounted: the mirror says that it is unwell, and makes no folder of its own."""
    with Mirror(tmp_path, "gone", [recipient], tls=False).start() as mirror:
        bundle = tmp_path / "web1.toml"
        mirror.enroll("web1", bundle)
        mirror.vault.rename(tmp_path / "elsewhere")
        for method in ("PUT", "PROPFIND"):
            fields = mirror.credentials(bundle) | {"Depth": "1"}
            assert mirror.ask(method, f"/web1/{new_name()}", b"", fields).status in (404, 503)
        assert not mirror.vault.exists()
        assert "Traceback" not in mirror.log.read_text()
