"""Very many paths to tell of."""

import json
import tarfile
from pathlib import Path

from nightdrop.engine.tars import BLOCK, plain_header, plain_owner
from restore.forging import STEM, forge, seal

from house import HOST, Key, run

MANY = 10_000


def name(number: int) -> bytes:
    return b"folder/file-%06d" % number


def signatures(content: bytes) -> bytes:
    """Those of very many files, in a folder; what is in them nobody reads."""
    owner = plain_owner(0, 0, "root", "root")
    assert owner is not None
    padded = content + bytes(-len(content) % BLOCK)

    def entry(path: bytes, type_of_it: bytes, octets: bytes) -> bytes:
        header = plain_header(
            path, type_of_it, owner, mode=0o755, size=len(octets), modified=1_700_000_000, link=b""
        )
        assert header is not None
        return header + (padded if octets else b"")

    parts = [entry(b"snapshot/" + path, tarfile.DIRTYPE, b"") for path in (b"", b"folder")]
    parts += [entry(b"signature/" + name(n), tarfile.REGTYPE, content) for n in range(MANY)]
    return b"".join(parts) + bytes(tarfile.RECORDSIZE)


def test_lost_files(admin_key: Key, tmp_path: Path) -> None:
    """All in one volume that is lost: each is named, once."""
    vault = tmp_path / "vault"
    forge(vault, admin_key, [], signatures(b"x"))
    seal(vault / HOST / f"{STEM}.vol1.difftar.p7m", admin_key, b"another")
    words = ["restore", "run", vault, "--host", HOST, "--to", tmp_path / "to", *admin_key.arguments]
    told = json.loads(run(*words, "--json", expect=3).stdout)
    assert list(told["unrestored"]) == [name(number).decode() for number in range(MANY)]
