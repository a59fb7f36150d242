"""Enrolling a host: its folder in the vault, its password, its enrolment file, and its bundle.

The password exists in two places only: hashed in the htpasswd file, and in the bundle, which goes to
the host. A bundle that another mirror began is added to, so that a host gets one file for all.
"""

import secrets
import time
from pathlib import Path

import tomli_w

from nightdrop.enrolment import BUNDLE_FORMAT, Bundle, BundleMirror, EnrolledHost, load_bundle
from nightdrop.envelope.recipients import load_recipients, parse_recipients
from nightdrop.errors import UsageError
from nightdrop.mirror import Mirror
from nightdrop.names import is_host_name
from nightdrop_server.files import make_folder, write_private
from nightdrop_server.passwords import hash_password, parse_htpasswd
from nightdrop_server.state import locked, prepare


def recipients_of(mirror: Mirror) -> list[str]:
    """Every recipient that bundles from here name, as PEM; ConfigurationError for a file that is none."""
    return [recipient.pem for path in mirror.recipients for recipient in load_recipients(path)]


def check_host_name(host: str) -> None:
    """UsageError unless this may be the name of a host."""
    if not is_host_name(host):
        raise UsageError(
            f"{host!r} cannot be the name of a host",
            "lower-case letters, digits, and inside dots, hyphens and underscores: web1, fw.example.org",
        )


def enrol(mirror: Mirror, host: EnrolledHost, *, again: bool) -> BundleMirror:
    """Let a host drop here, with a new password; what its bundle says of this mirror.

    UsageError if it is enrolled already and not `again`.
    """
    check_host_name(host.name)
    prepare(mirror)
    with locked(mirror):
        enrolment = mirror.hosts / f"{host.name}.toml"
        if not again and (enrolment.exists() or host.name in _enrolled_users(mirror)):
            raise UsageError(
                f"{host.name} is enrolled on {mirror.name} already",
                "with --again it gets a new password, and its old bundle stops working",
            )
        make_folder(mirror.vault / host.name)
        write_private(enrolment, enrolment_text(host).encode())
        password = secrets.token_urlsafe(32)
        _set_password(mirror, host.name, password)
    certificate = mirror.certificate.read_text() if mirror.tls else ""
    return BundleMirror(mirror.name, mirror.url, host.name, password, certificate)


def enrolment_text(host: EnrolledHost) -> str:
    """The enrolment file of a host."""
    fields = {"host": host.name, "kind": host.kind, "enrolled": host.enrolled}
    return tomli_w.dumps(fields | ({"quota": str(host.quota)} if host.quota else {}))


def now() -> str:
    """The time, as enrolment files write it (RFC 3339)."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


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


def merged_bundle(begun: Bundle | None, host: str, entry: BundleMirror, recipients: list[str]) -> Bundle:
    """The host's bundle with this mirror in it, in place of an entry of the same name."""
    mirrors = begun.mirrors if begun else ()
    kept = [mirror for mirror in mirrors if mirror.name != entry.name]
    known = parse_recipients("\n".join(begun.recipients).encode(), "the bundle") if begun else []
    recipients = [recipient.pem for recipient in known] + recipients
    return Bundle(host, (*kept, entry), tuple(dict.fromkeys(recipients)))


def bundle_text(bundle: Bundle) -> str:
    """A bundle as it is written: TOML, with passwords in it."""
    mirrors = [
        {"name": m.name, "url": m.url, "user": m.user, "password": m.password}
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
    return set(parse_htpasswd(_htpasswd(mirror)))


def _htpasswd(mirror: Mirror) -> bytes:
    return mirror.passwords.read_bytes() if mirror.passwords.exists() else b""


def _set_password(mirror: Mirror, user: str, password: str) -> None:
    kept = [line for line in _htpasswd(mirror).splitlines() if line.partition(b":")[0] != user.encode()]
    lines = [*kept, user.encode() + b":" + hash_password(password)]
    write_private(mirror.passwords, b"\n".join(lines) + b"\n")
