"""The end of a set: supplement, receipt's signature and receipt reach every mirror that has all the rest.

Can be broken off anywhere and done again: what is to be sent lies in the outbox first, byte for byte,
because a name on a mirror takes one content only, and sealing twice gives two.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from duplicity import __version__ as duplicity_version

from nightdrop import __version__
from nightdrop.envelope.recipients import Recipient
from nightdrop.errors import NightdropError
from nightdrop.files import whole_file
from nightdrop.names import SetKey, parse_name
from nightdrop.receipts import Receipt, ReceiptFile, Source, digest
from nightdrop_client.configuration import Client
from nightdrop_client.droplog import DropLog, FinishedSet
from nightdrop_client.mirrors import Mirrors
from nightdrop_client.rotation import recipients_of
from nightdrop_client.state import State


@dataclass
class Settled:
    """For each set touched, the mirrors without its receipt; and what went wrong without costing a mirror
    anything.
    """

    lacking: dict[str, list[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def settle(client: Client, state: State, log: DropLog, mirrors: Mirrors) -> Settled:
    """Send what finished sets still lack."""
    settled = Settled()
    for done in log.sets():
        if log.receipt_of(done.key) is None:
            recipients = recipients_of(client, state, done.key, [each.key for each in log.sets()])
            _write_supplement(client, state, done, recipients)
            _send(state.outbox / done.key.supplement_name, log, mirrors, _having(log, done.key))
            _write_receipt(client, state, log, done, recipients)
        elif not (state.outbox / done.key.receipt_name).exists():
            continue
        lacking, problem = _send_all(client, state, log, mirrors, done.key)
        settled.lacking[done.key.stem] = lacking
        settled.problems += [problem] if problem else []
    return settled


def _send_all(
    client: Client, state: State, log: DropLog, mirrors: Mirrors, key: SetKey
) -> tuple[list[str], str]:
    """Send supplement, signature, receipt where they are lacked; clear what nobody can use any more. The
    mirrors without the receipt, and what went wrong without costing one anything.
    """
    receipt = state.outbox / key.receipt_name
    before = [state.outbox / name for name in (key.supplement_name, key.signature_name)]
    whole = _having(log, key)
    for path in before:
        _send(path, log, mirrors, whole)
        if path.exists():
            whole = [name for name in whole if path.name in log.files(key, name)]
    file, took = _offer(receipt, log, mirrors, whole)
    names = [mirror.name for mirror in client.bundle.mirrors]
    lacking = [name for name in names if name not in took and receipt.name not in log.files(key, name)]
    try:
        if file is not None:
            log.record(took, key, file)
    except NightdropError as error:
        # The set is whole there, though it is not known here: the next run offers the receipt again.
        return lacking, error.message
    # A mirror that missed a volume will never have this set, so there is nothing to keep for it.
    if not set(lacking) & set(_having(log, key)):
        for path in (*before, receipt):
            path.unlink(missing_ok=True)
    return lacking, ""


def _having(log: DropLog, key: SetKey) -> list[str]:
    """The mirrors that have everything duplicity made for this set."""
    wanted = {name for name in log.files(key) if _made_by_duplicity(name)}
    return [mirror for mirror in log.mirrors() if wanted <= log.files(key, mirror).keys()]


def _made_by_duplicity(name: str) -> bool:
    parsed = parse_name(name)
    return parsed is not None and parsed.part not in ("supplement", "receipt", "receipt-signature")


def _send(path: Path, log: DropLog, mirrors: Mirrors, takers: Sequence[str]) -> None:
    """Put a file of the outbox, if it is there, on those of the takers that live and lack it; and write
    that down.
    """
    file, took = _offer(path, log, mirrors, takers)
    if file is not None:
        log.record(took, _set_of(path), file)


def _offer(
    path: Path, log: DropLog, mirrors: Mirrors, takers: Sequence[str]
) -> tuple[ReceiptFile | None, list[str]]:
    """The same without writing it down: the file's facts, and who took it; None where nobody wants it."""
    wanting = [name for name in takers if path.name not in log.files(_set_of(path), name)]
    return mirrors.drop(path, path.name, only=wanting) if wanting and path.exists() else (None, [])


def _set_of(path: Path) -> SetKey:
    parsed = parse_name(path.name)
    assert parsed is not None
    return parsed.set


def _write_supplement(
    client: Client, state: State, done: FinishedSet, recipients: Sequence[Recipient]
) -> None:
    path = state.outbox / done.key.supplement_name
    if not done.supplement or path.exists():
        return
    # Most sets have none, and what sealing stands on takes long to import.
    from nightdrop.envelope.sealing import Sealer

    with whole_file(path, 0o600) as file:
        sealer = Sealer(file.write, recipients, client.cipher, client.compress)
        sealer.update(done.supplement)
        sealer.finish()


def _write_receipt(
    client: Client, state: State, log: DropLog, done: FinishedSet, recipients: Sequence[Recipient]
) -> None:
    files = {name: file for name, file in log.files(done.key).items() if parse_name(name)}
    files.pop(done.key.receipt_name, None)
    receipt = Receipt(
        host=client.bundle.host,
        set=done.key.stem,
        type=done.key.type,
        started=_rfc3339(done.started),
        finished=_rfc3339(done.finished),
        files=tuple(_in_order(list(files.values()))),
        recipients=tuple(recipient.fingerprint for recipient in recipients),
        tool=f"nightdrop {__version__}, duplicity {duplicity_version}",
        source=Source(
            (*client.include, *client.sources.places),
            done.size,
            done.files,
            done.unread,
            tuple(sorted(done.failed)),
        ),
        previous=log.last_receipt(),
    )
    octets = receipt.to_bytes()
    signature = state.outbox / done.key.signature_name
    signature.unlink(missing_ok=True)  # a run that was cut short may have signed another receipt
    signed = None
    if client.signing_key:
        made = client.signing_key.sign(octets)
        signed = ReceiptFile(signature.name, len(made), digest(made))
        with whole_file(signature, 0o600) as file:
            file.write(made)
    with whole_file(state.outbox / done.key.receipt_name, 0o600) as file:
        file.write(octets)
    log.issue(done.key, digest(octets), signed)


def _in_order(files: list[ReceiptFile]) -> list[ReceiptFile]:
    """Volumes by number, then the rest: the order in which they were sent."""

    def place(file: ReceiptFile) -> tuple[float, str]:
        parsed = parse_name(file.name)
        return (parsed.volume if parsed and parsed.volume else float("inf"), file.name)

    return sorted(files, key=place)


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
