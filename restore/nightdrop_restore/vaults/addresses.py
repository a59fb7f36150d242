"""VAULT on a command line: a folder, or the administrator's listener of a mirror.

What speaks HTTP is loaded only for a listener: from a folder, a small restore would wait for it longest.
"""

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import unquote, urlsplit

from nightdrop.errors import ConfigurationError, NightdropError, UsageError
from nightdrop.text import harmless
from nightdrop.vault import FolderVault, Vault
from nightdrop_restore.keys.prompting import ask_secret, can_ask
from nightdrop_restore.vaults.copies import Place

if TYPE_CHECKING:
    from nightdrop_restore.vaults.remote import RemoteVault

_VAULT: Final = (
    "a mirror's vault folder, a copy of it, or the administrator's listener of a mirror "
    "(https://admin@HOST:PORT)"
)
_TOGETHER: Final = "with a second one, what the first lacks or has damaged is taken from there"

_LONGEST: Final = 1 << 20
_CERTIFICATE: Final = re.compile(
    r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", re.DOTALL | re.ASCII
)


def add_vault_arguments(parser: argparse.ArgumentParser, several: str = _TOGETHER) -> None:
    """Declare VAULT, and what listeners need; `several` says what more than one is good for."""
    parser.add_argument("vaults", metavar="VAULT", nargs="+", help=f"{_VAULT}; {several}")
    add_listener_arguments(parser)


def add_hosts_argument(parser: argparse.ArgumentParser) -> None:
    """Declare which hosts of a vault are meant: all, unless some are named."""
    parser.add_argument(
        "--host",
        metavar="HOST",
        dest="hosts",
        action="append",
        help="only this one; several are possible",
    )


def add_listener_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what listeners need."""
    parser.add_argument(
        "--certificate",
        metavar="FILE",
        dest="certificates",
        type=Path,
        action="append",
        default=[],
        help="the TLS certificate that a listener must have (tls.crt in the mirror's state folder); one "
        "for each https:// VAULT, in their order",
    )
    parser.add_argument(
        "--password-file",
        metavar="FILE",
        dest="password_files",
        type=Path,
        action="append",
        default=[],
        help="a listener's password is the first line of this file; one for each, in their order",
    )
    parser.add_argument(
        "--password-fd",
        metavar="N",
        type=int,
        help="read the passwords from this descriptor, a line each",
    )


def places_of(arguments: argparse.Namespace, texts: Sequence[str]) -> list[Place]:
    """The vaults that these texts name; UsageError or ConfigurationError if one cannot be meant."""
    certificates = iter(arguments.certificates)
    passwords = _passwords(arguments)
    return [
        _listener(text, next(certificates, None) if text.startswith("https:") else None, passwords)
        if text.startswith(("http://", "https://"))
        else Place(text, FolderVault(Path(text).absolute()))
        for text in texts
    ]


def require_backups(places: Sequence[Place], hosts: Sequence[str]) -> None:
    """NightdropError if none of these hosts has a backup there: then it is hardly a vault."""
    from nightdrop_restore.vaults.catalog import catalogue

    if not any(catalogue(places, host) for host in hosts):
        raise NightdropError(
            f"there is no backup in {' and '.join(place.name for place in places)}",
            "a vault is the folder that has one folder for each host, such as /srv/nightdrop/vault",
        )


def facts_of(places: Sequence[Place]) -> list[Mapping[str, object]]:
    """Where these vaults are, passwords too, for a process of ours."""
    return [{"name": place.name, **_facts(place.vault)} for place in places]


def places_in(all_facts: Sequence[Mapping[str, Any]]) -> list[Place]:
    """The vaults of which these are the facts."""
    found = []
    for facts in all_facts:
        vault: Vault
        if "folder" in facts:
            vault = FolderVault(Path(facts["folder"]))
        else:
            from nightdrop_restore.vaults.remote import Address, RemoteVault

            vault = RemoteVault(Address(**facts["address"]))
        found.append(Place(facts["name"], vault))
    return found


def _facts(vault: Vault) -> dict[str, object]:
    if isinstance(vault, FolderVault):
        return {"folder": str(vault.root)}
    return {"address": asdict(cast("RemoteVault", vault).address)}


def _listener(text: str, certificate: Path | None, passwords: "_Passwords") -> Place:
    from nightdrop_restore.vaults.remote import Address, RemoteVault

    hint = "write it as https://admin@192.0.2.1:8444"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"{harmless(text)}: {error}", hint) from error
    if not parts.hostname or parts.query or parts.fragment:
        raise UsageError(f"{harmless(text)} is no address of a listener", hint)
    if parts.password is not None:
        raise UsageError(
            "a password on the command line is seen by everybody on this machine",
            "leave it out to be asked, or use --password-file",
        )
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise UsageError(
            f"{harmless(text)}: without TLS the password would go over the network in the clear",
            "use https://, or a tunnel (ssh -L) and http://127.0.0.1",
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    url = f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path.rstrip('/')}"
    user = unquote(parts.username) if parts.username else "admin"
    pin = _certificate(certificate) if certificate else ""
    return Place(url, RemoteVault(Address(url, user, passwords.of(url, user), pin)))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _certificate(path: Path) -> str:
    try:
        with path.open() as file:
            found = _CERTIFICATE.search(file.read(_LONGEST))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise ConfigurationError(f"{path}: cannot read this certificate: {why}") from error
    if found is None:
        raise ConfigurationError(
            f"{path}: there is no certificate in this file (PEM)", "take the mirror's tls.crt"
        )
    return found[0]


class _Passwords:
    """Where the next listener's password comes from."""

    def __init__(self, lines: list[str], given: bool) -> None:
        self._lines = lines
        self._given = given

    def of(self, url: str, user: str) -> str:
        """The password; asked for at the terminal if none was given."""
        if self._lines:
            return self._lines.pop(0)
        if self._given or not can_ask():
            raise UsageError(
                f"{url} needs a password for {harmless(user)}, and none is left to try",
                "give one with --password-file for each listener, in their order",
            )
        return ask_secret(f"password of {harmless(user)} at {url}: ")


def _passwords(arguments: argparse.Namespace) -> _Passwords:
    lines: list[str] = []
    try:
        for path in arguments.password_files:
            with path.open() as file:
                lines.append(file.readline(_LONGEST).rstrip("\r\n"))
        if arguments.password_fd is not None:
            with open(arguments.password_fd, encoding="utf-8") as file:  # noqa: PTH123
                lines += file.read(_LONGEST).splitlines()
    except (OSError, ValueError, OverflowError) as error:
        where = getattr(error, "filename", None) or "the descriptor"
        why = getattr(error, "strerror", "") or "it is not text"
        raise ConfigurationError(f"{where}: cannot read the password: {why}") from error
    return _Passwords(lines, bool(lines))
