"""Which receipt of a set to go by, where vaults have different ones: a mirror may lie, and disks fail.

One that the host signed counts before all others; then one that is about the files that are there. Only
where these leave a choice are files read, those of which the receipts say different things. Where nothing
tells them apart, the first vault's is taken, and that is said: whoever rules a mirror can seal a backup
of their own making to the same key, and write a receipt to fit.
"""

from collections import Counter
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightdrop.errors import ReceiptError, SignatureError, VaultError
from nightdrop.names import SetKey
from nightdrop.receipts import MAX_SIZE, Receipt, parse_receipt
from nightdrop.signatures import LONGEST, verify
from nightdrop_restore.vaults.copies import Place, SilentError, Stored, stored_digest

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


@dataclass(frozen=True)
class Trusted:
    """The receipt to go by, None if there is none, and what is wrong with that, "" for nothing; the
    receipts that are not gone by, in words; whether one of those might have been the right one; and,
    where signers are known, why none of them signed it, "" if one did.
    """

    receipt: Receipt | None
    problem: str
    passed: tuple[str, ...] = ()
    doubtful: bool = False
    unsigned: str = ""


@dataclass(frozen=True)
class _Candidate:
    place: Place
    octets: bytes
    receipt: Receipt


def trusted_receipt(
    host: str, key: SetKey, stored: Stored, signers: tuple["Certificate", ...] = ()
) -> Trusted:
    """The receipt of a set of `host` to go by. `signers` are the certificates the host signs with."""
    found: list[_Candidate] = []
    wrong: list[tuple[Place, str]] = []
    silent: SilentError | None = None
    for place, _size in stored.get(key.receipt_name, ()):
        try:
            octets = _read(place, host, key.receipt_name, MAX_SIZE)
            if octets not in [one.octets for one in found]:
                found.append(_Candidate(place, octets, parse_receipt(octets, key, host)))
        except ReceiptError as error:
            wrong.append((place, f"its receipt is none: {error.message}"))
        except SilentError as error:
            silent = error
        except (VaultError, OSError) as error:
            wrong.append((place, f"its receipt cannot be read: {error}"))
    if not found and silent is not None:
        raise silent
    if not found:
        problem = wrong[0][1] if wrong else ""
        return Trusted(None, problem, unsigned="there is no receipt" if signers else "")

    def unsigned(one: _Candidate) -> str:
        return _unsigned(host, key, one.octets, stored, signers) if signers else ""

    if len(found) > 1:
        found, wrong = _divided(found, wrong, unsigned)
    if len(found) > 1:
        found, wrong = _divided(found, wrong, lambda one: _unlike_stored(one.receipt, stored))
    if len(found) > 1:
        differing = _differing([one.receipt for one in found])
        found, wrong = _divided(
            found, wrong, lambda one: _unlike_content(host, one.receipt, differing, stored)
        )
    receipt = found[0].receipt
    passed = [f"the receipt of {key.stem} in {place.name} does not count: {why}" for place, why in wrong]
    passed += [
        f"the receipt of {key.stem} in {one.place.name} is another one than in {found[0].place.name}, "
        "and nothing tells which is the host's"
        for one in found[1:]
    ]
    problem, doubtful = _unlike_stored(receipt, stored), len(found) > 1
    return Trusted(receipt, problem, tuple(passed), doubtful, unsigned(found[0]))


def _unsigned(
    host: str, key: SetKey, receipt: bytes, stored: Stored, signers: tuple["Certificate", ...]
) -> str:
    """Why none of the signers signed a receipt, wherever its signature may be; "" if one did."""
    reason = "there is no signature"
    for place, _size in stored.get(key.signature_name, ()):
        try:
            verify(_read(place, host, key.signature_name, LONGEST), receipt, signers)
        except SignatureError as error:
            reason = error.message
        except (VaultError, OSError) as error:
            reason = str(error)
        else:
            return ""
    return reason


def _divided(
    found: list[_Candidate], wrong: list[tuple[Place, str]], test: Callable[[_Candidate], str]
) -> tuple[list[_Candidate], list[tuple[Place, str]]]:
    """Those that a test finds good, and what is wrong with the others; all, if it finds none good."""
    reasons = [(one, test(one)) for one in found]
    good = [one for one, reason in reasons if not reason]
    if not good:
        return found, wrong
    return good, wrong + [(one.place, reason) for one, reason in reasons if reason]


def _unlike_stored(receipt: Receipt, stored: Stored) -> str:
    """What a vault lacks of what a receipt names; "" for nothing."""
    for file in receipt.files:
        sizes = [size for _place, size in stored.get(file.name, ())]
        if not sizes:
            return f"it lacks {file.name}"
        if file.size not in sizes:
            return f"{file.name} is not as long as its receipt says"
    return ""


def _differing(receipts: Sequence[Receipt]) -> set[str]:
    """The files of which these receipts say different things."""
    told = Counter(file for receipt in receipts for file in set(receipt.files))
    return {file.name for file, times in told.items() if times < len(receipts)}


def _unlike_content(host: str, receipt: Receipt, names: Set[str], stored: Stored) -> str:
    """Which of these files no place has as a receipt says; "" for none."""
    for file in receipt.files:
        if file.name in names and not any(
            size == file.size and _digest(place, host, file.name) == file.sha256
            for place, size in stored.get(file.name, ())
        ):
            return f"{file.name} is not what it says"
    return ""


def _digest(place: Place, host: str, name: str) -> str:
    """The SHA-256 of a file; "" if it cannot be read."""
    try:
        return stored_digest(place.vault, host, name)
    except (VaultError, OSError):
        return ""


def _read(place: Place, host: str, name: str, most: int) -> bytes:
    """The octets of a file, and one more than `most` where there are more."""
    with place.vault.open(host, name) as file:
        return file.read(most + 1)
