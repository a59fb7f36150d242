"""Judging a mirror: every rule, over every host, one host at a time.

First every host is looked at, then the scrub reads what waits longest, and a host of which it saw
something new is looked at again. Whatever cannot be looked at becomes a finding, and the check goes on.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from nightdrop.drills import FOLDER, load_drills
from nightdrop.enrolment import EnrolledHost, load_host
from nightdrop.envelope.recipients import RecipientId, load_recipients
from nightdrop.errors import NightdropError, VaultError
from nightdrop.ledger import Drop, Ledger, Refusals
from nightdrop.mirror import Mirror
from nightdrop.vault import FolderVault, Vault
from nightdrop_check.contents import judge_contents
from nightdrop_check.findings import Finding, Severity, printable, sort
from nightdrop_check.memory import Coverage, Memory, memory_path
from nightdrop_check.report import HostSummary, Report
from nightdrop_check.room import look_at_room
from nightdrop_check.rules import HOST_RULES, HOUSE_RULES
from nightdrop_check.rules.could_not_look import HINT
from nightdrop_check.scrub import Budget, Scrubbed, scrub
from nightdrop_check.shelf import Shelf, look_at_host
from nightdrop_check.summary import sum_up
from nightdrop_check.usual import TOLD_FOR
from nightdrop_check.view import House, View

_T = TypeVar("_T")

_MOST: Final = 100
"""How many findings one rule may have on one host: nobody reads more, and a stranger could make them."""

_COVERED: Final = 30 * 86400
_WEEK: Final = 7 * 86400


@dataclass(frozen=True)
class _Looked:
    """One host, looked at: its summary, what was found; when its newest file came (epoch seconds), and
    how many octets came in the last week.
    """

    summary: HostSummary
    findings: list[Finding]
    newest: float
    came_lately: int


class _Judge:
    """One run of the check: what it looks with, and the findings so far that are of no host."""

    def __init__(self, mirror: Mirror, vault: Vault, now: float) -> None:
        self.mirror = mirror
        self.vault = vault
        self.now = now
        self.findings: list[Finding] = []
        self.memory = self._open_memory()
        self.ledger = self._attempt("", lambda: Ledger.reading(mirror.ledger))
        self.folders = self._attempt("", vault.hosts)
        self.ours = self._recipients()
        self.refused = self._refusals()

    def run(self, budget: Budget) -> Report:
        hosts = {host.name: host for host in self._enrolled()}
        if self.memory.mark("begun") is None:
            self.memory.set_mark("begun", str(self.now))
        self.memory.forget_hosts(but=hosts)
        looked = {name: self._host(host) for name, host in hosts.items()}
        scrubbed = Scrubbed(0, 0, frozenset())
        if self.folders is not None:
            scrubbed = scrub(self.vault, self.memory, budget, self.now)
        for name in scrubbed.hosts:
            looked[name] = self._host(hosts[name])
        coverage = self.memory.coverage(self.now - _COVERED)
        house = self._house(frozenset(hosts), list(looked.values()), coverage)
        if house is not None:
            for rule in HOUSE_RULES:
                self._apply(rule, house, "", self.findings)
        found = [finding for each in looked.values() for finding in each.findings]
        return Report(
            mirror=printable(self.mirror.name),
            at=self.now,
            hosts=tuple(each.summary for each in looked.values()),
            findings=sort(self.findings + found),
            verified_files=scrubbed.files,
            verified_size=scrubbed.size,
            coverage=coverage,
            room=house.room if house else None,
            drill=house.drill if house else None,
        )

    def close(self) -> None:
        self.memory.close()
        if self.ledger is not None:
            self.ledger.close()

    def _host(self, host: EnrolledHost) -> _Looked:
        """Look at one host, apply every rule, and sum it up."""
        findings: list[Finding] = []
        shelf = self._shelf(host.name, findings)
        if shelf is None:
            return _Looked(sum_up(host.name, None, findings), findings, 0, 0)
        known = self.memory.seen(host.name)
        contents = judge_contents(self.vault, shelf, known, self.ours)
        news = [file for name, file in contents.seen.items() if known.get(name) is not file]
        self.memory.remember(host.name, news, gone=known.keys() - contents.seen.keys())
        view = View(self.mirror, host, shelf, contents, self.refused.get(host.name), self.now)
        for rule in HOST_RULES:
            self._apply(rule, view, host.name, findings)
        files = [file for each in shelf.sets for file in each.files.values()]
        return _Looked(
            sum_up(host.name, shelf, findings),
            findings,
            max((file.received for file in files), default=0.0),
            sum(file.size for file in files if self.now - file.received < _WEEK),
        )

    def _shelf(self, host: str, findings: list[Finding]) -> Shelf | None:
        folders, ledger = self.folders, self.ledger
        if folders is None:
            return None
        # The ledger is asked first: see look_at_host.
        drops: dict[str, Drop] = {}
        if ledger is not None:
            drops = self._attempt(host, lambda: ledger.drops(host), findings) or {}
        there = host in folders
        return self._attempt(host, lambda: look_at_host(self.vault, host, drops, there), findings)

    def _house(self, enrolled: frozenset[str], looked: list[_Looked], coverage: Coverage) -> House | None:
        if self.folders is None:
            return None
        room = self._attempt(
            "", lambda: look_at_room(self.mirror.vault, self.mirror.reserve, self.memory, self.now)
        )
        drills = self._attempt("", lambda: load_drills(self.mirror.state / FOLDER)) or ([], [])
        for trouble in drills[1]:
            self._could_not_look("", trouble, severity="warning")
        return House(
            mirror=self.mirror,
            folders=tuple(self.folders),
            strays=tuple(self._attempt("", self.vault.strays) or ()),
            enrolled=enrolled,
            room=room,
            coverage=coverage,
            drill=drills[0][-1] if drills[0] else None,
            begun=float(self.memory.mark("begun") or self.now),
            newest=max((each.newest for each in looked), default=0.0),
            came_lately=sum(each.came_lately for each in looked),
            now=self.now,
        )

    def _open_memory(self) -> Memory:
        """The memory; where it cannot be written, one for this look, and a finding."""
        try:
            return Memory(memory_path(self.mirror.state))
        except VaultError as error:
            sentence = f"what is seen now cannot be remembered: {error.message}"
            self._could_not_look("", sentence, error.hint, severity="warning")
            return Memory(None)

    def _refusals(self) -> dict[str, Refusals]:
        """What was refused since the last report was mailed, and in the last days in any case."""
        since = min(self.now - TOLD_FOR, float(self.memory.mark("reported") or self.now))
        ledger = self.ledger
        if ledger is None:
            return {}
        refused = self._attempt("", lambda: ledger.refusals_by_host(since))
        if refused is None:
            # Told once, and not again of every host.
            self.ledger = None
            ledger.close()
        return refused or {}

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

    def _apply(
        self, rule: Callable[[_T], Iterator[Finding]], seen: _T, host: str, findings: list[Finding]
    ) -> None:
        try:
            for number, finding in enumerate(rule(seen)):
                if number == _MOST:
                    rest = f"{finding.code}: more than {_MOST} of these; the others are not told"
                    findings.append(Finding(finding.code, "error", finding.host, "", rest))
                    break
                findings.append(finding)
        except (NightdropError, OSError, ValueError) as error:
            name = rule.__module__.rpartition(".")[2].replace("_", "-")
            self._could_not_look(host, f"the rule {name} could not look: {error}", findings=findings)

    def _attempt(
        self, host: str, look: Callable[[], _T], findings: list[Finding] | None = None
    ) -> _T | None:
        """What `look` tells, or None and a finding."""
        try:
            return look()
        except NightdropError as error:
            self._could_not_look(host, error.message, error.hint, findings)
        except OSError as error:
            self._could_not_look(host, str(error), findings=findings)
        return None

    def _could_not_look(
        self,
        host: str,
        sentence: str,
        hint: str = "",
        findings: list[Finding] | None = None,
        severity: Severity = "error",
    ) -> None:
        found = Finding("could-not-look", severity, host, "", printable(sentence), hint or HINT)
        (self.findings if findings is None else findings).append(found)


def judge_mirror(
    mirror: Mirror, now: float, vault: Vault | None = None, budget: Budget | None = None
) -> Report:
    """Judge a mirror as it is at `now` (epoch seconds), reading files within a budget, by default the one
    of `mirror.toml`; never raises for what lies in the vault.
    """
    settings = mirror.check
    judge = _Judge(mirror, vault or FolderVault(mirror.vault), now)
    try:
        return judge.run(budget or Budget(settings.scrub_size, settings.scrub_time))
    finally:
        judge.close()


def _enrolments(folder: Path) -> list[Path]:
    # Not glob, which takes a folder that it may not read for an empty one.
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".toml")
    except FileNotFoundError:
        return []
