"""Very many paths to tell of: more than memory should hold."""

import json
import tarfile
from pathlib import Path

from restore.forging import STEM, forge, member, seal, tar

from house import HOST, Key
from mirrors import NIGHTDROP
from processes import memory_of_all

MANY = 12_000
MOST_MEMORY = 95_000_000
"""All processes of this restore have 76 MB together, and the names are 36 MB, wherever they are kept."""

FOLDERS = "/".join([letter * 250 for letter in "abcdefghijkl"])


def name(number: int) -> str:
    return f"{FOLDERS}/file-{number:06}"


def signatures() -> bytes:
    """Those of very many files, in a folder that is deep; what is in them nobody reads."""
    above = [FOLDERS[:end] for end in range(250, len(FOLDERS) + 1, 251)]
    folders = [member(f"snapshot/{path}", tarfile.DIRTYPE, 0o755) for path in ("", *above)]
    files = [member(f"signature/{name(number)}") for number in range(MANY)]
    return tar([*((one, b"") for one in folders), *((one, b"x") for one in files)])


def test_lost_files(admin_key: Key, tmp_path: Path) -> None:
    """All in one volume that is lost: each is named, once, and none is kept in memory."""
    vault = tmp_path / "vault"
    forge(vault, admin_key, [], signatures())
    seal(vault / HOST / f"{STEM}.vol1.difftar.p7m", admin_key, b"another")
    words = ["restore", "run", vault, "--host", HOST, "--to", tmp_path / "to", *admin_key.arguments]
    with (tmp_path / "told.json").open("wb") as out:
        memory = memory_of_all([*NIGHTDROP, *words, "--json"], out, expect=3)
    told = json.loads((tmp_path / "told.json").read_bytes())
    assert list(told["unrestored"]) == [name(number) for number in range(MANY)]
    assert memory < MOST_MEMORY
