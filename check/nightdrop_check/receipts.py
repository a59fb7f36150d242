"""Reading one host's receipts, and their signatures. What the host wrote is not believed: receipts are
read up to a limit, each and all together, and parsed with suspicion.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from nightdrop.enrolment import EnrolledHost
from nightdrop.errors import ConfigurationError, ReceiptError, SignatureError, VaultError
from nightdrop.names import SetKey, parse_time
from nightdrop.receipts import MAX_SIZE, digest, parse_receipt
from nightdrop.signatures import LONGEST, load_signers, verify
from nightdrop.vault import Ends, FolderVault, Wanted
from nightdrop_check.shelf import ReadReceipt, ShelfFile, SignatureState

RECEIPTS_TOGETHER: Final = 40_000_000
"""Octets of one host's receipts that are read in one look; those of settled sets need no reading."""


class Receipts:
    """The receipts of one host. `irregular` are names of things in its folder that are no files."""

    def __init__(self, vault: FolderVault, host: EnrolledHost, irregular: frozenset[str]) -> None:
        self._vault = vault
        self._host = host
        self._irregular = irregular
        self._room = RECEIPTS_TOGETHER
        self._signed_since = _epoch(host.signed_since)

    def is_there(self, name: str) -> bool:
        """Whether something has this name, whatever it is."""
        return name in self._irregular or self._vault.stat(self._host.name, name) is not None

    def read(self, sets: Mapping[SetKey, Mapping[str, ShelfFile]]) -> Iterator[ReadReceipt]:
        """The receipts of sets with these files, one after the other."""
        told = {key: self._without_reading(key, files) for key, files in sets.items()}
        names = {key.receipt_name: files for key, files in sets.items() if told[key] is None}
        wanted = [Wanted(name, files[name].size + 1) for name, files in names.items()]
        ends = self._vault.ends(self._host.name, wanted) if wanted else iter(())
        for key, files in sets.items():
            yield told[key] or self._judge(key, files, next(ends))

    def _without_reading(self, key: SetKey, files: Mapping[str, ShelfFile]) -> ReadReceipt | None:
        """What is to be told of a receipt that is not to be read."""
        name = key.receipt_name
        if name in self._irregular:
            return ReadReceipt(None, "irregular")
        if (file := files.get(name)) is None:
            return ReadReceipt(None, "absent")
        if file.size > MAX_SIZE:
            return ReadReceipt(None, "wrong", f"it is longer than {MAX_SIZE:,} octets")
        if file.size > self._room:
            return ReadReceipt(None, "unreadable", "the receipts of this host are too long together")
        self._room -= file.size
        return None

    def _judge(self, key: SetKey, files: Mapping[str, ShelfFile], read: Ends | VaultError) -> ReadReceipt:
        """A receipt of which this was read."""
        if isinstance(read, VaultError):
            return ReadReceipt(None, "unreadable", str(read))
        octets = read.head
        try:
            receipt = parse_receipt(octets, key, self._host.name)
        except ReceiptError as error:
            return ReadReceipt(None, "wrong", error.message, digest(octets))
        signature, problem = self._signature(key, files, octets)
        return ReadReceipt(receipt, "usable", "", digest(octets), signature, problem)

    def _signature(
        self, key: SetKey, files: Mapping[str, ShelfFile], octets: bytes
    ) -> tuple[SignatureState, str]:
        """How it is with the signature of a receipt with these octets, and why."""
        if not self._host.signers:
            return "not asked for", ""
        if (file := files.get(key.signature_name)) is None:
            return "absent" if self._has_to_be_signed(files[key.receipt_name]) else "not asked for", ""
        try:
            signers = load_signers("\n".join(self._host.signers), "its enrolment")
            verify(self._read(key.signature_name, min(file.size, LONGEST)), octets, signers)
        except SignatureError as error:
            return "bad", error.message
        except (ConfigurationError, VaultError, OSError) as error:
            return "unreadable", str(error)
        return "good", ""

    def _has_to_be_signed(self, receipt: ShelfFile) -> bool:
        """Whether it came after the signer was enrolled: without a ledger, by what its name says."""
        came = receipt.received if receipt.drop else parse_time(receipt.name.set.end).timestamp()
        return came > self._signed_since

    def _read(self, name: str, size: int) -> bytes:
        """A file of this size, and one octet more if there is one."""
        [ends] = self._vault.ends(self._host.name, [Wanted(name, size + 1)])
        if isinstance(ends, VaultError):
            raise ends
        return ends.head


def _epoch(text: str) -> float:
    """The end of the second that an enrolment names, 0 if it names none."""
    try:
        return datetime.fromisoformat(text).timestamp() + 1
    except ValueError:
        return 0.0
