"""What stands in for parts of duplicity in a restore does what the original does."""

import io
import os
import tarfile
from dataclasses import dataclass

import pytest
from duplicity import patchdir, tempdir
from hypothesis import given
from hypothesis import strategies as st

from core.keyring import BOUNDED
from nightdrop_restore.engine import substitutions


@dataclass(frozen=True)
class Path:
    """As much of a path as matters: its place in the order, and the set that it is from."""

    index: tuple[bytes, ...]
    number: int


orders = st.lists(
    st.lists(st.binary(min_size=1, max_size=2), unique=True, max_size=12).map(sorted),
    min_size=1,
    max_size=5,
)


@BOUNDED
@given(orders)
def test_sets_are_collated_alike(wanted: list[list[bytes]]) -> None:
    sets = [[Path((name,), number) for name in names] for number, names in enumerate(wanted)]
    ours = list(substitutions._collated([iter(paths) for paths in sets]))
    theirs = patchdir.collate_iters([iter(paths) for paths in sets])
    assert ours == [tuple(filter(None, found)) for found in theirs]


@pytest.mark.parametrize("kind", ["snapshot", "diff", "deleted", "multivol_snapshot", "multivol_diff"])
@pytest.mark.parametrize("name", ["", ".", "a", "a/b c", "a\n/b", "\udcff", "a/12", "..", "a/../b"])
def test_names_are_read_alike(kind: str, name: str) -> None:
    member = tarfile.TarInfo(f"{kind}/{name}" + ("/3" if kind.startswith("multivol") else ""))
    assert outcome(substitutions._index, member) == outcome(patchdir.get_index_from_tarinfo, member)


def outcome(read: object, member: tarfile.TarInfo) -> object:
    try:
        return read(member)
    except patchdir.PatchDirException as error:
        return str(error)


@pytest.mark.parametrize(
    "octets", [0, 1, substitutions._IN_MEMORY - 1, substitutions._IN_MEMORY, 9_000_000]
)
def test_a_delta_has_all_of_its_basis(octets: int) -> None:
    """In memory or, where it is large, on disk."""
    content = os.urandom(octets)
    basis = substitutions._basis(io.BytesIO(content))
    assert basis.read() == content
    in_memory = "memfd" in os.readlink(f"/proc/self/fd/{basis.fileno()}")
    assert in_memory == (octets < substitutions._IN_MEMORY)
    basis.close()
    tempdir.default().cleanup()
