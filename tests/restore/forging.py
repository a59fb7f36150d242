"""A set as a machine in an attacker's hands would drop it: any tar at all, and a manifest to fit."""

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

from house import HOST, Key, run

TIME = "20260102T030405Z"
STEM = f"duplicity-full.{TIME}"


def member(
    name: str, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, **fields: object
) -> tarfile.TarInfo:
    """What stands in such a tar."""
    found = tarfile.TarInfo(name)
    found.type, found.mode, found.mtime = kind, mode, 1_700_000_000
    for field, value in fields.items():
        setattr(found, field, value)
    return found


def tar(members: Sequence[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def forge(
    vault: Path,
    key: Key,
    members: Sequence[tuple[tarfile.TarInfo, bytes]],
    signatures: bytes = tarfile.NUL * tarfile.RECORDSIZE,
) -> None:
    """Fill a vault with one full set that holds this, sealed to the key and with a receipt."""
    folder = vault / HOST
    folder.mkdir(parents=True)
    volume = f"{STEM}.vol1.difftar.p7m"
    seal(folder / volume, key, tar(members))
    digest = hashlib.sha1((folder / volume).read_bytes()).hexdigest()
    manifest = f"Hostname {HOST}\nLocaldir /\nVolume 1:\n"
    manifest += f"    StartingPath   .\n    EndingPath     zzz\n    Hash SHA1 {digest}\n"
    seal(folder / f"{STEM}.manifest.p7m", key, manifest.encode())
    seal(folder / f"duplicity-full-signatures.{TIME}.sigtar.p7m", key, signatures)
    write_receipt(folder, "duplicity", "full", STEM)


def seal(path: Path, key: Key, content: bytes) -> None:
    plain = path.with_suffix(".plain")
    plain.write_bytes(content)
    run("seal", "--recipient", key.certificate, "-o", path, plain)
    plain.unlink()


def write_receipt(folder: Path, kind: str, set_type: str, stem: str) -> None:
    """The receipt of all that lies there of a set."""
    ours = sorted(p for p in folder.iterdir() if p.name.startswith(kind) and stem[-16:] in p.name)
    files = [
        {"name": p.name, "size": p.stat().st_size, "sha256": hashlib.sha256(p.read_bytes()).hexdigest()}
        for p in ours
    ]
    receipt = {
        "format": "nightdrop-receipt/1",
        "host": folder.name,
        "set": stem,
        "type": set_type,
        "started": "2026-01-02T03:04:05Z",
        "finished": "2026-01-02T03:04:06Z",
        "files": files,
        "recipients": [],
        "tool": "a forger",
        "source": {"what": [], "size": 1, "files": 1, "unread": 0},
        "previous": "",
    }
    (folder / f"{stem}.receipt.json").write_text(json.dumps(receipt))
