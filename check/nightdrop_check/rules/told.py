"""Putting the verdicts on files into words: one finding for a set, however many of its files it is."""

from collections.abc import Iterator

from nightdrop.text import count
from nightdrop_check.contents import Code
from nightdrop_check.findings import Fact, Finding
from nightdrop_check.view import View
from nightdrop_check.words import listed, part_of_set, some


def findings(view: View, code: Code, what: str, hint: str) -> Iterator[Finding]:
    """A finding for every set with such verdicts; `what` is what the files are, such as "cut off"."""
    for each, verdicts in view.contents.of(code):
        names = [verdict.file.name.name for verdict in verdicts]
        reasons = list(dict.fromkeys(verdict.why for verdict in verdicts))
        parts = [part_of_set(name) for name in names]
        why = reasons[0] if len(reasons) == 1 else f"{parts[0]}: {reasons[0]}"
        if len(names) == 1:
            sentence = f"{parts[0]} of {each.stem} is {what}: {why}"
        else:
            sentence = f"{count(len(names), 'file')} of {each.stem} are {what}, {some(parts)} ({why})"
        data: dict[str, Fact] = {"files": listed(names), "count": len(names), "reasons": reasons[:100]}
        subject = names[0] if len(names) == 1 else each.stem
        yield Finding(code, "error", view.host, subject, sentence, hint, data)
