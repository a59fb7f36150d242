"""Fetching a folder by FTPS from a machine that can do nothing else, with lftp.

What was fetched stays in the state folder, so that the next run fetches only what changed. Both the
commands and the data are encrypted; the machine shows a certificate that was given, or one that is
vouched for.
"""

from pathlib import Path

from nightdrop.errors import NightdropError
from nightdrop_client.sources.configuration import Pull
from nightdrop_client.sources.programs import output_of
from nightdrop_client.sources.secrets import StreamSecrets


def pull(one: Pull, folder: Path, scratch: Path) -> None:
    """Make `folder` what the other machine's is. Raises NightdropError if not all of it could be fetched;
    what was there before and has not been fetched again stays. `scratch` takes files meanwhile.
    """
    if one.certificate is not None and not one.certificate.is_file():
        raise NightdropError(f"there is no certificate {one.certificate}")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    home = scratch / "lftp"
    home.mkdir(mode=0o700, exist_ok=True)
    password = one.secret.fetch() if one.secret else one.password
    environment = {
        "HOME": str(home),
        "LFTP_HOME": str(home),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LFTP_PASSWORD": password,
    }
    script = lftp_script(one, folder)
    try:
        output_of(
            ["lftp", "-f", "/dev/stdin"],
            environment=environment,
            told=script,
            patience=one.patience,
            ends_with_us=True,
        )
    except NightdropError as error:
        secrets = StreamSecrets({"LFTP_PASSWORD": password})
        raise NightdropError(secrets.without(error.message), error.hint) from error


def lftp_script(one: Pull, folder: Path) -> str:
    """What lftp is told to do (lftp(1))."""
    host = f"[{one.host}]" if ":" in one.host else one.host
    trust = [f"set ssl:ca-file {_quoted(str(one.certificate))}"] if one.certificate else []
    # A certificate that was given is the machine's own, whatever name it was made for.
    check_name = "no" if one.certificate else "yes"
    return "\n".join(
        [
            "set cmd:fail-exit yes",
            "set cmd:interactive no",
            "set ssl:verify-certificate yes",
            f"set ssl:check-hostname {check_name}",
            *trust,
            "set ftp:ssl-force yes",
            "set ftp:ssl-protect-data yes",
            "set ftp:ssl-protect-list yes",
            "set net:timeout 30",
            "set net:max-retries 3",
            "set net:reconnect-interval-base 2",
            # A file that is being fetched has another name until it is whole.
            "set xfer:use-temp-file yes",
            f"open --env-password -u {_quoted(one.user)} -p {one.port} "
            f"{'ftps' if one.implicit else 'ftp'}://{host}/",
            f"mirror --delete --no-perms --no-umask {_quoted(one.folder)} {_quoted(str(folder))}",
            "exit 0",
            "",
        ]
    )


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
