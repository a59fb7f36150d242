"""A disk that fails: EIO for the Nth write, sync or link of a drop, for every N that there is.

One thread takes a drop from its head to its answer.
"""

import http.client
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults import failing
from mirrors import Mirror, new_name

BODY = random.Random(5).randbytes(2_200_000)
MOST = 40


@pytest.fixture(scope="module")
def mirror(recipient: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirror]:
    folder = tmp_path_factory.mktemp("bad-disk")
    with Mirror(folder, "bad", [recipient], tls=False).start() as mirror:
        mirror.enroll("web1", mirror.root / "web1.toml")
        yield mirror


@pytest.mark.parametrize("call", ["write", "fsync,fdatasync", "linkat", "pwrite64", "openat", "fcntl"])
def test_nth_call_fails(mirror: Mirror, call: str, tmp_path: Path) -> None:
    """Whole or absent, a true answer, and the next request works, until a drop has no Nth call."""
    fields = mirror.credentials(mirror.root / "web1.toml")
    promised = []
    for number in range(1, MOST):
        name, trace = new_name(), tmp_path / f"{number}"
        with failing(mirror, call, "EIO", number, trace):
            try:
                status = mirror.ask("PUT", f"/web1/{name}", BODY, fields).status
            except (OSError, http.client.HTTPException):
                status = 0
        # Never one of those that mean the client is at fault.
        assert status in (201, 500, 503, 0), number
        stored = mirror.stored("web1").get(name)
        assert stored in (BODY, None) if status != 201 else stored == BODY, number
        again = mirror.ask("PUT", f"/web1/{name}", BODY, fields)
        assert again.status in ((201,) if stored is None else (204,)), number
        promised.append(name)
        if "INJECTED" not in trace.read_text():
            break
    else:
        raise AssertionError(f"a drop has more than {MOST} times {call}")
    assert number > 1, f"a drop never calls {call}: this test saw nothing"
    stored_now = mirror.stored("web1")
    assert all(stored_now[name] == BODY for name in promised)
    for path in (mirror.vault / "web1").iterdir():
        path.unlink()
