"""How a run went."""

from dataclasses import dataclass, field

from nightdrop.text import count, harmless
from nightdrop_client.droplog import FinishedSet
from nightdrop_client.planning import Plan


@dataclass
class Outcome:
    """How a run went. `failures` are the mirrors that were lost and why; `lacking` those without this
    set's receipt; `stored` the octets of the set on a mirror; `notes` what duplicity warned of, and
    `problems` what else went wrong without costing anything of the set.
    """

    plan: Plan
    done: FinishedSet
    stored: int
    volumes: int
    seconds: float
    failures: dict[str, str]
    lacking: list[str]
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def everywhere(self) -> bool:
        """Whether every mirror has the set, every source is whole in it, and nothing else went wrong."""
        whole = self.done.files and not (self.done.unread or self.done.failed)
        return bool(whole and not (self.lacking or self.failures or self.problems))

    def complaints(self) -> list[str]:
        """What is missing where, and what else went wrong: a line each."""
        lines = []
        if not self.done.files:
            lines.append(
                "there is no file in this backup: is all mounted that should be, and does "
                "`folders.exclude` leave out more than it should?"
            )
        if self.done.unread:
            lines.append(
                f"not in this backup: {count(self.done.unread, 'source file')} could not be read"
            )
        lines += [
            f"not whole in this backup: {place}: {harmless(why, 500)}"
            for place, why in sorted(self.done.failed.items())
        ]
        lines += [f"warning: {problem}" for problem in self.problems]
        for mirror in self.lacking:
            why = self.failures.get(mirror, "it missed a part of it")
            lines.append(f"the mirror {mirror} does not have this set: {why}")
        return lines
