"""The ledger by itself; what is written and read in it by real drops and checks stands with those."""

import sqlite3
import time
from pathlib import Path

from nightdrop.ledger import MOST_REFUSALS, TRIM_EVERY, Ledger


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
    for number in range(1, 2 * TRIM_EVERY):
        ledger.refuse("bad", "new", "192.0.2.3")
        # However it and others take turns: by none of their numbers does one escape.
        ledger.refuse("worse", "new", "192.0.2.4")
        kept = ledger.refusals_by_host(0)["bad"].number
        assert MOST_REFUSALS <= kept < MOST_REFUSALS + TRIM_EVERY, number
    summed = ledger.refusals_by_host(0)
    assert summed["other"].number == 1
    assert sum(refusal.host == "bad" for refusal in ledger.refusals(before)) == 2 * TRIM_EVERY - 1
    ledger.close()
