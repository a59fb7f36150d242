"""Judging a mirror: every rule, over every host, one host at a time.

Whatever cannot be looked at becomes a finding, and the check goes on with the rest.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from nightdrop.enrolment import EnrolledHost, load_host
from nightdrop.envelope.recipients import RecipientId, load_recipients
from nightdrop.errors import NightdropError
from nightdrop.ledger import Drop, Ledger
from nightdrop.mirror import Mirror
from nightdrop.text import harmless
from nightdrop.vault import FolderVault, Vault
from nightdrop_check.contents import Contents, read_contents
from nightdrop_check.findings import Finding, printable, sort
from nightdrop_check.report import RECENT, HostSummary, Report, SetSize, State
from nightdrop_check.rules import HOST_RULES, HOUSE_RULES
from nightdrop_check.rules.could_not_look import HINT
from nightdrop_check.shelf import Shelf, look_at_host
from nightdrop_check.view import House, View

_T = TypeVar("_T")

_MOST: Final = 100
"""How many findings one rule may have on one host: nobody reads more, and a stranger could make them."""


class _Judge:
    """One run of the check: what it looks with, and the findings so far."""

    def __init__(self, mirror: Mirror, vault: Vault, now: float) -> None:
        self.mirror = mirror
        self.vault = vault
        self.now = now
        self.findings: list[Finding] = []

    def run(self) -> Report:
        hosts = self._enrolled()
        folders = self._attempt("", self.vault.hosts)
        ours = self._recipients()
        if folders is not None:
            strays = self._attempt("", self.vault.strays)
            enrolled = frozenset(host.name for host in hosts)
            house = House(self.mirror, tuple(folders), tuple(strays or ()), enrolled)
            for rule in HOUSE_RULES:
                self._apply(rule, house, "")
        ledger = self._attempt("", lambda: Ledger.reading(self.mirror.ledger))
        summaries, files, size = [], 0, 0
        try:
            for host in hosts:
                summary, contents = self._host(host, folders, ledger, ours)
                summaries.append(summary)
                files, size = files + contents.files, size + contents.size
        finally:
            if ledger is not None:
                ledger.close()
        return Report(
            printable(self.mirror.name), self.now, tuple(summaries), sort(self.findings), files, size
        )

    def _host(
        self,
        host: EnrolledHost,
        folders: list[str] | None,
        ledger: Ledger | None,
        ours: frozenset[RecipientId],
    ) -> tuple[HostSummary, Contents]:
        """Look at one host, apply every rule, and sum it up."""
        first = len(self.findings)
        shelf, contents = None, Contents()
        if folders is not None:
            # The ledger is asked first: see look_at_host.
            drops: dict[str, Drop] = {}
            if ledger is not None:
                drops = self._attempt(host.name, lambda: ledger.drops(host.name)) or {}
            there = host.name in folders
            shelf = self._attempt(host.name, lambda: look_at_host(self.vault, host.name, drops, there))
        if shelf is not None:
            contents = read_contents(self.vault, shelf, ours)
            view = View(self.mirror, host, shelf, contents, self.now)
            for rule in HOST_RULES:
                self._apply(rule, view, host.name)
        return _summary(host.name, shelf, self.findings[first:]), contents

    def _enrolled(self) -> list[EnrolledHost]:
        """Every enrolled host, one whose enrolment cannot be read among them."""
        paths = self._attempt("", lambda: _enrolments(self.mirror.hosts)) or []
        return [self._enrolment(path) for path in paths]

    def _enrolment(self, path: Path) -> EnrolledHost:
        found = self._attempt(path.stem, lambda: load_host(path))
        return found or EnrolledHost(path.stem, "duplicity", "", 0)

    def _recipients(self) -> frozenset[RecipientId]:
        found: set[RecipientId] = set()
        for path in self.mirror.recipients:
            recipients = self._attempt("", lambda path=path: load_recipients(path))  # type: ignore[misc]
            for recipient in recipients or ():
                found |= recipient.ids
        if not self.mirror.recipients:
            self._could_not_look("", "mirror.toml names no recipient, so nobody knows whom to expect")
        return frozenset(found)

    def _apply(self, rule: Callable[[_T], Iterator[Finding]], seen: _T, host: str) -> None:
        try:
            for number, finding in enumerate(rule(seen)):
                if number == _MOST:
                    rest = f"{finding.code}: more than {_MOST} of these; the others are not told"
                    self.findings.append(Finding(finding.code, "error", finding.host, "", rest))
                    break
                self.findings.append(finding)
        except (NightdropError, OSError) as error:
            name = rule.__module__.rpartition(".")[2].replace("_", "-")
            self._could_not_look(host, f"the rule {name} could not look: {error}")

    def _attempt(self, host: str, look: Callable[[], _T]) -> _T | None:
        """What `look` tells, or None and a finding."""
        try:
            return look()
        except NightdropError as error:
            self._could_not_look(host, error.message, error.hint)
        except OSError as error:
            self._could_not_look(host, str(error))
        return None

    def _could_not_look(self, host: str, sentence: str, hint: str = "") -> None:
        self.findings.append(
            Finding("could-not-look", "error", host, "", printable(sentence), hint or HINT)
        )


def judge_mirror(mirror: Mirror, now: float, vault: Vault | None = None) -> Report:
    """Judge a mirror as it is at `now` (epoch seconds); never raises for what lies in the vault."""
    return _Judge(mirror, vault or FolderVault(mirror.vault), now).run()


def _enrolments(folder: Path) -> list[Path]:
    # Not glob, which takes a folder that it may not read for an empty one.
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".toml")
    except FileNotFoundError:
        return []


def _summary(host: str, shelf: Shelf | None, findings: list[Finding]) -> HostSummary:
    severities = {finding.severity for finding in findings}
    worst: State = "error" if "error" in severities else "warning" if "warning" in severities else "well"
    codes = dict.fromkeys(finding.code for finding in findings if finding.severity == worst)
    if worst == "well" and shelf is not None and not shelf.done:
        worst = "waiting"
    if shelf is None:
        worst, codes = "error", {"could-not-look": None}
    done = shelf.done if shelf else []
    fulls = [each.received for each in done if each.key.type == "full"]
    return HostSummary(
        name=harmless(host, 80),
        state=worst,
        codes=tuple(codes),
        newest_full=max(fulls, default=None),
        newest_set=max((each.received for each in done), default=None),
        sets=len(done),
        files=shelf.files if shelf else 0,
        size=shelf.size if shelf else 0,
        recent=tuple(SetSize(e.stem, e.key.type, e.size, e.received) for e in done[-RECENT:]),
    )
