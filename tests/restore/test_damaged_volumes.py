"""What a damaged vault costs: the files in what is damaged, by name; never more, never silently.

NIGHTDROP_VOLUMES=all damages every volume in its turn; else, every third.
"""

import os
import re
import shutil
import subprocess
from fnmatch import fnmatch
from pathlib import Path

from house import HOST, House, complaint, run
from mirrors import NIGHTDROP
from trees import describe, differences

STEP = 1 if os.environ.get("NIGHTDROP_VOLUMES") == "all" else 3


def volumes(house: House) -> list[Path]:
    folder = house.mirrors[0].vault / HOST
    return [folder / name for name in house.names() if ".difftar." in name]


def alter(path: Path) -> None:
    octets = bytearray(path.read_bytes())
    octets[len(octets) // 2] ^= 1
    path.write_bytes(octets)


def restore(house: House, to: Path, *vaults: Path, expect: int = 0) -> str:
    words = ["--host", HOST, "--to", to, "--setuid", "--devices", *house.key.arguments]
    return run("restore", "run", *vaults, *words, expect=expect).stdout


def listed(said: str) -> set[str]:
    return set(re.findall(r"^    (.*)$", said, re.MULTILINE))


def unescaped(name: str) -> bytes:
    """A name of the tree out of a listing, where a terminal's escapes are shown."""
    return name.encode().decode("unicode_escape").encode("latin-1")


def test_each_volume_in_turn(chain: House, tmp_path: Path) -> None:
    """Lost, altered or cut off: what is listed is not there, and all else is as it was."""
    there = describe(chain.source)
    found = volumes(chain)
    assert len(found) >= 6
    for number, volume in list(enumerate(found))[1::STEP]:
        whole = volume.read_bytes()
        [volume.unlink, lambda v=volume: alter(v), lambda v=volume: os.truncate(v, 1000)][
            number // STEP % 3
        ]()
        to = tmp_path / f"restored-{number}"
        said = restore(chain, to, chain.mirrors[0].vault, expect=3)
        back = describe(to / chain.source.relative_to("/"))
        below = f"{chain.source.relative_to('/')}/"
        lost = {unescaped(name.removeprefix(below)) for name in listed(said)}
        assert volume.name in said
        assert lost, volume
        assert set(differences(there, back)) == lost, volume
        assert lost.isdisjoint(back), volume
        assert len(lost) < len(there) / 2, volume
        volume.write_bytes(whole)
        shutil.rmtree(to)


def test_under_a_path(chain: House, tmp_path: Path) -> None:
    """What is lost when it is half written is named as it was on the host, wherever it would go."""
    last = next(path for path in volumes(chain) if ".vol3." in path.name)
    last.unlink()
    name = f"{chain.source.relative_to('/')}/b large"
    for number, path in enumerate((chain.source / "b large", chain.source)):
        to = tmp_path / f"restored-{number}"
        words = ["--to", to, "--path", path, "--setuid", "--devices", *chain.key.arguments]
        words = ["restore", "run", chain.mirrors[0].vault, "--host", HOST, *words]
        said = run(*words, expect=3).stdout
        assert name in listed(said)
        assert all(each.startswith(f"{chain.source.relative_to('/')}/") for each in listed(said))
        assert not (to / "b large").exists()


def test_the_last_blocks_of_files(house: House, tmp_path: Path) -> None:
    """Volumes that begin with the last block of a file: without it, that file is not whole, either."""
    for number in range(50):
        (house.source / f"{number:02}").write_bytes(os.urandom(66_000))
    house.backup()
    there = describe(house.source)
    [_first, *others] = volumes(house)
    assert others
    for volume in others:
        whole = volume.read_bytes()
        volume.unlink()
        to = tmp_path / volume.name
        said = restore(house, to, house.mirrors[0].vault, expect=3)
        back = describe(to / house.source.relative_to("/"))
        below = f"{house.source.relative_to('/')}/"
        assert set(differences(there, back)) == {
            name.removeprefix(below).encode() for name in listed(said)
        }
        volume.write_bytes(whole)


def test_volume_and_signatures(chain: House, tmp_path: Path) -> None:
    """Then nothing tells what was in the volume: the range is said."""
    [first, *_] = volumes(chain)
    first.unlink()
    [signatures] = [name for name in chain.names() if "full-signatures" in name]
    alter(first.with_name(signatures))
    said = restore(chain, tmp_path / "to", chain.mirrors[0].vault, expect=3)
    assert re.search(r"and all between \S+ and .* may be lost or old", said)
    assert (tmp_path / "to" / chain.source.relative_to("/") / "c new").is_file()


def test_two_vaults_make_one_whole(chain: House, tmp_path: Path) -> None:
    """Every file of the chain is damaged in one of two vaults."""
    one, other = (mirror.vault for mirror in chain.mirrors)
    names = chain.names()
    assert names == chain.names(1)
    for number, name in enumerate(names):
        if name.endswith(".receipt.json"):
            continue
        path = (one if number % 2 else other) / HOST / name
        if number % 4 != 1:
            alter(path)
        else:
            path.unlink()
    said = restore(chain, tmp_path / "to", one, other)
    back = describe(tmp_path / "to" / chain.source.relative_to("/"))
    assert differences(describe(chain.source), back) == {}
    taken = re.findall(rf"^note: (\S+) taken from {other}; {one}: (.*)$", said, re.MULTILINE)
    damaged = {name for n, name in enumerate(names) if n % 2 and not name.endswith(".receipt.json")}
    not_read = ("-signatures.", ".jsonstat.", "duplicity-full.*.supplement.")
    read = {name for name in damaged if not any(fnmatch(name, f"*{part}*") for part in not_read)}
    assert {name for name, _why in taken} == read
    assert any("No such file" in why for _name, why in taken)
    assert any("altered" in why for _name, why in taken)
    listing = run("restore", "list", one, other).stdout
    assert "NOT WHOLE" not in listing
    assert "NOT WHOLE" in run("restore", "list", one).stdout


def test_a_vault_without_the_host(chain: House, tmp_path: Path) -> None:
    shutil.rmtree(chain.mirrors[0].vault / HOST)
    said = restore(chain, tmp_path / "to", *(mirror.vault for mirror in chain.mirrors))
    assert "taken from" in said
    back = describe(tmp_path / "to" / chain.source.relative_to("/"))
    assert differences(describe(chain.source), back) == {}


def test_a_receipt_on_a_bad_sector(chain: House, tmp_path: Path) -> None:
    """It is told, and stands in nobody's way; another vault has it."""
    one, other = (mirror.vault for mirror in chain.mirrors)
    receipt = next((one / HOST).glob("duplicity-full.*.receipt.json"))
    bad = ["strace", "-f", "-qq", "-o", tmp_path / "trace", "-P", receipt, "-e", "inject=read:error=EIO"]

    def on_bad_disk(*words: object) -> str:
        done = subprocess.run(
            list(map(str, [*bad, *NIGHTDROP, *words])), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "INJECTED" in (tmp_path / "trace").read_text()
        return done.stdout

    assert "NOT WHOLE: its receipt cannot be read: " in on_bad_disk("restore", "list", one)
    assert "NOT WHOLE" not in on_bad_disk("restore", "list", one, other)
    words = ["--host", HOST, "--setuid", "--devices", *chain.key.arguments]
    on_bad_disk("restore", "run", one, *words, "--to", tmp_path / "to")
    back = tmp_path / "to" / chain.source.relative_to("/")
    assert differences(describe(chain.source), describe(back)) == {}


def test_altered_manifest(chain: House, tmp_path: Path) -> None:
    """Without it, nothing can be restored: said before anything is written."""
    [manifest] = [name for name in chain.names() if "-full." in name and ".manifest." in name]
    alter(chain.mirrors[0].vault / HOST / manifest)
    words = ["--host", HOST, "--to", tmp_path / "to", *chain.key.arguments]
    error, hint = complaint(run("restore", "run", chain.mirrors[0].vault, *words, expect=1))
    assert manifest in error
    assert "another vault" in hint
    assert not (tmp_path / "to").exists()


def test_missing_manifest_of_a_finished_set(chain: House, tmp_path: Path) -> None:
    """An older state is restored, and that it is older is not kept quiet."""
    [manifest] = [name for name in chain.names() if "-inc." in name and ".manifest." in name]
    (chain.mirrors[0].vault / HOST / manifest).unlink()
    said = restore(chain, tmp_path / "to", chain.mirrors[0].vault, expect=3)
    assert f"cannot be restored: it lacks {manifest}" in said
