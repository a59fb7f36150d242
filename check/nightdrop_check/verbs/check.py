"""`nightdrop check`."""

import argparse
import os
import sys
import time
from pathlib import Path

from nightdrop.checking import CheckSettings
from nightdrop.errors import ConfigurationError, ExitStatus
from nightdrop.mailing import MailSettings
from nightdrop.mirror import DEFAULT_PATH, Mirror, load_mirror
from nightdrop_check.scrub import Budget

DESCRIPTION = """
Judge what this mirror holds, without any key: is every host's backup there, new enough, whole, of a usual
size, and sealed to our recipients alone? Reads files to their last byte for as long as mirror.toml says
(`scrub_time`), those that wait longest first. Prints a report and writes it as a page. Changes nothing in
the vault. Exits 4 if there is a finding of severity error, and 3 if a mail could not be sent yet.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "--config", metavar="FILE", type=Path, default=DEFAULT_PATH, help=f"default: {DEFAULT_PATH}"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    told = parser.add_mutually_exclusive_group()
    told.add_argument("--mail", action="store_true", help="mail the report")
    told.add_argument(
        "--daily", action="store_true", help="mail only errors that are new, or over; print nothing else"
    )
    told.add_argument("--send", action="store_true", help="look at nothing, send mails that wait")
    scrub = parser.add_mutually_exclusive_group()
    scrub.add_argument("--scrub-all", action="store_true", help="read every file to its last byte")
    scrub.add_argument("--no-scrub", action="store_true", help="read no file to its last byte")
    page = parser.add_mutually_exclusive_group()
    page.add_argument("--page", metavar="DIR", type=Path, help="write the page there (index.html)")
    page.add_argument("--no-page", action="store_true", help="write no page")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Judge, print, write the page, mail."""
    mirror = load_mirror(arguments.config)
    mail = _mail_settings(arguments, mirror)
    if arguments.send:
        return _send(mirror, mail) if mail else ExitStatus.DONE
    from nightdrop_check.judging import judge_mirror
    from nightdrop_check.report_json import to_json
    from nightdrop_check.report_page import write_page
    from nightdrop_check.report_text import to_text

    report = judge_mirror(mirror, time.time(), budget=_budget(arguments, mirror.check))
    if arguments.json:
        print(to_json(report), end="")
    elif arguments.daily:
        print(report.headline)
    else:
        colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        print(to_text(report, colour), end="")
    if not arguments.no_page:
        path = write_page(report, arguments.page or mirror.check.page)
        if not arguments.json:
            print(f"page: {path}")
    status = ExitStatus.DONE
    if mail:
        from nightdrop_check.telling import mail_news, mail_report

        (mail_news if arguments.daily else mail_report)(mirror, mail, report)
        status = _send(mirror, mail)
    return ExitStatus.FINDINGS if report.number_of("error") else status


def _mail_settings(arguments: argparse.Namespace, mirror: Mirror) -> MailSettings | None:
    """How to mail, if this run does."""
    if not (arguments.mail or arguments.daily or arguments.send):
        return None
    if mirror.check.mail is None and arguments.mail:
        raise ConfigurationError(
            f"{mirror.path}: nobody is named to mail to",
            'name somebody under [check.mail]: to = ["admin@example.org"]',
        )
    return mirror.check.mail


def _send(mirror: Mirror, mail: MailSettings) -> ExitStatus:
    """Send what waits; say what could not be sent, which stays."""
    from nightdrop_check.telling import send_queued

    failures = send_queued(mirror, mail)
    if failures:
        waiting = "a mail waits" if len(failures) == 1 else f"{len(failures):,} mails wait"
        print(f"nightdrop: warning: {waiting} to be sent: {failures[0].message}", file=sys.stderr)
        if failures[0].hint:
            print(f"hint: {failures[0].hint}", file=sys.stderr)
    return ExitStatus.PARTIAL if failures else ExitStatus.DONE


def _budget(arguments: argparse.Namespace, settings: CheckSettings) -> Budget:
    """How much this look may read."""
    if arguments.scrub_all:
        return Budget(everything=True)
    return Budget(settings.scrub_size, 0 if arguments.no_scrub else settings.scrub_time)
