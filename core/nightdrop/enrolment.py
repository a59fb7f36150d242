"""Enrolment: what a mirror keeps of each host it lets in, and the bundle that the host is given.

The mirror's side is one small TOML file a host (the password's hash stands in the htpasswd file). The
bundle is one TOML file with all a host needs to drop: the mirrors, their certificates, user and
password on each, and the recipients. It holds passwords: whoever writes one writes it 0600.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, cast

from nightdrop.addresses import web_address
from nightdrop.configuration import Section, load, parse
from nightdrop.errors import ConfigurationError
from nightdrop.names import is_host_name
from nightdrop.networks import Network, is_inside, load_networks
from nightdrop.secrets import Secret, text_or_secret

if TYPE_CHECKING:
    from nightdrop.mirror import Mirror

BUNDLE_FORMAT: Final = "nightdrop-bundle/1"

_BUNDLE_HINT: Final = "`nightdrop enroll HOST` on a mirror makes one"

HostKind = Literal["duplicity", "shell"]
HOST_KINDS: Final = ("duplicity", "shell")


@dataclass(frozen=True)
class EnrolledHost:
    """A host that a mirror lets in: its name, what kind of client it runs, when it was enrolled
    (RFC 3339), how many octets it may keep there (0: as many as there is room for), and the networks it
    may come from (none: any). `signers` are certificates (PEM) by which its receipts are signed that
    come after `signed_since` (RFC 3339); none of a host that does not sign.
    """

    name: str
    kind: HostKind
    enrolled: str
    quota: int
    networks: tuple[Network, ...] = ()
    signers: tuple[str, ...] = ()
    signed_since: str = ""

    def may_come_from(self, address: str) -> bool:
        """Whether it is let in from this address."""
        return not self.networks or is_inside(address, self.networks)


@dataclass(frozen=True)
class BundleMirror:
    """One mirror as a client knows it: `certificate` is the PEM that TLS is pinned to, "" for none;
    `secret` is where the password is, if that does not stand in the bundle itself.
    """

    name: str
    url: str
    user: str
    password: str
    certificate: str
    secret: Secret | None = None


@dataclass(frozen=True)
class Bundle:
    """All a host needs to drop. `recipients` are certificates, PEM."""

    host: str
    mirrors: tuple[BundleMirror, ...]
    recipients: tuple[str, ...]


def load_host(path: Path) -> EnrolledHost:
    """Read one enrolment file."""
    section = load(path, "enrolment", "mend it, or `nightdrop revoke` the host and enrol it anew")
    host = EnrolledHost(
        name=section.text("host"),
        kind=cast(HostKind, section.choice("kind", HOST_KINDS, "duplicity")),
        enrolled=section.text("enrolled"),
        quota=section.size("quota", "0"),
        networks=tuple(load_networks(section, "networks")),
        signers=tuple(section.texts("signers", [])),
        signed_since=section.text("signed_since", ""),
    )
    section.finish()
    if host.name != path.stem or not is_host_name(host.name):
        raise section.wrong("host", f'"{path.stem}", as the file is called', host.name)
    return host


def load_hosts(mirror: "Mirror") -> list[EnrolledHost]:
    """Every enrolled host, sorted by name."""
    if not mirror.hosts.is_dir():
        return []
    return [load_host(path) for path in sorted(mirror.hosts.glob("*.toml"))]


def load_bundle(path: Path) -> Bundle:
    """Read a bundle."""
    return _bundle(load(path, "bundle", _BUNDLE_HINT))


def parse_bundle(octets: bytes, path: Path) -> Bundle:
    """The same of a bundle that was read already; `path` is where it came from."""
    return _bundle(parse(octets, path, "bundle", _BUNDLE_HINT))


def _bundle(section: Section) -> Bundle:
    path = section.path
    if section.text("format") != BUNDLE_FORMAT:
        raise ConfigurationError(
            f"{path}: this is not a bundle of the format {BUNDLE_FORMAT}", section.hint
        )
    mirrors = []
    for table in section.tables("mirror"):
        password, secret = text_or_secret(table, "password")
        mirrors.append(
            BundleMirror(
                name=table.text("name"),
                url=web_address(table),
                user=table.text("user"),
                password=password,
                certificate=_certificate(table),
                secret=secret,
            )
        )
        table.finish()
        # What a client dropped where, it remembers by this name.
        if mirrors[-1].name in [known.name for known in mirrors[:-1]]:
            raise table.wrong("name", "another one for each mirror", mirrors[-1].name)
    bundle = Bundle(section.text("host"), tuple(mirrors), tuple(section.texts("recipients")))
    section.finish()
    if not is_host_name(bundle.host):
        raise section.wrong("host", "the name of a host", bundle.host)
    if not mirrors:
        raise ConfigurationError(f"{path}: this bundle names no mirror", section.hint)
    if not bundle.recipients:
        raise ConfigurationError(f"{path}: this bundle names no recipient", section.hint)
    return bundle


def _certificate(table: Section) -> str:
    text = table.text("certificate", "")
    if not text.isascii():
        raise table.wrong("certificate", "a certificate in PEM", text)
    return text
