"""The ledger by itself; what is written and read in it by real drops and checks stands with those."""

import sqlite3
import time
from pathlib import Path

from nightdrop.ledger import MOST_REFUSALS, Ledger


def test_refusals_do_not_fill_the_disk(tmp_path: Path) -> None:
    """A host may try without end: its newest tries are kept, and no other host's are lost by it."""
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path)
    ledger.refuse("other", "a", "192.0.2.1")
    with sqlite3.connect(path) as db:
        rows = [("bad", f"{number}", 1.0, "192.0.2.2") for number in range(MOST_REFUSALS)]
        db.executemany("INSERT INTO refusals VALUES (?, ?, ?, ?)", rows)
    db.close()
    before = time.time()
    for _ in range(3):
        ledger.refuse("bad", "new", "192.0.2.3")
    summed = ledger.refusals_by_host(0)
    assert (summed["bad"].number, summed["bad"].names) == (MOST_REFUSALS, MOST_REFUSALS - 3 + 1)
    assert summed["other"].number == 1
    assert len(ledger.refusals(before)) == 3
    ledger.close()
