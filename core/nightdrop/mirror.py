"""What a mirror knows of itself: `mirror.toml`, which the door, enrolment and the check all read."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from nightdrop.addresses import is_host_or_address, web_address
from nightdrop.checking import CheckSettings, read_check_settings
from nightdrop.configuration import Section, load
from nightdrop.networks import Network, load_networks

DEFAULT_PATH = Path("/etc/nightdrop/mirror.toml")


@dataclass(frozen=True)
class Listen:
    """An address and port to listen on."""

    address: str
    port: int


@dataclass(frozen=True)
class Mirror:
    """A mirror's configuration.

    `vault` holds the hosts' folders, `state` everything else the mirror keeps: its ledger, its
    enrolled hosts, its certificate. `url` is what clients are told, without a slash at the end.
    `proxies` are networks of reverse proxies, whose word on a client's address is taken. `recipients`
    are files with certificates (PEM). `administration` is where the administrator's listener is, None
    for nowhere. A host may have `requests` under way at once. Sizes are in octets, durations in seconds.
    """

    path: Path
    name: str
    vault: Path
    state: Path
    listen: Listen
    url: str
    tls: bool
    proxies: tuple[Network, ...]
    recipients: tuple[Path, ...]
    reserve: int
    max_file: int
    requests: int
    check: CheckSettings
    administration: Listen | None

    @property
    def ledger(self) -> Path:
        """Where the ledger is."""
        return self.state / "ledger.sqlite"

    @property
    def inventory(self) -> Path:
        """What the check last saw here, for other mirrors: the administrator's listener gives it out."""
        return self.state / "inventory.json"

    @property
    def check_metrics(self) -> Path:
        """The check's last numbers, which the administrator's listener gives out with its own."""
        return self.state / "check.prom"

    @property
    def mails(self) -> Path:
        """The folder with the mails that wait to be sent, a file each."""
        return self.state / "mails"

    @property
    def hosts(self) -> Path:
        """The folder with one enrolment file a host."""
        return self.state / "hosts"

    @property
    def passwords(self) -> Path:
        """The htpasswd file."""
        return self.state / "htpasswd"

    @property
    def administrators(self) -> Path:
        """The htpasswd file of the administrator's listener."""
        return self.state / "administrators"

    @property
    def administration_tls(self) -> bool:
        """Whether the administrator's listener speaks TLS: everywhere but on loopback."""
        return self.administration is not None and not ip_address(self.administration.address).is_loopback

    @property
    def certificate(self) -> Path:
        """The door's TLS certificate (PEM)."""
        return self.state / "tls.crt"

    @property
    def key(self) -> Path:
        """The private key of the door's TLS certificate (PEM)."""
        return self.state / "tls.key"


def load_mirror(path: Path) -> Mirror:
    """Read a mirror's configuration; ConfigurationError names the file and key that is wrong."""
    section = load(path, "mirror configuration", "mirror.example.toml has every key, with its meaning")
    tls = section.flag("tls", True)
    limits = section.table("limits")
    administration = section.table("administration")
    state = section.file("state", "/var/lib/nightdrop/mirror")
    mirror = Mirror(
        path=path,
        name=section.text("name", expected='the mirror\'s name, such as "backup.example.org"'),
        vault=section.file("vault"),
        state=state,
        listen=_listen(section),
        url=web_address(section, tls=tls),
        tls=tls,
        proxies=tuple(load_networks(section, "proxies")),
        recipients=tuple(path.parent / name for name in section.texts("recipients")),
        reserve=limits.size("reserve", "1G"),
        max_file=limits.size("max_file", "1T"),
        requests=limits.integer("requests", 32, 1, 200),
        check=read_check_settings(section.table("check"), state),
        administration=_administration(administration),
    )
    for part in (limits, administration, section):
        part.finish()
    return mirror


def _listen(section: Section) -> Listen:
    expected = 'an address and a port, such as "[::]:8443" or "127.0.0.1:8443"'
    text = section.text("listen", "[::]:8443", expected)
    if (listen := _parse_listen(text)) is None:
        raise section.wrong("listen", expected, text)
    return listen


def _administration(section: Section) -> Listen | None:
    expected = (
        'a loopback or private address and a port, such as "127.0.0.1:8444", or "" for no such listener'
    )
    text = section.text("listen", "", expected)
    if not text:
        return None
    listen = _parse_listen(text)
    try:
        address = ip_address(listen.address) if listen else None
    except ValueError:
        address = None
    # Backups are given out here. Who is on the Internet must not even be able to ask.
    if listen is None or address is None or address.is_global or address.is_unspecified:
        raise section.wrong("listen", expected, text)
    return listen


def _parse_listen(text: str) -> Listen | None:
    """ADDRESS:PORT taken apart, an IPv6 address being in brackets; None if it is none."""
    address, colon, port = text.rpartition(":")
    address = address.removeprefix("[").removesuffix("]")
    if (
        not colon
        or not is_host_or_address(address)
        or not re.fullmatch(r"[0-9]{1,5}", port)
        or int(port) > 65535
    ):
        return None
    return Listen(address, int(port))
