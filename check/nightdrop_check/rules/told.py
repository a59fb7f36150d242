"""Putting the verdicts on files into words: one finding for a set, however many of its files it is."""

from collections.abc import Iterator

from nightdrop.text import count
from nightdrop_check.contents import Code
from nightdrop_check.findings import Fact, Finding, listed, some
from nightdrop_check.view import View


def findings(view: View, code: Code, what: str, hint: str) -> Iterator[Finding]:
    """A finding for every set with such verdicts; `what` is what the files are, such as "cut off"."""
    for each, verdicts in view.contents.of(code):
        names = [verdict.file.name.name for verdict in verdicts]
        if len(names) == 1:
            sentence = f"{names[0]} is {what}: {verdicts[0].why}"
        else:
            reasons = list(dict.fromkeys(verdict.why for verdict in verdicts))
            why = reasons[0] if len(reasons) == 1 else f"{names[0]}: {reasons[0]}"
            sentence = f"{count(len(names), 'file')} of {each.stem} are {what}: {some(names)} ({why})"
        data: dict[str, Fact] = {"files": listed(names), "count": len(names)}
        data["reasons"] = list(dict.fromkeys(verdict.why for verdict in verdicts))[:100]
        subject = names[0] if len(names) == 1 else each.stem
        yield Finding(code, "error", view.host, subject, sentence, hint, data)
