"""Enrolling a host: its folder in the vault, its password, its enrolment file, its bundle; and revoking.

The password exists in two places only: hashed in the htpasswd file, and in the bundle, which goes to
the host. A bundle that another mirror began is added to, so that a host gets one file for all.
"""

import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import tomli_w

from nightdrop.enrolment import (
    BUNDLE_FORMAT,
    Bundle,
    BundleMirror,
    EnrolledHost,
    HostKind,
    load_bundle,
    load_host,
)
from nightdrop.envelope.public_keys import require_sealable
from nightdrop.envelope.recipients import load_recipients, parse_recipients
from nightdrop.errors import ConfigurationError, UsageError
from nightdrop.files import sync
from nightdrop.mirror import Mirror
from nightdrop.names import is_host_name
from nightdrop.networks import Network
from nightdrop_server.files import make_folder, write_private
from nightdrop_server.passwords import hash_password, new_password, parse_htpasswd
from nightdrop_server.state import locked, prepare
from nightdrop_server.tls import ANEW, expired, load_certificate


def recipients_of(mirror: Mirror) -> list[str]:
    """Every recipient that bundles from here name, as PEM; ConfigurationError for a file that is none, or
    of one that nobody can seal to.
    """
    recipients = [recipient for path in mirror.recipients for recipient in load_recipients(path)]
    require_sealable(recipients)
    return [recipient.pem for recipient in recipients]


def check_host_name(host: str) -> None:
    """UsageError unless this may be the name of a host."""
    if not is_host_name(host):
        raise UsageError(
            f"{host!r} cannot be the name of a host",
            "lower-case letters, digits, and inside dots, hyphens and underscores: web1, fw.example.org",
        )


class Wishes(NamedTuple):
    """What an administrator says of a host; None where nothing is said."""

    kind: HostKind | None = None
    quota: int | None = None
    networks: tuple[Network, ...] | None = None
    signers: tuple[str, ...] | None = None


def enrol(mirror: Mirror, name: str, wishes: Wishes, *, again: bool) -> BundleMirror:
    """Let a host drop here, with a new password; what its bundle says of this mirror.

    UsageError if it is enrolled already and not `again`. Enrolled again, it keeps what is not said anew.
    """
    check_host_name(name)
    prepare(mirror)
    with locked(mirror):
        if mirror.tls and expired(load_certificate(mirror)):
            raise ConfigurationError(f"{mirror.certificate} has expired, and hosts refuse it", ANEW)
        enrolment = mirror.hosts / f"{name}.toml"
        if not again and (enrolment.exists() or name in _enrolled_users(mirror)):
            raise UsageError(
                f"{name} is enrolled on {mirror.name} already",
                "with --again it gets a new password, and its old bundle stops working",
            )
        known = load_host(enrolment) if enrolment.exists() else EnrolledHost(name, "duplicity", _now(), 0)
        if wishes.signers and wishes.signers != known.signers:
            known = replace(known, signed_since=_now())
        said = {field: value for field, value in wishes._asdict().items() if value is not None}
        make_folder(mirror.vault / name)
        write_private(enrolment, enrolment_text(replace(known, **said)).encode())
        password = new_password()
        set_password(mirror.passwords, name, password)
        certificate = mirror.certificate.read_text() if mirror.tls else ""
    return BundleMirror(mirror.name, mirror.url, name, password, certificate)


def revoke(mirror: Mirror, name: str) -> None:
    """Let a host in no more. What it dropped stays. UsageError if it is not enrolled."""
    check_host_name(name)
    if not mirror.state.is_dir():
        raise _not_enrolled(mirror, name)
    with locked(mirror):
        enrolment = mirror.hosts / f"{name}.toml"
        if not enrolment.exists() and name not in _enrolled_users(mirror):
            raise _not_enrolled(mirror, name)
        set_password(mirror.passwords, name, None)
        enrolment.unlink(missing_ok=True)
        sync(mirror.hosts)


def enrolment_text(host: EnrolledHost) -> str:
    """The enrolment file of a host."""
    fields: dict[str, object] = {"host": host.name, "kind": host.kind, "enrolled": host.enrolled}
    if host.quota:
        fields["quota"] = str(host.quota)
    if host.networks:
        fields["networks"] = [str(network) for network in host.networks]
    if host.signers:
        fields |= {"signers": list(host.signers), "signed_since": host.signed_since}
    return tomli_w.dumps(fields)


def set_password(path: Path, user: str, password: str | None) -> None:
    """Give a user of an htpasswd file another password, or, with None, none any more."""
    lines = path.read_bytes().splitlines() if path.exists() else []
    kept = [line for line in lines if line.partition(b":")[0] != user.encode()]
    if password is not None:
        kept.append(user.encode() + b":" + hash_password(password))
    write_private(path, b"".join(line + b"\n" for line in kept))


def begun_bundle(path: Path, host: str) -> Bundle | None:
    """The bundle of this host that another mirror (or this one, before) wrote to a file; None without a
    file. UsageError if the file is something else.
    """
    if path.is_symlink() or not path.parent.is_dir() or (path.exists() and not path.is_file()):
        raise UsageError(f"{path}: a bundle can only be written to a plain file in a folder that exists")
    if not path.exists():
        return None
    bundle = load_bundle(path)
    if bundle.host != host:
        raise UsageError(
            f"{path} is the bundle of {bundle.host}, not of {host}", "choose another file with -o"
        )
    return bundle


def require_name_of_its_own(path: Path, begun: Bundle, mirror: Mirror) -> None:
    """Refuse to put a mirror in the place of another one that only has the same name."""
    for known in begun.mirrors:
        if known.name == mirror.name and known.url != mirror.url:
            raise UsageError(
                f"{path} has a mirror {known.name} already, and its address is {known.url}",
                "each mirror needs a `name` of its own in mirror.toml; if it is the same one under a new "
                "address, take its old entry out of the bundle first",
            )


def merged_bundle(begun: Bundle | None, host: str, entry: BundleMirror, recipients: list[str]) -> Bundle:
    """The host's bundle with this mirror in it, in place of an entry of the same name or address."""
    mirrors = begun.mirrors if begun else ()
    kept = [mirror for mirror in mirrors if mirror.name != entry.name and mirror.url != entry.url]
    known = parse_recipients("\n".join(begun.recipients).encode(), "the bundle") if begun else []
    recipients = [recipient.pem for recipient in known] + recipients
    return Bundle(host, (*kept, entry), tuple(dict.fromkeys(recipients)))


def bundle_text(bundle: Bundle) -> str:
    """A bundle as it is written: TOML, with passwords in it."""
    mirrors = [
        {"name": m.name, "url": m.url, "user": m.user}
        | {"password": m.secret.as_table() if m.secret else m.password}
        | ({"certificate": m.certificate} if m.certificate else {})
        for m in bundle.mirrors
    ]
    fields = {
        "format": BUNDLE_FORMAT,
        "host": bundle.host,
        "recipients": list(bundle.recipients),
        "mirror": mirrors,
    }
    return (
        f"# What {bundle.host} needs to drop its backups. It holds passwords: keep it 0600.\n"
        + tomli_w.dumps(fields, multiline_strings=True)
    )


def _enrolled_users(mirror: Mirror) -> set[str]:
    return set(parse_htpasswd(mirror.passwords.read_bytes())) if mirror.passwords.exists() else set()


def _not_enrolled(mirror: Mirror, name: str) -> UsageError:
    return UsageError(f"{name} is not enrolled on {mirror.name}", "`nightdrop hosts` lists who is")


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
