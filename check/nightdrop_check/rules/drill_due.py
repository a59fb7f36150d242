"""`drill-due`: nobody has tried for long whether backups come back, or not all of them did."""

from collections.abc import Iterator

from nightdrop.drills import FOLDER
from nightdrop_check.findings import Finding
from nightdrop_check.view import House
from nightdrop_check.words import ago, drill_in_words, span


def judge(house: House) -> Iterator[Finding]:
    """Look at the record of the last drill, and how old it is."""
    drill, every = house.drill, house.mirror.check.drill_every
    hint = (
        "`nightdrop restore drill --record DIR` where the key is; the record goes into "
        f"{house.mirror.state / FOLDER} (`drill_every` under [check] in mirror.toml says how often)"
    )
    if drill is not None and not drill.passed:
        yield Finding(
            "drill-due",
            "warning",
            "",
            drill.name,
            f"not everything came back in the last drill, {drill_in_words(drill, house.now)}",
            "find out why (`nightdrop restore verify` opens everything), and drill again",
            {"at": drill.at, "files": drill.files, "good": drill.good},
        )
    since = house.begun if drill is None else drill.at
    if every and house.now - since > every:
        said = (
            f"nobody has tried yet, in {span(house.now - since)}, whether backups can be restored"
            if drill is None
            else f"the last drill was {ago(house.now - since)}"
        )
        yield Finding("drill-due", "info", "", "", said, hint, {"since": since})
