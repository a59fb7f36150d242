"""The rules, one module each: `judge` looks at a host, or at the house, and yields findings.

A rule may raise VaultError or OSError when it cannot look; `nightdrop_check.judging` makes a finding of
that. No rule says what another says: a damage is told once.
"""

from collections.abc import Callable, Iterator
from typing import Final

from nightdrop_check.findings import Finding
from nightdrop_check.rules import (
    bad_signature,
    broken_chain,
    clock_skew,
    corrupt,
    could_not_look,
    disk_near_full,
    drill_due,
    fork,
    grown,
    incomplete,
    key_expiring,
    late,
    mirror_differs,
    missing,
    not_encrypted,
    overwrite_refused,
    peer_silent,
    quota_near,
    scrub_overdue,
    shrunk,
    source_errors,
    truncated,
    unknown_file,
    unknown_host,
    unsigned,
    weak_cipher,
    wrong_recipient,
)
from nightdrop_check.view import House, View

HOST_RULES: Final[tuple[Callable[[View], Iterator[Finding]], ...]] = (
    missing.judge,
    late.judge,
    incomplete.judge,
    broken_chain.judge,
    fork.judge,
    corrupt.judge,
    truncated.judge,
    not_encrypted.judge,
    weak_cipher.judge,
    wrong_recipient.judge,
    shrunk.judge,
    grown.judge,
    source_errors.judge,
    overwrite_refused.judge,
    quota_near.judge,
    unsigned.judge,
    bad_signature.judge,
    clock_skew.judge,
    unknown_file.judge,
    could_not_look.judge,
)

HOUSE_RULES: Final[tuple[Callable[[House], Iterator[Finding]], ...]] = (
    unknown_host.judge,
    disk_near_full.judge,
    scrub_overdue.judge,
    key_expiring.judge,
    drill_due.judge,
    clock_skew.judge_house,
    peer_silent.judge,
    mirror_differs.judge,
)
