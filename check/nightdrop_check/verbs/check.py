"""`nightdrop check`."""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from nightdrop.arguments import add_config
from nightdrop.checking import CheckSettings
from nightdrop.errors import ConfigurationError, ExitStatus
from nightdrop.mirror import DEFAULT_PATH, Mirror, load_mirror
from nightdrop.text import harmless
from nightdrop_check.reports.report import Report
from nightdrop_check.scrub import Budget

DESCRIPTION = """
Judge what this mirror holds, without any key: is every host's backup there, new enough, whole, of a usual
size, and sealed to our recipients alone? Reads files to their last byte for as long as mirror.toml says
(`scrub_time`), those that wait longest first. Prints a report and writes it as a page. Changes nothing in
the vault. Exits 4 if there is a finding of severity error, and 3 if somebody could not be told yet.
"""

_NOTICE: Final = 1_000_000
"""Octets of a notice that are passed on: more is no mail."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_config(parser, "the mirror's", DEFAULT_PATH)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    told = parser.add_mutually_exclusive_group()
    told.add_argument("--mail", action="store_true", help="mail the report")
    told.add_argument(
        "--daily",
        action="store_true",
        help="mail and notify only errors that are new, or over; print the headline, not the report",
    )
    told.add_argument("--send", action="store_true", help="look at nothing, send mails that wait")
    told.add_argument(
        "--notice",
        metavar="SUBJECT",
        help="look at nothing, mail and notify what standard input says",
    )
    scrub = parser.add_mutually_exclusive_group()
    scrub.add_argument("--scrub-all", action="store_true", help="read every file to its last byte")
    scrub.add_argument("--no-scrub", action="store_true", help="read no file to its last byte")
    page = parser.add_mutually_exclusive_group()
    page.add_argument("--page", metavar="DIR", type=Path, help="write the page there (index.html)")
    page.add_argument("--no-page", action="store_true", help="write no page")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Judge, print, write, tell."""
    mirror = load_mirror(arguments.config)
    nobody = mirror.check.mail is None and (arguments.notice is None or mirror.check.notify is None)
    if nobody and (arguments.mail or arguments.notice is not None):
        raise ConfigurationError(
            f"{mirror.path}: nobody is named to mail to",
            'name somebody under [check.mail]: to = ["admin@example.org"]',
        )
    if arguments.send:
        from nightdrop_check.telling.occasions import send_queued

        return _warn(send_queued(mirror))
    if arguments.notice is not None:
        return _notice(mirror, arguments.notice)
    if not (arguments.mail or arguments.daily):
        return _findings(_look(arguments, mirror), ExitStatus.DONE)
    return _look_and_tell(arguments, mirror)


def _notice(mirror: Mirror, subject: str) -> ExitStatus:
    """What is run when a unit fails."""
    from nightdrop_check.telling.occasions import send_queued, tell_notice

    text = sys.stdin.buffer.read(_NOTICE).decode(errors="replace")
    problems = tell_notice(mirror, harmless(subject), text)
    return _warn(problems + send_queued(mirror))


def _look_and_tell(arguments: argparse.Namespace, mirror: Mirror) -> ExitStatus:
    """What a timer runs."""
    from nightdrop_check.telling.occasions import send_queued, tell_news, tell_report
    from nightdrop_check.telling.ping import ping

    url = mirror.check.ping
    problems = [ping(url, "start")] if url else []
    report = _look(arguments, mirror)
    problems += (tell_report if arguments.mail else tell_news)(mirror, report)
    problems += send_queued(mirror)
    if url:
        # What matters is said: that this mirror lives, and whether it found something.
        problems.append(ping(url, "fail" if report.number_of("error") else "success", report.headline))
    return _findings(report, _warn(problems))


def _look(arguments: argparse.Namespace, mirror: Mirror) -> Report:
    """Judge, write page and metrics, print the report."""
    from nightdrop_check.judging import judge_mirror
    from nightdrop_check.reports.as_json import to_json
    from nightdrop_check.reports.as_text import to_text
    from nightdrop_check.reports.publishing import publish
    from nightdrop_check.workers import spare_the_collector

    spare_the_collector()
    report = judge_mirror(mirror, time.time(), budget=_budget(arguments, mirror.check))
    page = None if arguments.no_page else (arguments.page or mirror.check.page) / "index.html"
    report, written = publish(report, mirror, page)
    if arguments.json:
        print(to_json(report), end="")
    elif arguments.daily:
        print(report.headline)
    else:
        terminal = sys.stdout.isatty()
        colour = terminal and "NO_COLOR" not in os.environ
        width = min(100, shutil.get_terminal_size().columns) if terminal else 100
        print(to_text(report, colour, width), end="")
    if page in written and not arguments.json:
        print(f"page: {page}")
    return report


def _findings(report: Report, otherwise: ExitStatus) -> ExitStatus:
    return ExitStatus.FINDINGS if report.number_of("error") else otherwise


def _warn(problems: Iterable[str]) -> ExitStatus:
    """Say who could not be told."""
    status = ExitStatus.DONE
    for problem in problems:
        if problem:
            print(f"nightdrop: warning: {problem}", file=sys.stderr)
            status = ExitStatus.PARTIAL
    return status


def _budget(arguments: argparse.Namespace, settings: CheckSettings) -> Budget:
    """How much this look may read."""
    if arguments.scrub_all:
        return Budget(everything=True)
    return Budget(settings.scrub_size, 0 if arguments.no_scrub else settings.scrub_time)
