"""`broken-chain`: a set is not on this mirror that another one builds on, or was received after."""

from collections.abc import Iterator
from datetime import UTC, datetime

from nightdrop.text import count, harmless
from nightdrop_check.chains import Gap, base_is_acknowledged, building_on, gaps, missed
from nightdrop_check.findings import Finding, Severity
from nightdrop_check.losses import Loss
from nightdrop_check.shelf import ShelfSet
from nightdrop_check.view import View
from nightdrop_check.words import listed, some


def judge(view: View) -> Iterator[Finding]:
    """Say every gap once, at the set that shows it; and what is acknowledged, quietly."""
    for gap in gaps(view.shelf):
        gone = [key.stem for key in gap.gone]
        if gap.kind == "before":
            yield _before(view, gone)
        elif gap.after is None:
            sentence = f"{some(gone)} came here complete and {_is(gone)} gone"
            yield _finding(view, gap, "error", gone[-1], sentence, lost=len(gone))
        elif gap.kind == "base":
            lost = 1 + len(building_on(view.shelf, gap.after.key))
            yield _finding(view, gap, *_base(view, gap, gap.after, lost), lost=lost)
        else:
            yield _finding(view, gap, *_previous(view, gap, gap.after), lost=len(gone))
    yield from _acknowledged(view)


def _before(view: View, gone: list[str]) -> Finding:
    return Finding(
        "broken-chain",
        "warning",
        view.host,
        gone[-1],
        f"{some(gone)} came here complete, {_is(gone)} older than all that is left, and gone",
        "look who was on this mirror; what `nightdrop prune` removes is not told of, and what was "
        f"removed otherwise is acknowledged with `nightdrop acknowledge {view.host}`",
        {"gone": listed(gone), "lost": len(gone)},
    )


def _acknowledged(view: View) -> Iterator[Finding]:
    """What somebody knows to be gone, by when they said so: as long as it would be missed."""
    by_record: dict[float, tuple[Loss, list[str]]] = {}
    for key in missed(view.shelf):
        if (loss := view.shelf.acknowledged.get(key)) is not None:
            by_record.setdefault(loss.at, (loss, []))[1].append(key.stem)
    for loss, gone in by_record.values():
        day = datetime.fromtimestamp(loss.at, UTC).date()
        yield Finding(
            "broken-chain",
            "info",
            view.host,
            gone[-1],
            f"{some(gone)} came here complete and {_is(gone)} gone, acknowledged by "
            f"{harmless(loss.by, 80)} on {day}: {harmless(loss.because, 300)}",
            "nothing is to be done; a set that gets lost from now on is an error again",
            {"gone": listed(gone), "by": loss.by, "at": loss.at, "because": loss.because},
        )


def _base(view: View, gap: Gap, after: ShelfSet, number: int) -> tuple[Severity, str, str]:
    lost = f"{count(number, 'set')} cannot be restored from this mirror"
    base = f"a set of {after.key.start}" if after.key.start else "a full"
    newer = any(
        each.key.kind == after.key.kind and each.key.type == "full" and each.key.end > after.key.end
        for each in view.in_time
    )
    sentence = f"{after.stem} builds on {base} that is not here: {lost}"
    if newer:
        known = base_is_acknowledged(view.shelf, after.key)
        severity: Severity = "error" if gap.gone else "info" if known else "warning"
        return severity, after.stem, f"{sentence}; what came since the next full can"
    return "error", after.stem, sentence


def _previous(view: View, gap: Gap, after: ShelfSet) -> tuple[Severity, str, str]:
    # Nothing mends this one, so it is not repeated for years.
    old = view.now - after.received > view.mirror.check.usual.full_late_after
    severity: Severity = "error" if gap.gone else "info" if old else "warning"
    return severity, after.stem, f"the receipt before that of {after.stem} is not on this mirror"


def _finding(
    view: View, gap: Gap, severity: Severity, subject: str, sentence: str, *, lost: int
) -> Finding:
    gone = [key.stem for key in gap.gone]
    if gap.after is not None and gone:
        sentence += f" ({some(gone)} came here once and {_is(gone)} gone)"
    if gone:
        hint = (
            "look who was on this mirror; what the other one has may be copied back (`rsync -a`), and "
            f"what nobody has is acknowledged with `nightdrop acknowledge {view.host}`; "
        )
    else:
        hint = "if this mirror was away when the set was dropped, the other one has it, "
        hint += "and otherwise somebody withdrew it; "
    return Finding(
        "broken-chain",
        severity,
        view.host,
        subject,
        sentence,
        f"{hint}`nightdrop backup --full` on {view.host} begins a new chain",
        {"gone": listed(gone), "lost": lost},
    )


def _is(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"
