"""The `nightdrop` command: finds the verb, loads its role only then, and answers with an exit status."""

import argparse
import gc
import importlib
import io
import os
import resource
import signal
import sys
from contextlib import suppress
from typing import NamedTuple, NoReturn, Protocol, cast

from nightdrop.errors import (
    EXIT_STATUS_HELP,
    ExitStatus,
    Interrupted,
    NightdropError,
    UsageError,
    permission_hint,
)
from nightdrop.text import harmless, one_line


class VerbModule(Protocol):
    """What a module behind a verb has to offer."""

    DESCRIPTION: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the verb's arguments."""

    def run(self, arguments: argparse.Namespace) -> ExitStatus:
        """Do it. Raise NightdropError for everything that a user should read."""


class Verb(NamedTuple):
    """Where a verb is implemented, and one line on what it does."""

    role: str
    module: str
    summary: str


VERBS = {
    "seal": Verb("core", "nightdrop.verbs.seal", "encrypt a stream to recipients"),
    "inspect": Verb("core", "nightdrop.verbs.inspect", "describe envelopes without a key"),
    "doctor": Verb("core", "nightdrop.verbs.doctor", "is everything in place on this machine?"),
    "backup": Verb("client", "nightdrop_client.verbs.backup", "back this host up, once"),
    "status": Verb(
        "client", "nightdrop_client.verbs.status", "what this host has backed up, and where it is"
    ),
    "serve": Verb("server", "nightdrop_server.verbs.serve", "run a mirror's door"),
    "enroll": Verb("server", "nightdrop_server.verbs.enroll", "let a host drop, make its bundle"),
    "revoke": Verb("server", "nightdrop_server.verbs.revoke", "let a host drop no more"),
    "hosts": Verb("server", "nightdrop_server.verbs.hosts", "who drops here, how much, when last"),
    "prune": Verb("server", "nightdrop_server.verbs.prune", "make room: remove the oldest of the vault"),
    "admin-password": Verb(
        "server", "nightdrop_server.verbs.admin_password", "for the administrator's listener"
    ),
    "nginx-config": Verb("server", "nightdrop_server.verbs.nginx_config", "the same mirror with nginx"),
    "check": Verb("check", "nightdrop_check.verbs.check", "judge the vault, report"),
    "acknowledge": Verb(
        "check", "nightdrop_check.verbs.acknowledge", "sets are lost, and nothing brings them back"
    ),
    "key new": Verb("restore", "nightdrop_restore.verbs.key_new", "make a recipient key"),
    "key show": Verb("restore", "nightdrop_restore.verbs.key_show", "describe a recipient"),
    "key paper": Verb("restore", "nightdrop_restore.verbs.key_paper", "print a key, for a safe"),
    "key read": Verb("restore", "nightdrop_restore.verbs.key_read", "a key back from paper"),
    "open": Verb("restore", "nightdrop_restore.verbs.open", "envelope to plaintext"),
    "restore list": Verb("restore", "nightdrop_restore.verbs.restore_list", "hosts and sets in a vault"),
    "restore files": Verb(
        "restore", "nightdrop_restore.verbs.restore_files", "files in a backup at a time"
    ),
    "restore run": Verb("restore", "nightdrop_restore.verbs.restore_run", "restore a host's files"),
    "restore open": Verb(
        "restore", "nightdrop_restore.verbs.restore_open", "sets of routers, firewalls, pools"
    ),
    "restore verify": Verb(
        "restore", "nightdrop_restore.verbs.restore_verify", "open everything, compare with receipts"
    ),
    "restore drill": Verb(
        "restore", "nightdrop_restore.verbs.restore_drill", "restore a sample, write down how it went"
    ),
}


class _Parser(argparse.ArgumentParser):
    """argparse that fails in our words."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, f"see `{self.prog} --help`")


def main() -> NoReturn:
    """Run the command line and leave with its exit status."""
    _open_what_is_closed()
    _leave_no_core()
    _be_interrupted_by_signals()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that knows only ASCII gets escapes, not a traceback.
            stream.reconfigure(errors="backslashreplace")
    try:
        status = run(sys.argv[1:])
        sys.stdout.flush()
    except NightdropError as error:
        status = complain(error)
    except KeyboardInterrupt as error:
        _leave_interrupted(error.number if isinstance(error, Interrupted) else signal.SIGINT)
    except BrokenPipeError:
        status = ExitStatus.FAILED
    except OSError as error:
        # Of two names, the second is the one that was wanted: the first is that of a temporary file.
        name = error.filename if error.filename2 is None else error.filename2
        where = f"{harmless(str(name))}: " if name is not None else ""
        status = complain(NightdropError(f"{where}{error.strerror or error}", permission_hint(error)))
    _let_go_of_output()
    # What is left needs no collecting, which would take longer than a short verb does.
    gc.freeze()
    sys.exit(status)


def _leave_no_core() -> None:
    """Keep what is in memory, passwords and private keys, out of the file that a crash would leave."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))


def _be_interrupted_by_signals() -> None:
    """Have SIGTERM, and a terminal that is closed, do what Ctrl-C does: files in the making, passwords
    and duplicity's process do not stay behind. Under nohup(1), SIGHUP still does nothing.
    """

    def interrupt(number: int, _frame: object) -> None:
        raise Interrupted(number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, interrupt)


