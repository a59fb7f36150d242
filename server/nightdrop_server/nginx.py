"""Configurations for nginx from the same mirror.toml and enrolment: in the door's place, or before it."""

import re
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from nightdrop.enrolment import EnrolledHost, load_hosts
from nightdrop.errors import NightdropError, UsageError
from nightdrop.mirror import Listen, Mirror
from nightdrop.names import HOST_PATTERN, NAME_PATTERN
from nightdrop_server.targets import url_prefix

_PLACEHOLDER = re.compile(r"@([A-Z_]+)@")
# What nginx would not take as part of a quoted word, or would take for something else.
_UNFIT = re.compile(r'["\\$;{}\n\r\0]')
# Words of `map` itself; a backslash makes them hosts like any other.
_MAPS_OWN = ("default", "hostnames", "include", "volatile")
_PORTS = {"https": 443, "http": 80}


def classic_config(mirror: Mirror, uploads: Path | None) -> str:
    """nginx in the door's place. `uploads` is a folder on the vault's disk; None: one beside the vault.

    UsageError where mirror.toml says what nginx cannot do.
    """
    if mirror.listen.port == 0:
        raise UsageError("nginx needs a port: `listen` says any", f"set one in {mirror.path}")
    uploads = uploads or mirror.vault.parent / "uploads"
    _same_disk(mirror.vault, uploads)
    prefix = url_prefix(mirror)
    tls = _tls(mirror.certificate, mirror.key) if mirror.tls else ""
    hosts = [host for host in load_hosts(mirror) if host.networks]
    files_at = f'root "{mirror.vault}";'
    if prefix:
        files_at = f'alias "{mirror.vault}/$nightdrop_host/$nightdrop_file";'
    return _filled(
        "nginx-classic.conf",
        mirror,
        LISTEN=_listen(mirror.listen, tls=mirror.tls),
        TLS=tls,
        MAX_FILE=str(mirror.max_file),
        UPLOADS=str(uploads),
        STATE=str(mirror.state),
        VAULT=str(mirror.vault),
        FILES=files_at,
        HOST_PATTERN=HOST_PATTERN,
        NAME_PATTERN=NAME_PATTERN,
        GEO="".join(_geo(number, host) for number, host in enumerate(hosts)),
        FENCES="".join(_fence(number, host) for number, host in enumerate(hosts)),
    )


def proxy_config(mirror: Mirror, certificate: Path | None, key: Path | None) -> str:
    """nginx before the door. Without a certificate and key those that certbot gets.

    UsageError where the door is not set up to stand behind a proxy.
    """
    if mirror.tls:
        raise UsageError(
            "the door speaks TLS itself, so a proxy in front could not read a request",
            f'set `tls = false` and `listen = "127.0.0.1:8080"` in {mirror.path}',
        )
    if not mirror.proxies:
        raise UsageError(
            "the door would take every host for the proxy: mirror.toml does not name it",
            f'set `proxies = ["127.0.0.1"]` in {mirror.path}',
        )
    url = urlsplit(mirror.url)
    https = url.scheme == "https"
    kept = Path("/etc/letsencrypt/live") / (url.hostname or "")
    tls = _tls(certificate or kept / "fullchain.pem", key or kept / "privkey.pem") if https else ""
    return _filled(
        "nginx-proxy.conf",
        mirror,
        LISTEN=_listen(Listen("::", url.port or _PORTS[url.scheme]), tls=https),
        TLS=tls,
        DOOR=_address(mirror.listen),
    )


def _filled(template: str, mirror: Mirror, **values: str) -> str:
    """The template with its placeholders filled in."""
    values |= {"NAME": mirror.name, "SERVER": urlsplit(mirror.url).hostname or "_"}
    values["PREFIX"] = url_prefix(mirror)
    for name in ("NAME", "VAULT", "STATE", "UPLOADS"):
        if _UNFIT.search(values.get(name, "")):
            raise UsageError(f"{values[name]!r} cannot stand in a configuration of nginx")
    text = files("nightdrop_server").joinpath(template).read_text()
    return _PLACEHOLDER.sub(lambda found: values[found[1]], text)


def _tls(certificate: Path, key: Path) -> str:
    for path in (certificate, key):
        if _UNFIT.search(str(path)):
            raise UsageError(f"{str(path)!r} cannot stand in a configuration of nginx")
    return (
        f'    ssl_certificate "{certificate}";\n'
        f'    ssl_certificate_key "{key}";\n'
        "    ssl_protocols TLSv1.2 TLSv1.3;\n"
    )


def _listen(listen: Listen, *, tls: bool) -> str:
    # nginx's `[::]` is IPv6 alone unless it is told otherwise; ours is both.
    both = " ipv6only=off" if listen.address == "::" else ""
    return f"{_address(listen)}{' ssl' if tls else ''}{both}"


def _address(listen: Listen) -> str:
    return (
        f"[{listen.address}]:{listen.port}"
        if ":" in listen.address
        else f"{listen.address}:{listen.port}"
    )


def _geo(number: int, host: EnrolledHost) -> str:
    networks = "".join(f"    {network} 1;\n" for network in host.networks)
    return f"geo $nightdrop_from_{number} {{\n    default 0;\n{networks}}}\n\n"


def _fence(number: int, host: EnrolledHost) -> str:
    name = f"\\{host.name}" if host.name in _MAPS_OWN else host.name
    return f"    {name} $nightdrop_from_{number};\n"


def _same_disk(vault: Path, uploads: Path) -> None:
    try:
        above = uploads if uploads.exists() else uploads.parent
        same = vault.stat().st_dev == above.stat().st_dev
    except OSError as error:
        raise NightdropError(f"cannot look at {error.filename}: {error.strerror}") from error
    if not same:
        raise UsageError(
            f"{uploads} is on another disk than the vault, so nginx would copy every file",
            "name a folder on the vault's disk with --uploads, outside the vault",
        )
