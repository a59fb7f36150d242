"""The damage table: for each code there is, the test that takes a good vault, made by the real client,
damages it in that one way, and sees that finding and no other.
"""

import inspect
import pkgutil
import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from check import test_clocks, test_damage, test_drills, test_peers, test_rules, test_scrub, test_signed
from check.vaults import HOUR, Shelves
from nightdrop_check import rules

SEEN_ALONE: dict[str, Callable[..., Any]] = {
    "bad-signature": test_signed.test_another_signer,
    "broken-chain": test_damage.test_newest_set_withdrawn,
    "clock-skew": test_clocks.test_clock_that_is_ahead,
    "corrupt": test_damage.test_ledger_knows_other_bytes,
    "could-not-look": test_damage.test_ledger_that_is_none,
    "disk-near-full": test_rules.test_disk_that_is_full,
    "drill-due": test_drills.test_one_that_is_due,
    "fork": test_rules.test_host_that_went_back_in_time,
    "grown": test_rules.test_everything_changed,
    "incomplete": test_damage.test_receipt_removed,
    "key-expiring": test_rules.test_recipient_that_expires,
    "late": test_damage.test_late,
    "mirror-differs": test_peers.test_a_set_that_is_only_here,
    "missing": test_damage.test_everything_withdrawn,
    "not-encrypted": test_rules.test_what_lies_there_and_does_not_look_encrypted,
    "overwrite-refused": test_rules.test_refused_overwrites,
    "peer-silent": test_peers.test_a_check_that_does_not_run_any_more,
    "quota-near": test_rules.test_quota,
    "scrub-overdue": test_scrub.test_scrub_that_is_overdue,
    "shrunk": test_rules.test_sizes_of_a_real_host,
    "source-errors": test_rules.test_source_that_a_real_run_could_not_read,
    "truncated": test_damage.test_a_damage_is_found_once,
    "unknown-file": test_damage.test_pipe_in_place_of_a_volume,
    "unknown-host": test_damage.test_a_damage_is_found_once,
    "unsigned": test_signed.test_a_signature_that_is_missing,
    "weak-cipher": test_rules.test_weak_cipher,
    "wrong-recipient": test_damage.test_sealed_to_somebody_else,
}


def test_every_rule_is_in_the_table() -> None:
    modules = [
        import_module(f"{rules.__name__}.{each.name}") for each in pkgutil.iter_modules(rules.__path__)
    ]
    codes = {
        found[1] for module in modules if (found := re.match(r"`([a-z-]+)`: ", module.__doc__ or ""))
    }
    assert codes == set(SEEN_ALONE)
    assert {each.judge.__module__ for each in modules if hasattr(each, "judge")} == {
        f"{rules.__name__}.{code.replace('-', '_')}" for code in codes
    }


@pytest.mark.parametrize("code", SEEN_ALONE)
def test_the_test_is_of_that_code_and_sees_it_alone(code: str) -> None:
    test = SEEN_ALONE[code]
    said = inspect.getsource(test)
    assert "only(" in said
    if test is test_damage.test_a_damage_is_found_once:
        assert code in {each[1] for each in test_damage.DAMAGES.values()}
    else:
        assert f'"{code}"' in said


@pytest.mark.parametrize(
    "code",
    [code for code, test in SEEN_ALONE.items() if [*inspect.signature(test).parameters] == ["shelves"]],
)
def test_it_is_seen_by_a_check_that_remembers_the_vault_as_whole(shelves: Shelves, code: str) -> None:
    """What a look remembers spares the next one work, and hides nothing from it. The damages of
    `test_a_damage_is_found_once` come after such a look, too.
    """
    shelves.settle()
    shelves.now += 2 * HOUR
    SEEN_ALONE[code](shelves)