def _leave_interrupted(number: int) -> NoReturn:
    """Leave with the status that shells give to who was ended by a signal of this number.

    At once: threads that wait for a mirror, or for somebody to take what we print, are not waited for.
    """
    # After SIGHUP there may be nobody to complain to.
    with suppress(OSError):
        if sys.stderr.isatty():
            # Over the ^C that the terminal shows, or a question that was not answered.
            print("\r\x1b[K", end="", file=sys.stderr)
        complain(NightdropError("interrupted"))
    os._exit(128 + number)


def _open_what_is_closed() -> None:
    """Have something at descriptors 0 to 2, where a shell closed them (`>&-`).

    Otherwise the next file that is opened would get such a number, and take what is meant for there.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
            setattr(sys, name, open(descriptor, "w" if descriptor else "r"))  # noqa: PTH123, SIM115


def _let_go_of_output() -> None:
    """Write out what is still held back; where that fails, have the interpreter not try it again.

    It would end with status 120 and words of its own. That it failed has been said by then.
    """
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def run(words: list[str]) -> ExitStatus:
    """Run one command line, given without the program's name."""
    if words[:1] == ["--version"]:
        print(version_text())
        return ExitStatus.DONE
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
        return ExitStatus.DONE if words else ExitStatus.USAGE
    if words[1:2] in (["-h"], ["--help"]) and (family := _family(words[0])):
        print("\n".join(f"nightdrop {name:15}{VERBS[name].summary}" for name in family))
        return ExitStatus.DONE
    name, rest = _split(words)
    try:
        module = cast(VerbModule, importlib.import_module(VERBS[name].module))
        try:
            arguments = make_parser(name, module).parse_args(rest)
        except SystemExit:
            # It has printed the help that was asked for; its errors come as ours.
            return ExitStatus.DONE
        return module.run(arguments)
    except ModuleNotFoundError as error:
        raise _role_is_missing(name, error) from error


def parser_of(name: str) -> argparse.ArgumentParser:
    """What takes the arguments of a verb whose role is installed, and has its help."""
    return make_parser(name, cast(VerbModule, importlib.import_module(VERBS[name].module)))


def make_parser(name: str, module: VerbModule) -> argparse.ArgumentParser:
    """What takes the arguments of the verb behind which this module is."""
    parser = _Parser(
        prog=f"nightdrop {name}",
        description=module.DESCRIPTION.strip(),
        epilog=EXIT_STATUS_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    return parser


def complain(error: NightdropError) -> ExitStatus:
    """Print the error and its hint to standard error; the exit status it carries."""
    print(f"nightdrop: error: {one_line(error.message)}", file=sys.stderr)
    if error.hint:
        print(f"hint: {one_line(error.hint)}", file=sys.stderr)
    return error.exit_status


def overview() -> str:
    """The help of `nightdrop` itself."""
    lines = ["usage: nightdrop VERB [...]", "", "Write-only backups.", ""]
    for role in dict.fromkeys(verb.role for verb in VERBS.values()):
        lines.append(f"{role}:")
        lines += [f"  {name:15}{v.summary}" for name, v in VERBS.items() if v.role == role]
        lines.append("")
    lines.append("`nightdrop VERB --help` says more; `nightdrop --version` what it runs with.")
    return "\n".join([*lines, "", EXIT_STATUS_HELP.rstrip()])


def version_text() -> str:
    """The version of Nightdrop and of what it stands on."""
    import ssl
    from importlib.metadata import PackageNotFoundError, version

    from cryptography.hazmat.backends.openssl import backend

    from nightdrop import __version__

    lines = [f"nightdrop {__version__}"]
    for package in ("duplicity", "cryptography", "wsgidav", "cheroot"):
        try:
            lines.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            lines.append(f"{package} not installed (its role is not on this machine)")
    lines.append(f"OpenSSL {_bare(backend.openssl_version_text())} (envelopes)")
    lines.append(f"OpenSSL {_bare(ssl.OPENSSL_VERSION)} (TLS)")
    return "\n".join(lines)


def _bare(openssl: str) -> str:
    return openssl.removeprefix("OpenSSL ").split(" ")[0]


def _family(word: str) -> list[str]:
    """The verbs of two words that begin with this one."""
    return [name for name in VERBS if name.startswith(f"{word} ")]


def _split(words: list[str]) -> tuple[str, list[str]]:
    """The verb that the words begin with, and what follows it."""
    for length in (2, 1):
        if (name := " ".join(words[:length])) in VERBS:
            return name, words[length:]
    family = _family(words[0])
    raise UsageError(
        f"there is no verb {harmless(' '.join(words[:2] if family else words[:1]), 60)!r}",
        f"there are: {', '.join(family or VERBS)}",
    )


def _role_is_missing(name: str, error: ModuleNotFoundError) -> UsageError:
    role = VERBS[name].role
    installer = {"client": "client", "server": "mirror", "check": "mirror", "restore": "admin"}
    return UsageError(
        f"`nightdrop {name}` needs the {role} role, which is not installed here (no module {error.name})",
        f"install it: ./install.sh {installer.get(role, 'admin')}",
    )
