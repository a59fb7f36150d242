"""`unknown-file`: something in a host's folder that is no part of any backup.

The door lets none of it in but for additions to a finished set, so somebody else put it there.
"""

from collections.abc import Iterator

from nightdrop.text import count, format_size
from nightdrop_check.findings import Finding
from nightdrop_check.view import View
from nightdrop_check.words import listed, some


def judge(view: View) -> Iterator[Finding]:
    """Names that cannot be, things that are no files, and files that a receipt does not name."""
    shelf = view.shelf
    if shelf.strange:
        names = [entry.name for entry in shelf.strange]
        size = format_size(sum(entry.size for entry in shelf.strange))
        yield _finding(
            view, "", names, f"{count(len(names), 'file')} of unknown name ({size}): {some(names)}"
        )
    if shelf.irregular:
        names = [entry.name for entry in shelf.irregular]
        one = "is a link, a pipe or a folder, and no file"
        many = "are links, pipes or folders, and no files"
        yield _finding(view, "", names, f"{some(names)} {one if len(names) == 1 else many}")
    for each in shelf.loose:
        if names := sorted(each.unnamed()):
            verb = "has" if len(names) == 1 else "have"
            sentence = f"{some(names)} {verb} the name of a finished set whose receipt does not know it"
            yield _finding(view, each.stem, names, sentence)


def _finding(view: View, stem: str, names: list[str], sentence: str) -> Finding:
    return Finding(
        "unknown-file",
        "warning",
        view.host,
        names[0] if len(names) == 1 else stem,
        sentence,
        f"find out who put it there; if nobody needs it, remove it from {view.mirror.vault}",
        {"files": listed(names), "count": len(names)},
    )
