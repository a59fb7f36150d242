"""A mirror's shelves as a test wants them: real envelopes, real receipts, a real ledger, chosen times.

For what a real run cannot make in seconds: a year of history, strange clients, damage of every kind.
"""

import random
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from certificates import UNTIL, make_certificate, to_pem
from nightdrop.envelope.recipients import Recipient, parse_recipients
from nightdrop.envelope.sealing import Sealer
from nightdrop.ledger import Drop, Ledger
from nightdrop.mirror import load_mirror
from nightdrop.names import SetKey, format_time, parse_name
from nightdrop.receipts import Receipt, ReceiptFile, Source, digest
from nightdrop_check.findings import Finding
from nightdrop_check.judging import judge_mirror
from nightdrop_check.reports.report import Report
from nightdrop_check.scrub import Budget

NIGHT = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)
HOUR, DAY = 3600.0, 86400.0
SOURCE = Source(("/etc",), 10_000, 10, 0)


def certificate(name: str, until: datetime = UNTIL) -> bytes:
    """A recipient's certificate, PEM. Nobody keeps the key: the check needs none."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return to_pem(make_certificate(key, name, until=until))


def seal(plaintext: bytes, recipients: list[Recipient], cipher: str = "aes-256-gcm") -> bytes:
    """An envelope."""
    out = bytearray()
    sealer = Sealer(out.extend, recipients, cipher)  # type: ignore[arg-type]
    sealer.update(plaintext)
    sealer.finish()
    return bytes(out)


class Mirror:
    """A mirror of the test's own making, in a folder that can be copied elsewhere."""

    def __init__(self, folder: Path, pem: bytes) -> None:
        self.folder = folder
        self.config = folder / "mirror.toml"
        self.vault = folder / "vault"
        self.recipients = parse_recipients(pem, "test")
        self._previous: dict[str, str] = {}
        (folder / "state" / "hosts").mkdir(parents=True)
        self.vault.mkdir()
        self._ledger = Ledger(folder / "state" / "ledger.sqlite")
        (folder / "admin.pem").write_bytes(pem)
        self.config.write_text(
            'name = "backup.example.org"\nvault = "vault"\nstate = "state"\n'
            'url = "https://backup.example.org:8443"\nrecipients = ["admin.pem"]\n'
            # However full this machine's disk is.
            '[limits]\nreserve = "0"\n'
        )

    def close(self) -> None:
        """Let go of the ledger."""
        self._ledger.close()

    def enroll(self, host: str, kind: str = "duplicity", enrolled: str = "2026-01-01T00:00:00Z") -> None:
        """Let a host in."""
        (self.vault / host).mkdir()
        (self.folder / "state" / "hosts" / f"{host}.toml").write_text(
            f'host = "{host}"\nkind = "{kind}"\nenrolled = "{enrolled}"\n'
        )

    def drop(self, host: str, name: str, octets: bytes, when: datetime, ledger: bool = True) -> None:
        """What the door does: the file, and a line in the ledger."""
        (self.vault / host / name).write_bytes(octets)
        if ledger:
            self._ledger.record(Drop(host, name, len(octets), digest(octets), when.timestamp()))

    def put(
        self,
        host: str,
        key: SetKey,
        when: datetime,
        *,
        sizes: tuple[int, ...] = (9000, 4000),
        recipients: list[Recipient] | None = None,
        names: list[str] | None = None,
        receipt: bool = True,
        ledger: bool = True,
        previous: str | None = None,
        source: Source = SOURCE,
    ) -> None:
        """A whole set: volumes of these sizes, or files of these names."""
        if names is None:
            names = [f"{key.stem}.vol{n}.difftar.p7m" for n in range(1, len(sizes) + 1)]
            names += [key.signatures_name, key.manifest_name]
            sizes = (*sizes, 900, 300)
        files = []
        for name, size in zip(names, sizes, strict=True):
            # Not compressible, so that sizes are what they are.
            plaintext = random_octets(name, size)
            octets = seal(plaintext, recipients or self.recipients)
            self.drop(host, name, octets, when, ledger)
            files.append(ReceiptFile(name, len(octets), digest(octets)))
        if receipt:
            self.receipt(host, key, files, when, ledger=ledger, previous=previous, source=source)

    def receipt(
        self,
        host: str,
        key: SetKey,
        files: list[ReceiptFile],
        when: datetime,
        *,
        ledger: bool = True,
        previous: str | None = None,
        source: Source = SOURCE,
        started: datetime | None = None,
    ) -> None:
        """The receipt of a set, of a run that began then, or in the moment in which it comes."""
        if previous is None:
            previous = self._previous.get(host, "")
        begun, ended = (each.strftime("%Y-%m-%dT%H:%M:%SZ") for each in (started or when, when))
        octets = Receipt(
            host=host,
            set=key.stem,
            type=key.type,
            started=begun,
            finished=ended,
            files=tuple(files),
            recipients=tuple(recipient.fingerprint for recipient in self.recipients),
            tool="nightdrop test",
            source=source,
            previous=previous,
        ).to_bytes()
        self.drop(host, key.receipt_name, octets, when, ledger)
        self._previous[host] = digest(octets)

    def full(self, host: str, when: datetime, **more: object) -> SetKey:
        """A full by duplicity."""
        key = SetKey("duplicity", format_time(when), "full")
        self.put(host, key, when + timedelta(minutes=1), **more)  # type: ignore[arg-type]
        return key

    def inc(self, host: str, base: SetKey, when: datetime, **more: object) -> SetKey:
        """An incremental by duplicity."""
        key = SetKey("duplicity", format_time(when), "inc", base.end)
        more.setdefault("sizes", (700,))
        self.put(host, key, when + timedelta(minutes=1), **more)  # type: ignore[arg-type]
        return key


