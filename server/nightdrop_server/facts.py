"""What a mirror knows of each of its hosts: how much it keeps, and when something last came.

Names, sizes and times only; whether the backups are any good is for the check to say. A host that
cannot be looked at does not hide the others.
"""

from dataclasses import dataclass

from nightdrop.enrolment import EnrolledHost, load_host
from nightdrop.errors import ConfigurationError, NightdropError
from nightdrop.ledger import Drop, Ledger
from nightdrop.mirror import Mirror
from nightdrop.names import is_host_name, parse_name
from nightdrop.vault import StoredFile, Vault


@dataclass(frozen=True)
class Kept:
    """What a host has in the vault: how many files, their octets, and when the last of them came; when
    the last receipt did, which set it is of, and the octets of that set. Times are epoch seconds by
    the mirror's clock, None where nothing came.
    """

    files: int
    size: int
    last_drop: float | None
    last_receipt: float | None
    last_set: str
    last_set_size: int


@dataclass(frozen=True)
class HostFacts:
    """A host: how it is enrolled (None: it is not, or that cannot be read), what it keeps (None: that
    cannot be looked at), and what the matter is ("": nothing).
    """

    name: str
    enrolled: EnrolledHost | None
    kept: Kept | None
    trouble: str


def all_facts(mirror: Mirror, vault: Vault, ledger: Ledger) -> list[HostFacts]:
    """Every host that is enrolled or has a folder in the vault, sorted by name; VaultError if the vault
    cannot be looked at.
    """
    enrolments = set()
    if mirror.hosts.is_dir():
        enrolments = {path.stem for path in mirror.hosts.iterdir() if path.suffix == ".toml"}
    folders = set(filter(is_host_name, vault.hosts()))
    return [
        _facts(mirror, vault, ledger, name, name in enrolments) for name in sorted(enrolments | folders)
    ]


def _facts(mirror: Mirror, vault: Vault, ledger: Ledger, name: str, is_enrolled: bool) -> HostFacts:
    enrolled, kept, troubles = None, None, []
    if is_enrolled:
        try:
            enrolled = load_host(mirror.hosts / f"{name}.toml")
        except ConfigurationError as error:
            troubles.append(error.message)
    else:
        troubles.append("not enrolled")
    try:
        kept = _kept(vault.list(name), ledger.drops(name))
    except NightdropError as error:
        troubles.append(error.message)
    return HostFacts(name, enrolled, kept, "; ".join(troubles))


def _kept(files: list[StoredFile], drops: dict[str, Drop]) -> Kept:
    def received(file: StoredFile) -> float:
        # A file's own time is when it came, unless something touched it since.
        drop = drops.get(file.name)
        return drop.received if drop else file.changed

    regular = [file for file in files if file.regular]
    names = {file.name: parsed for file in regular if (parsed := parse_name(file.name))}
    receipts = [file for file in regular if file.name in names and names[file.name].part == "receipt"]
    last = max(receipts, key=received, default=None)
    last_set = names[last.name].set if last else None
    return Kept(
        files=len(regular),
        size=sum(file.size for file in regular),
        last_drop=max(map(received, regular), default=None),
        last_receipt=received(last) if last else None,
        last_set=last_set.stem if last_set else "",
        last_set_size=sum(f.size for f in regular if f.name in names and names[f.name].set == last_set),
    )
