"""What `nightdrop doctor` looks at on a mirror: the door, the vault, and what the check needs."""

import http.client
import shutil
import ssl
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

from nightdrop import systemd
from nightdrop.bounded import bounded
from nightdrop.enrolment import load_host
from nightdrop.envelope.recipients import load_recipients
from nightdrop.errors import NightdropError
from nightdrop.examining import Line, certificate, recipients
from nightdrop.mirror import Mirror, load_mirror
from nightdrop.text import count, format_size
from nightdrop_server import store
from nightdrop_server.fitting import units
from nightdrop_server.state import as_owner
from nightdrop_server.targets import url_prefix
from nightdrop_server.tls import ANEW, ensure_certificate, load_certificate

_TIMEOUT: Final = 20.0
_STARTING: Final = 5.0
"""Seconds in which a door that was started just now makes its certificate."""


def examine(path: Path) -> Iterator[Line]:
    """Everything of the mirror with this configuration. Changes nothing."""
    mirror = load_mirror(path)
    yield Line("ok", "configuration", f"mirror {mirror.name}, {mirror.url}")
    for file in mirror.recipients:
        yield from _as_the_mirror("recipients", mirror, partial(_recipients, file))
    yield from _as_the_mirror("vault", mirror, _vault)
    yield from _as_the_mirror("hosts", mirror, _hosts)
    if mirror.tls or mirror.administration_tls:
        yield from _as_the_mirror("certificate", mirror, _certificate)
    yield from _as_the_mirror("door", mirror, _door)
    yield from bounded("clock", lambda: [_synchronised()])
    yield _mail(mirror)
    wanted = units(mirror)
    timers = [name for name in wanted if name.endswith(".timer")]
    services = [name for name in wanted if not name.endswith(".timer")]
    yield from bounded("units", lambda: systemd.units(timers, services, "./install.sh mirror"))


def _as_the_mirror(what: str, mirror: Mirror, look: Callable[[Mirror], Iterable[Line]]) -> Iterator[Line]:
    """A look, within bounds, as the user whose the state is, who rules what lies there, and who has to be
    able to read it.
    """

    def looking() -> Iterator[Line]:
        with as_owner(mirror.state):
            yield from look(mirror)

    return bounded(what, looking)


def _recipients(file: Path, _mirror: Mirror) -> Iterator[Line]:
    # The check reads it as that user, too.
    return recipients(iter(load_recipients(file)))


def _vault(mirror: Mirror) -> Iterator[Line]:
    """Whether it is there, is the mirror's user's, and has room."""
    vault, hint = mirror.vault, "is its disk mounted? `./install.sh mirror` makes the folder"
    if not vault.is_dir():
        yield Line("fail", "vault", f"{vault} is not there", hint)
        return
    try:
        store.probe(vault)
    except NightdropError as error:
        yield Line("fail", "vault", error.message, error.hint)
        return
    if mirror.state.is_dir() and vault.stat().st_uid != mirror.state.stat().st_uid:
        text = f"{vault} and {mirror.state} belong to different users"
        yield Line("fail", "vault", text, "both belong to whom `nightdrop serve` runs as: nightdrop")
        return
    usage = shutil.disk_usage(vault)
    text = f"{vault}, with {format_size(usage.free)} of {format_size(usage.total)} free"
    hint = "make room, or move the vault to a larger disk"
    if usage.free <= mirror.reserve:
        text += f": not more than the reserve of {format_size(mirror.reserve)}, so nothing is taken in"
        yield Line("fail", "vault", text, hint)
    elif usage.free < usage.total / 10:
        yield Line("warn", "vault", text, hint)
    else:
        yield Line("ok", "vault", text)
    if vault.stat().st_dev == Path("/").stat().st_dev:
        yield Line("warn", "vault's disk", "is that of the system", "give the vault a disk of its own")


def _hosts(mirror: Mirror) -> Iterator[Line]:
    names = []
    for path in sorted(mirror.hosts.glob("*.toml")):
        try:
            names.append(load_host(path).name)
        except NightdropError as error:
            yield Line("fail", f"host {path.stem}", error.message, error.hint)
    if names:
        yield Line("ok", "hosts", f"{count(len(names), 'host')} may drop here: {', '.join(names)}")
    else:
        yield Line("warn", "hosts", "none is enrolled", "nightdrop enroll HOST")


def _certificate(mirror: Mirror) -> Iterator[Line]:
    if not mirror.certificate.exists() and not mirror.key.exists():
        yield Line("warn", "certificate", "there is none yet", "the door makes it when it starts")
        return
    ensure_certificate(mirror)
    yield certificate("certificate", load_certificate(mirror).not_valid_after_utc, ANEW)


def _door(mirror: Mirror) -> Iterator[Line]:
    """Whether the door answers here, and refuses who is not known and what is not allowed."""
    address = {"::": "::1", "0.0.0.0": "127.0.0.1"}.get(mirror.listen.address, mirror.listen.address)  # noqa: S104
    end = time.monotonic() + _STARTING
    while mirror.tls and not mirror.certificate.exists() and time.monotonic() < end:
        time.sleep(0.1)
    for method, expected, what in (("OPTIONS", 401, "who has no password"), ("GET", 405, "GET")):
        try:
            with closing(_connect(mirror, address)) as connection:
                connection.request(method, f"{url_prefix(mirror)}/doctor/")
                status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            why = getattr(error, "strerror", None) or str(error)
            hint = "systemctl start nightdrop-serve.service; journalctl -u nightdrop-serve.service"
            yield Line("fail", "door", f"does not answer on {address}:{mirror.listen.port}: {why}", hint)
            return
        if status == expected:
            yield Line("ok", "door", f"refuses {what} ({status})")
        else:
            hint = "something else than `nightdrop serve` may be there"
            yield Line("fail", "door", f"answers {what} with {status}, not {expected}", hint)


def _connect(mirror: Mirror, address: str) -> http.client.HTTPConnection:
    if not mirror.tls:
        return http.client.HTTPConnection(address, mirror.listen.port, timeout=_TIMEOUT)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # It is made for the name that hosts use, and asked by address here; that it is this one is enough.
    context.check_hostname = False
    context.load_verify_locations(mirror.certificate)
    return http.client.HTTPSConnection(address, mirror.listen.port, timeout=_TIMEOUT, context=context)


def _synchronised() -> Line:
    """Whether somebody keeps the clock right: ages are judged by it."""
    command = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        done = subprocess.CompletedProcess(command, 1, "", "")
    if done.stdout.strip() == "yes":
        return Line("ok", "clock", "is kept right")
    hint = "apt install systemd-timesyncd, or chrony"
    return Line("warn", "clock", "nothing says that it is kept right; ages are judged by it", hint)


def _mail(mirror: Mirror) -> Line:
    mail = mirror.check.mail
    if mail is None:
        return Line("warn", "mail", "nobody is named to get the reports", "[check.mail] in mirror.toml")
    where = f"{mail.server}:{mail.port}" if mail.server else str(mail.sendmail)
    if not mail.server and not mail.sendmail.exists():
        return Line("fail", "mail", f"there is no {mail.sendmail}", "name a mail server with `server`")
    return Line("ok", "mail", f"to {', '.join(mail.to)} by {where}")