def random_octets(seed: str, size: int) -> bytes:
    """Octets that cannot be compressed, always the same for a seed."""
    return random.Random(seed).randbytes(size)


class Shelves:
    """A mirror's folder, whoever filled it: what a test damages and judges."""

    def __init__(self, config: Path, host: str, now: float) -> None:
        self.config = config
        self.mirror = load_mirror(config)
        self.host = host
        self.now = now

    @property
    def folder(self) -> Path:
        """The host's folder."""
        return self.mirror.vault / self.host

    def name(self, part: str, set_type: str = "full", number: int = 0) -> str:
        """The name of a file of the first, or of another, set of a type."""
        names = sorted(path.name for path in self.folder.iterdir())
        parsed = [found for name in names if (found := parse_name(name)) is not None]
        keys = sorted({each.set for each in parsed if each.set.type == set_type}, key=lambda k: k.end)
        return next(each.name for each in parsed if each.set == keys[number] and each.part == part)

    def path(self, part: str, set_type: str = "full", number: int = 0) -> Path:
        """The same, as a path."""
        return self.folder / self.name(part, set_type, number)

    def remove_set(self, set_type: str, number: int = 0) -> None:
        """Take a set away, every file of it."""
        parsed = parse_name(self.name("manifest", set_type, number))
        assert parsed is not None
        for path in list(self.folder.iterdir()):
            found = parse_name(path.name)
            if found is not None and found.set == parsed.set:
                path.unlink()

    def forget(self) -> None:
        """Lose the ledger."""
        for path in self.mirror.state.glob("*.sqlite*"):
            path.unlink()

    def check(self, after: float = 0, budget: Budget | None = None) -> Report:
        """Judge the mirror, so many seconds later."""
        return judge_mirror(self.mirror, self.now + after, budget=budget)

    def only(self, after: float = 0, budget: Budget | None = None) -> Finding:
        """The one finding there is, so many seconds later."""
        findings = self.check(after, budget).findings
        assert len(findings) == 1, [(f.code, f.sentence) for f in findings]
        assert findings[0].hint
        return findings[0]

    def settle(self) -> None:
        """Have the check look when nothing is wrong, so that it need not judge every set again."""
        assert self.codes(after=HOUR) == []
        assert self.sql("SELECT stem FROM settled_sets", book="check") == self.sql(
            "SELECT DISTINCT substr(name, 1, instr(name, '.receipt') - 1) FROM files "
            "WHERE name LIKE '%.receipt.json'",
            book="check",
        )

    def sql(self, statement: str, *values: object, book: str = "ledger") -> list[tuple[object, ...]]:
        """Ask, or alter, the ledger or the check's memory."""
        with closing(sqlite3.connect(self.mirror.state / f"{book}.sqlite")) as db, db:
            return db.execute(statement, values).fetchall()

    def configure(self, text: str) -> None:
        """Add to `mirror.toml`, at its end."""
        self.config.write_text(f"{self.config.read_text()}\n{text}\n")
        self.mirror = load_mirror(self.config)

    def codes(self, after: float = 0) -> list[str]:
        """The codes of all that is found."""
        return [finding.code for finding in self.check(after).findings]
