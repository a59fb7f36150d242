"""Very many paths to tell of: what a restore remembers of them does not grow with their number."""

import json
import tarfile
from pathlib import Path

from nightdrop.engine.tars import BLOCK, plain_header, plain_owner
from nightdrop.supplement import FORMAT
from restore.forging import STEM, forge, member, seal, write_receipt

from house import HOST, Key
from mirrors import NIGHTDROP
from processes import memory_of_all

MANY = 100_000
MOST = 160_000_000
"""Octets of memory: what a restore of next to nothing takes, all its processes together, and more."""


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


def restored(vault: Path, to: Path, key: Key, expect: int) -> tuple[str, int]:
    """What a restore says as JSON, and the memory that it took."""
    words = ["restore", "run", vault, "--host", HOST, "--to", to, "--json", *key.arguments]
    said = to.with_suffix(".json")
    script = f'"$@" >{said}; [ $? = {expect} ]'
    memory = memory_of_all(["sh", "-c", script, "sh", *NIGHTDROP, *map(str, words)])
    return said.read_text(), memory


def test_lost_files(admin_key: Key, tmp_path: Path) -> None:
    """All in one volume that is lost: each is named."""
    vault = tmp_path / "vault"
    forge(vault, admin_key, [], signatures(b"x"))
    seal(vault / HOST / f"{STEM}.vol1.difftar.p7m", admin_key, b"another")
    said, memory = restored(vault, tmp_path / "to", admin_key, expect=3)
    told = json.loads(said)
    assert set(told["unrestored"]) == {name(number).decode() for number in range(MANY)}
    assert memory < MOST


def test_names_of_one_file(admin_key: Key, tmp_path: Path) -> None:
    """Of which there is none: a supplement may say anything."""
    vault = tmp_path / "vault"
    forge(vault, admin_key, [(member("snapshot/", tarfile.DIRTYPE, 0o755), b"")])
    names = [name(number).decode() for number in range(10 * MANY)]
    supplement = json.dumps({"format": FORMAT, "hard_links": [names], "sparse": names[:10]})
    seal(vault / HOST / f"{STEM}.supplement.p7m", admin_key, supplement.encode())
    write_receipt(vault / HOST, "duplicity", "full", STEM)
    said, memory = restored(vault, tmp_path / "to", admin_key, expect=0)
    assert json.loads(said)["warnings"] == []
    assert memory < MOST
