"""`source-errors`: the newest set is whole, and its receipt says that not all of the source is in it."""

from collections.abc import Iterator

from nightdrop.text import count
from nightdrop_check.findings import Finding
from nightdrop_check.view import View


def judge(view: View) -> Iterator[Finding]:
    """Say it of the newest set of each kind."""
    newest = {each.key.kind: each for each in view.shelf.done}
    for _, each in sorted(newest.items()):
        if each.receipt is not None and (unread := each.receipt.source.unread):
            yield Finding(
                "source-errors",
                "warning",
                view.host,
                each.stem,
                f"{count(unread, 'file')} of {view.host} could not be read and "
                f"{'is' if unread == 1 else 'are'} not in {each.stem}",
                f"the run on {view.host} named them; see there whether they matter, "
                "and exclude those that do not",
                {"unread": unread, "files": each.receipt.source.files},
            )
