"""What `mirror.toml` says under `[check]`: what is late, what is expected, how much is read."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import urlsplit

from nightdrop.configuration import Section
from nightdrop.mailing import MailSettings, read_mail_settings


@dataclass(frozen=True)
class Expected:
    """What is expected of the sets of one kind of one host: seconds until the newest set, and the newest
    full, are late; and octets of a full and an incremental, 0 where the sets before are to tell.
    """

    late_after: int
    full_late_after: int
    full: int = 0
    incremental: int = 0


@dataclass(frozen=True)
class Special:
    """What `[[check.expect]]` says otherwise of some hosts and kinds; 0 where it says nothing."""

    hosts: tuple[str, ...]
    kinds: tuple[str, ...]
    expected: Expected

    def holds_for(self, host: str, kind: str) -> bool:
        """Whether this is about such sets; `*` and `?` stand for what shells take them for."""
        return any(fnmatchcase(host, pattern) for pattern in self.hosts) and any(
            fnmatchcase(kind, pattern) for pattern in self.kinds
        )


@dataclass(frozen=True)
class Peer:
    """Another mirror that the same hosts drop on, whose administrator's listener is asked what it holds:
    its address, the certificate that TLS is pinned to (None: whom the system trusts), the file with the
    password of its user `peer`; after how many seconds without a look of its check it is silent, and how
    many seconds a set may be on one mirror only.
    """

    name: str
    url: str
    certificate: Path | None
    password: Path
    silent_after: int
    grace: int


@dataclass(frozen=True)
class CheckSettings:
    """The check's settings. A run reads at most `scrub_size` octets (0: no limit) and for `scrub_time`
    seconds; `scrub_every` is how many seconds a file may wait to be read again, `drill_every` after how
    many another drill is due (0: never). `mail` is None where nobody is to be mailed. `metrics` is a file
    to write, `ping` a URL to tell of each look, `notify` a configuration file of Apprise; None or ""
    where that is not wanted. `peers` are other mirrors that are looked after.
    """

    page: Path
    usual: Expected
    specials: tuple[Special, ...]
    scrub_size: int
    scrub_time: int
    scrub_every: int
    drill_every: int
    mail: MailSettings | None
    metrics: Path | None
    ping: str
    notify: Path | None
    peers: tuple[Peer, ...] = ()

    def expected(self, host: str, kind: str) -> Expected:
        """What is expected of the sets of a kind of a host; of several the later one wins."""
        found = self.usual
        for each in self.specials:
            if each.holds_for(host, kind):
                other = each.expected
                found = Expected(
                    other.late_after or found.late_after,
                    other.full_late_after or found.full_late_after,
                    other.full or found.full,
                    other.incremental or found.incremental,
                )
        return found


def read_check_settings(check: Section, state: Path) -> CheckSettings:
    """Read the table `[check]`."""
    settings = CheckSettings(
        page=check.file("page", str(state / "page")),
        usual=Expected(check.duration("late_after", "3D"), check.duration("full_late_after", "37D")),
        specials=tuple(_special(table) for table in check.tables("expect")),
        scrub_size=check.size("scrub_size", "0"),
        scrub_time=check.duration("scrub_time", "10m"),
        scrub_every=check.duration("scrub_every", "90D"),
        drill_every=check.duration("drill_every", "180D"),
        mail=read_mail_settings(check.table("mail")),
        metrics=check.file("metrics", "x") if check.text("metrics", "") else None,
        ping=_ping(check),
        notify=check.file("notify", "x") if check.text("notify", "") else None,
        peers=tuple(_peer(table) for table in check.tables("peer")),
    )
    check.finish()
    return settings


def _ping(check: Section) -> str:
    expected = 'an address such as "https://hc-ping.com/…"'
    text = check.text("ping", "", expected)
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("https", "http") and parts.hostname and (parts.port or True)
    except ValueError:
        good = False
    if text and not (good and text.isascii() and text.isprintable()):
        raise check.wrong("ping", expected, text)
    return text


def _peer(table: Section) -> Peer:
    found = Peer(
        name=table.text("name"),
        url=table.text("url").rstrip("/"),
        certificate=table.file("certificate", "x") if table.text("certificate", "") else None,
        password=table.file("password_file"),
        silent_after=table.duration("silent_after", "3D"),
        grace=table.duration("grace", "1D"),
    )
    table.finish()
    # A password goes there, so it goes over TLS, or nowhere but to this machine.
    if not found.url.startswith(("https://", "http://127.0.0.1:", "http://[::1]:")):
        raise table.wrong("url", 'an address such as "https://10.0.0.6:8444"', found.url)
    return found


def _special(table: Section) -> Special:
    found = Special(
        hosts=tuple(table.texts("hosts")),
        kinds=tuple(table.texts("kinds", ["*"])),
        expected=Expected(
            table.duration("late_after", "0s"),
            table.duration("full_late_after", "0s"),
            table.size("full", "0"),
            table.size("incremental", "0"),
        ),
    )
    table.finish()
    return found
