"""`unknown-host`: a folder in the vault that belongs to no enrolled host, or a stray beside it."""

from collections.abc import Iterator

from nightdrop.text import harmless
from nightdrop_check.findings import Finding
from nightdrop_check.view import House
from nightdrop_check.words import listed, some

# What a file system makes by itself at its root; a vault often is the root of a disk of its own.
_OF_THE_FILE_SYSTEM = ("lost+found",)


def judge(house: House) -> Iterator[Finding]:
    """Folders of nobody, one finding each; whatever else lies there, in one."""
    for folder in house.folders:
        if folder not in house.enrolled and folder not in _OF_THE_FILE_SYSTEM:
            yield Finding(
                "unknown-host",
                "warning",
                folder,
                "",
                f"no host {harmless(folder)} is enrolled here; its folder was not judged",
                f"`nightdrop enroll` lets it in; if nobody needs the backups, remove the folder from "
                f"{house.mirror.vault}",
            )
    if house.strays:
        yield Finding(
            "unknown-host",
            "warning",
            "",
            house.strays[0] if len(house.strays) == 1 else "",
            f"in the vault, beside the hosts' folders: {some(house.strays)}",
            f"find out who put it there; nothing but hosts' folders belongs into {house.mirror.vault}",
            {"files": listed(house.strays), "count": len(house.strays)},
        )
