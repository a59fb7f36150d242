"""The htpasswd file, asked directly: what it lets in, and that refusing is the same work for all."""

import math
import time
from pathlib import Path

import bcrypt
import pytest

from nightdrop_server import passwords
from nightdrop_server.passwords import Passwords, hash_password, new_password, parse_htpasswd

HERE = "192.0.2.1"


@pytest.fixture
def htpasswd(tmp_path: Path) -> Path:
    path = tmp_path / "htpasswd"
    path.write_bytes(b"web1:" + hash_password("right") + b"\n")
    return path


def test_right_and_wrong(htpasswd: Path) -> None:
    known = Passwords(htpasswd)
    assert known.right("web1", "right", HERE)
    assert not known.right("web1", "wrong", HERE)
    assert not known.right("web2", "right", HERE)
    assert not known.right("", "", HERE)
    assert not known.right("web1", "", HERE)


def test_a_right_answer_is_remembered_and_forgotten_with_the_line(htpasswd: Path) -> None:
    known = Passwords(htpasswd)
    assert known.right("web1", "right", HERE)
    started = time.thread_time()
    for _ in range(100):
        assert known.right("web1", "right", HERE)
    assert time.thread_time() - started < 0.5, "each of these would have been worked out again"
    htpasswd.write_bytes(b"web1:" + hash_password("new") + b"\n")
    assert not known.right("web1", "right", HERE)
    assert known.right("web1", "new", HERE)
    htpasswd.unlink()
    assert not known.right("web1", "new", HERE)


def test_lines_of_htpasswd_itself(htpasswd: Path) -> None:
    """What `htpasswd -B` writes is bcrypt, marked $2y$; every other kind lets nobody in."""
    stored = bcrypt.hashpw(b"right", bcrypt.gensalt(5)).replace(b"$2b$", b"$2y$")
    lines = [
        b"web1:" + stored,
        b"web2:$apr1$abc$xyz",
        b"web3:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=",
        b"web4:right",
        b"web5:",
        b"web6",
        b"# web7:" + stored,
        b":" + stored,
    ]
    htpasswd.write_bytes(b"\n".join(lines))
    assert set(parse_htpasswd(htpasswd.read_bytes())) == {"web1", "# web7", ""}
    known = Passwords(htpasswd)
    assert known.right("web1", "right", HERE)
    for host in ("web2", "web3", "web4", "web5", "web6"):
        assert not known.right(host, "right", HERE)


def test_no_new_password_looks_like_an_option() -> None:
    """Programs are given it as a word of its own; one in 64 would begin with a hyphen."""
    made = {new_password() for _ in range(3000)}
    assert len(made) == 3000
    assert not any(password.startswith("-") for password in made)
    assert {len(password) for password in made} == {43}


@pytest.mark.parametrize("password", ["x" * 73, "x" * 100_000, "a\0b", "\udcff", "é" * 40])
def test_odd_passwords_are_only_wrong(htpasswd: Path, password: str) -> None:
    assert not Passwords(htpasswd).right("web1", password, HERE)


def test_unknown_users_cost_the_same_work(htpasswd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the time of an answer would say which hosts are enrolled.

    Counted is the processor's time, which other work on this machine does not change.
    """
    monkeypatch.setattr(passwords, "FAILURE_DELAY", 0)
    htpasswd.write_bytes(b"web1:" + hash_password("right", 11) + b"\n")
    known = Passwords(htpasswd)

    least = dict.fromkeys(("web1", "web2", "web3" * 1000), math.inf)
    # A processor that is shared only ever adds to it, so the least of many tries is the work itself.
    for number in range(40):
        for user in least:
            started = time.thread_time()
            known.right(user, f"wrong {number}", HERE)
            least[user] = min(least[user], time.thread_time() - started)
        if number >= 2 and max(least.values()) < 1.6 * min(least.values()):
            return
    raise AssertionError(f"they never cost the same: {list(least.values())}")
