"""Judging one host after the other: look at its shelf and into its new files, and apply every rule."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from nightdrop.enrolment import EnrolledHost
from nightdrop.envelope.recipients import RecipientId
from nightdrop.errors import NightdropError
from nightdrop.ledger import Ledger, Refusals
from nightdrop.mirror import Mirror
from nightdrop.names import SetKey
from nightdrop.vault import FolderVault
from nightdrop_check.attempts import apply, attempt, could_not_look
from nightdrop_check.contents import Contents, judge_contents
from nightdrop_check.findings import Finding
from nightdrop_check.heads import HeadReader
from nightdrop_check.inventory import Holding, hold
from nightdrop_check.key_use import Openers, Sealed, sum_up_sealed
from nightdrop_check.listings import digest, take_glance
from nightdrop_check.looking import Book, look_at_host
from nightdrop_check.losses import Acknowledged
from nightdrop_check.memory import Memory, Seen
from nightdrop_check.reports.report import HostSummary
from nightdrop_check.rules import HOST_RULES
from nightdrop_check.settled import FORMAT, FRESH, Remembered, SettledMemory
from nightdrop_check.shelf import Shelf, ShelfSet
from nightdrop_check.store import NotKeptError
from nightdrop_check.summary import sum_up
from nightdrop_check.view import View

_WEEK: Final = 7 * 86400
_LEDGER_SETTLES: Final = 60.0
"""Seconds after which no drop is written into the ledger that came earlier."""


@dataclass(frozen=True)
class Looked:
    """One host, looked at: its summary, what was found; when its newest file came (epoch seconds), and
    how many octets came in the last week; what is held of it, None where that is not known; and how many
    of its sets which keys open.
    """

    summary: HostSummary
    findings: list[Finding]
    newest: float = 0.0
    came_lately: int = 0
    holding: Holding | None = None
    sealed: Mapping[Openers, Sealed] = field(default_factory=dict)


@dataclass(frozen=True)
class Setting:
    """What the judging of every host of a mirror has in common: the folders in the vault, None where
    they could not be listed; recipients that there should be, by the ways to name them, with their
    fingerprints; what was refused to hosts lately, and which of their losses are acknowledged; the time
    (epoch seconds).
    """

    mirror: Mirror
    folders: frozenset[str] | None
    ours: Mapping[RecipientId, str]
    refused: Mapping[str, Refusals]
    losses: Mapping[str, Acknowledged]
    now: float


class HostJudge:
    """Judges hosts, with a memory and a ledger (None where it could not be read) of its own."""

    def __init__(
        self, setting: Setting, vault: FolderVault, memory: Memory, ledger: Ledger | None
    ) -> None:
        self._setting = setting
        self._vault = vault
        self._memory = memory
        self._settled = SettledMemory(memory.store)
        self._ledger = ledger
        self._heads = HeadReader(vault, setting.ours)

    def judge(self, host: EnrolledHost) -> Looked:
        """Look at one host, apply every rule, and sum it up. Never raises for what lies in the vault, and
        NotKeptError where what was seen cannot be remembered.
        """
        findings: list[Finding] = []
        try:
            found = self._judge(host, findings)
        except NotKeptError:
            raise
        except NightdropError as error:
            findings.append(could_not_look(error.message, error.hint, host.name))
            found = None
        return found or Looked(sum_up(host.name, None, findings), findings)

    def _judge(self, host: EnrolledHost, findings: list[Finding]) -> Looked | None:
        setting = self._setting
        if setting.folders is None:
            return None
        basis = self._basis(host)
        known = self._settled.of(host.name, basis)
        book = attempt(lambda: Book(self._ledger, host.name, known), findings, host.name)
        if book is None:
            book = Book(None, host.name, known)
        suspects = self._memory.suspects(host.name)
        there = host.name in setting.folders
        shelf = attempt(
            lambda: look_at_host(self._vault, host, book, suspects, there),
            findings,
            host.name,
        )
        if shelf is None:
            return None
        shelf = shelf.acknowledging(setting.losses.get(host.name, {}))
        contents = self._contents(shelf)
        refused = setting.refused.get(host.name)
        view = View(setting.mirror, host, shelf, contents, refused, setting.now)
        for rule in HOST_RULES:
            apply(rule, view, findings, host.name)
        openers = self._settle(view, book, known, basis)
        lately = [each for each in shelf.sets if setting.now - each.newest_file < _WEEK]
        return Looked(
            sum_up(host.name, shelf, findings),
            findings,
            max((each.newest_file for each in lately), default=0.0),
            # Not what somebody copied here who had no ledger to copy.
            sum(each.size for each in lately if not each.came_late),
            hold(((e.key.end, e.stem, e.receipt_sha256, e.received) for e in shelf.done), setting.now),
            sum_up_sealed(
                (openers.get(each.key) or self._openers(each, contents), each.received)
                for each in shelf.done
            ),
        )

    def _basis(self, host: EnrolledHost) -> str:
        """What a host's sets are judged by, beside the files and the ledger."""
        ours = sorted(str(each) for each in self._setting.ours)
        return hashlib.sha256(
            "\n".join([FORMAT, host.signed_since, *host.signers, *ours]).encode()
        ).hexdigest()

    def _contents(self, shelf: Shelf) -> Contents:
        """Judge the files of sets that are not settled, and remember what was seen."""
        known = self._memory.seen(shelf.host, [name for each in shelf.loose for name in each.files])
        ours = frozenset(self._setting.ours)
        contents = judge_contents(self._heads, shelf, known, ours, self._setting.now)
        news = [file for name, file in contents.seen.items() if known.get(name) is not file]
        self._memory.remember(shelf.host, news)
        self._memory.forget(
            shelf.host, self._memory.others(shelf.host, shelf.calm | contents.seen.keys())
        )
        return contents

    def _settle(self, view: View, book: Book, known: Remembered, basis: str) -> dict[SetKey, Openers]:
        """Remember the sets of which there is nothing to say; who can open those that were not known."""
        shelf, now = view.shelf, view.now
        before = [drop.received for drop in book.lately.values() if drop.received < now - _LEDGER_SETTLES]
        until = max(before, default=known.until) if known.basis else max(before, default=0.0)
        new = {each.key: each for each in self._newly_settled(view)}
        beyond = bool(shelf.gone) or any(e.receipt_digests and e.key not in new for e in shelf.loose)
        unchanged = book.unchanged and until == known.until
        ledger = known.ledger if unchanged else book.digest(until)
        sets = {each.key: each for each in shelf.sets if each.settled} | new
        glance = shelf.glance
        if new or glance is None:
            calm = shelf.calm.union(*(each.files for each in new.values()))
            glance = take_glance(shelf.listing, calm, [each.settled for each in sets.values()])
        self._settled.remember(shelf.host, known, Remembered(basis, until, ledger, beyond, glance, sets))
        return {key: each.sealed_to for key, each in new.items()}

    def _newly_settled(self, view: View) -> Iterator[ShelfSet]:
        if view.shelf.irregular:
            return
        told = {verdict.set.stem for verdict in view.contents.verdicts}
        for standing in view.standings:
            each = standing.set
            if standing.state != "whole" or each.settled or each.stem in told:
                continue
            if each.signature not in ("not asked for", "good"):
                continue
            seen = [view.contents.seen.get(name) for name in each.files]
            before = view.now - FRESH
            facts = [one for one in seen if one is not None and _is_calm(one, each, before)]
            if len(facts) == len(each.files):
                listing = digest((one.name, one.size, one.changed) for one in facts)
                yield each._replace(settled=listing, sealed_to=self._sealed_to(facts))

    def _openers(self, each: ShelfSet, contents: Contents) -> Openers:
        if each.settled:
            return each.sealed_to
        return self._sealed_to([contents.seen[name] for name in each.files if name in contents.seen])

    def _sealed_to(self, facts: list[Seen]) -> Openers:
        """The fingerprints of our recipients that can open every envelope of these files."""
        ours = self._setting.ours
        # The envelopes of a set mostly are all alike, and told of by one head.
        heads = {id(one.head): one.head for one in facts if one.head}
        openers = [{ours[r] for r in head.recipients if r in ours} for head in heads.values()]
        return tuple(sorted(set.intersection(*openers))) if openers else ()


def _is_calm(one: Seen, each: ShelfSet, before: float) -> bool:
    """Whether a file is as it was first, and last changed before a time (epoch seconds)."""
    file, stated = each.files[one.name], each.stated.get(one.name)
    if one.problem or one.sha256 not in ("", one.first) or not one.changed == file.changed < before:
        return False
    known = [told.sha256 for told in (file.drop, stated) if told]
    return not known or one.first in known
