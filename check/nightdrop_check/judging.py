"""Judging a mirror: every rule, over every host, one host at a time.

First every host is looked at, then the scrub reads what waits longest, and a host of which it saw
something new is looked at again. Whatever cannot be looked at becomes a finding, and the check goes on.
"""

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from nightdrop.drills import FOLDER, load_drills
from nightdrop.enrolment import EnrolledHost, load_host
from nightdrop.envelope.recipients import RecipientId, load_recipients
from nightdrop.errors import VaultError
from nightdrop.files import whole_file
from nightdrop.ledger import Ledger, Refusals
from nightdrop.mirror import Mirror
from nightdrop.vault import FolderVault
from nightdrop_check import workers
from nightdrop_check.attempts import apply, attempt, could_not_look
from nightdrop_check.findings import Finding, printable, sort
from nightdrop_check.host_judge import HostJudge, Looked, Setting
from nightdrop_check.inventory import Inventory, write_inventory
from nightdrop_check.key_use import key_uses
from nightdrop_check.losses import Acknowledged, load_losses
from nightdrop_check.memory import Coverage, Memory, memories, memory_path
from nightdrop_check.peers import ask
from nightdrop_check.reports.report import Report
from nightdrop_check.room import look_at_room
from nightdrop_check.rules import HOUSE_RULES
from nightdrop_check.scrub import Budget, Scrubbed, scrub
from nightdrop_check.store import NotKeptError
from nightdrop_check.usual import TOLD_FOR
from nightdrop_check.view import House

_T = TypeVar("_T")

_COVERED: Final = 30 * 86400


