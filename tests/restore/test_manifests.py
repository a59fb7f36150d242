"""What is read of a manifest, in whatever pieces it comes, and that no other is kept."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.keyring import BOUNDED
from nightdrop.errors import EnvelopeError
from nightdrop_restore.manifests import VolumeNumbers
from restore.forging import STEM, forge, member, seal

from house import HOST, Key, complaint, run

MANIFEST = b"Hostname web1\nLocaldir /\n" + b"".join(
    b'Volume %d:\n    StartingPath "Volume 7:"\n    EndingPath   b\n    Hash SHA1 0\n' % number
    for number in (1, 2, 30)
)


@BOUNDED
@given(st.lists(st.integers(0, len(MANIFEST))))
def test_in_pieces(cuts: list[int]) -> None:
    found = VolumeNumbers()
    ends = [0, *sorted(cuts), len(MANIFEST)]
    for start, end in pairwise(ends):
        found.write(MANIFEST[start:end])
    assert found.numbers == [1, 2, 30]


@pytest.mark.parametrize(
    ("piece", "times"),
    [(bytes(100_000), 100), (bytes(99_999) + b"\n", 2700), (b"Volume 1:\n" * 10_000, 101)],
    ids=["a line", "lines", "volumes"],
)
def test_bounds(piece: bytes, times: int) -> None:
    found = VolumeNumbers()
    with pytest.raises(EnvelopeError, match="no manifest"):
        for _ in range(times):
            found.write(piece)


def test_zeros_without_end(admin_key: Key, tmp_path: Path) -> None:
    """Such an envelope is small where it lies."""
    forge(tmp_path / "vault", admin_key, [(member("snapshot/file"), b"content")])
    folder = tmp_path / "vault" / HOST
    (folder / f"{STEM}.receipt.json").unlink()
    seal(folder / f"{STEM}.manifest.p7m", admin_key, bytes(100_000_000))
    words = ["--host", HOST, "--to", tmp_path / "to", *admin_key.arguments]
    error, _hint = complaint(run("restore", "run", tmp_path / "vault", *words, expect=1))
    assert error.endswith(
        f"{STEM}.manifest.p7m: what is in it is no manifest, or longer than any could be"
    )