class _Judge:
    """One run of the check: what it looks with, and the findings so far that are of no host."""

    def __init__(self, mirror: Mirror, vault: FolderVault | None, now: float, memory: Memory) -> None:
        self.mirror = mirror
        self.vault = vault or FolderVault(mirror.vault)
        # Only what can be opened anew can be looked at by several processes.
        self.shareable = vault is None
        self.now = now
        self.findings: list[Finding] = []
        self.memory = memory
        self.ledger = self._attempt(lambda: Ledger.reading(mirror.ledger, briefly=True))
        self.folders = self._attempt(self.vault.hosts)
        self.names: dict[str, str] = {}
        refused = self._refusals()
        folders = None if self.folders is None else frozenset(self.folders)
        self.setting = Setting(mirror, folders, self._recipients(), refused, self._losses(), now)
        self.judge = HostJudge(self.setting, self.vault, self.memory, self.ledger)

    def run(self, budget: Budget) -> Report:
        hosts = {host.name: host for host in self._enrolled()}
        if self.memory.mark("begun") is None:
            self.memory.set_mark("begun", str(self.now))
        self.memory.forget_hosts(but=hosts)
        looked = self._look(hosts.values())
        scrubbed = Scrubbed(0, 0, frozenset())
        if self.folders is not None:
            scrubbed = scrub(self.vault, self.memory, budget, self.now)
        for name in scrubbed.hosts:
            looked[name] = self.judge.judge(hosts[name])
        coverage = self.memory.coverage(self.now - _COVERED)
        house = self._house(looked, coverage)
        if house is not None:
            for rule in HOUSE_RULES:
                apply(rule, house, self.findings)
        found = [finding for name in hosts for finding in looked[name].findings]
        return Report(
            mirror=printable(self.mirror.name),
            at=self.now,
            hosts=tuple(looked[name].summary for name in hosts),
            findings=sort(self.findings + found),
            verified_files=scrubbed.files,
            verified_size=scrubbed.size,
            coverage=coverage,
            room=house.room if house else None,
            drill=house.drill if house else None,
            keys=key_uses(self.names, {name: each.sealed for name, each in looked.items()}),
        )

    def close(self) -> None:
        if self.ledger is not None:
            self.ledger.close()

    def _look(self, hosts: Iterable[EnrolledHost]) -> dict[str, Looked]:
        """Look at every host; at many by several processes."""
        all_of_them = list(hosts)
        several = self.shareable and self.memory.lasting and workers.processes() > 1
        if several and len(all_of_them) >= workers.WORTH_IT:
            return dict(workers.judge_many(self.setting, all_of_them))
        return {host.name: self.judge.judge(host) for host in all_of_them}

    def _house(self, looked: dict[str, Looked], coverage: Coverage) -> House | None:
        if self.folders is None:
            return None
        room = self._attempt(
            lambda: look_at_room(self.mirror.vault, self.mirror.reserve, self.memory, self.now)
        )
        drills, troubles = self._attempt(lambda: load_drills(self.mirror.state / FOLDER)) or ([], [])
        self.findings += [could_not_look(trouble, severity="warning") for trouble in troubles]
        return House(
            mirror=self.mirror,
            folders=tuple(self.folders),
            strays=tuple(self._attempt(self.vault.strays) or ()),
            enrolled=frozenset(looked),
            room=room,
            coverage=coverage,
            drill=drills[-1] if drills else None,
            begun=float(self.memory.mark("begun") or self.now),
            newest=max((each.newest for each in looked.values()), default=0.0),
            came_lately=sum(each.came_lately for each in looked.values()),
            now=self.now,
            peers=tuple(ask(peer, self.memory, self.now) for peer in self.mirror.check.peers),
            inventory=self._inventory(looked),
        )

    def _inventory(self, looked: dict[str, Looked]) -> Inventory | None:
        """What is held here, written down for other mirrors; None where a host could not be looked at."""
        held = {name: each.holding for name, each in looked.items() if each.holding is not None}
        inventory = Inventory(self.now, held)
        # Where the memory cannot be written, which lies beside it, that is told already.
        attempt(
            lambda: _write(self.mirror.inventory, write_inventory(inventory)),
            self.findings if self.memory.lasting else [],
        )
        return inventory if len(held) == len(looked) else None

    def _refusals(self) -> dict[str, Refusals]:
        """What was refused since the last report was mailed, and in the last days in any case."""
        since = min(self.now - TOLD_FOR, float(self.memory.mark("reported") or self.now))
        ledger = self.ledger
        if ledger is None:
            return {}
        refused = self._attempt(lambda: ledger.refusals_by_host(since))
        if refused is None:
            # Told once, and not again of every host.
            self.ledger = None
            ledger.close()
        return refused or {}

    def _losses(self) -> dict[str, Acknowledged]:
        """What is acknowledged to be gone, by host."""
        losses, troubles = self._attempt(lambda: load_losses(self.mirror.state)) or ({}, [])
        self.findings += [could_not_look(trouble, severity="warning") for trouble in troubles]
        return losses

    def _enrolled(self) -> list[EnrolledHost]:
        """Every enrolled host, one whose enrolment cannot be read among them."""
        paths = self._attempt(lambda: _enrolments(self.mirror.hosts)) or []
        return [self._enrolment(path) for path in paths]

    def _enrolment(self, path: Path) -> EnrolledHost:
        found = attempt(lambda: load_host(path), self.findings, path.stem)
        return found or EnrolledHost(path.stem, "duplicity", "", 0)

    def _recipients(self) -> dict[RecipientId, str]:
        """The recipients that envelopes should have, with their fingerprints; notes their names."""
        found: dict[RecipientId, str] = {}
        for path in self.mirror.recipients:
            recipients = self._attempt(lambda path=path: load_recipients(path))  # type: ignore[misc]
            for recipient in recipients or ():
                found |= dict.fromkeys(recipient.ids, recipient.fingerprint)
                self.names[recipient.fingerprint] = recipient.name
        if not self.mirror.recipients:
            sentence = "mirror.toml names no recipient, so nobody knows whom to expect"
            self.findings.append(could_not_look(sentence))
        return found

    def _attempt(self, look: Callable[[], _T]) -> _T | None:
        """What `look` tells, or None and a finding that is of no host."""
        return attempt(look, self.findings)


def judge_mirror(
    mirror: Mirror, now: float, vault: FolderVault | None = None, budget: Budget | None = None
) -> Report:
    """Judge a mirror as it is at `now` (epoch seconds), reading files within a budget, by default the one
    of `mirror.toml`; never raises for what lies in the vault.

    Where it cannot be remembered what is seen, it is judged all the same, and that is told.
    """
    budget = budget or Budget(mirror.check.scrub_size, mirror.check.scrub_time)
    forgotten: list[Finding] = []
    for begin in memories(memory_path(mirror.state)):
        try:
            with closing(begin()) as memory, closing(_Judge(mirror, vault, now, memory)) as judge:
                report = judge.run(budget)
        except NotKeptError as error:
            sentence = f"what is seen now cannot be remembered: {error.message}"
            forgotten = forgotten or [could_not_look(sentence, error.hint)]
        else:
            return replace(report, findings=sort([*forgotten, *report.findings]))
    raise AssertionError("what is remembered nowhere but here cannot fail to be")


def _write(path: Path, octets: bytes) -> None:
    try:
        with whole_file(path, 0o600) as file:
            file.write(octets)
    except OSError as error:
        raise VaultError(f"{path}: cannot be written: {error.strerror}") from error


def _enrolments(folder: Path) -> list[Path]:
    # Not glob, which takes a folder that it may not read for an empty one.
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".toml")
    except FileNotFoundError:
        return []
