"""`nightdrop check`."""

import argparse
import os
import sys
import time
from pathlib import Path

from nightdrop.checking import CheckSettings
from nightdrop.errors import ExitStatus
from nightdrop.mirror import DEFAULT_PATH, load_mirror
from nightdrop_check.scrub import Budget

DESCRIPTION = """
Judge what this mirror holds, without any key: is every host's backup there, new enough, whole, of a usual
size, and sealed to our recipients alone? Reads files to their last byte for as long as mirror.toml says
(`scrub_time`), those that wait longest first. Prints a report and writes it as a page. Changes nothing in
the vault. Exits 4 if there is a finding of severity error.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "--config", metavar="FILE", type=Path, default=DEFAULT_PATH, help=f"default: {DEFAULT_PATH}"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    scrub = parser.add_mutually_exclusive_group()
    scrub.add_argument("--scrub-all", action="store_true", help="read every file to its last byte")
    scrub.add_argument("--no-scrub", action="store_true", help="read no file to its last byte")
    page = parser.add_mutually_exclusive_group()
    page.add_argument("--page", metavar="DIR", type=Path, help="write the page there (index.html)")
    page.add_argument("--no-page", action="store_true", help="write no page")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Judge, print, write the page."""
    from nightdrop_check.judging import judge_mirror
    from nightdrop_check.report_json import to_json
    from nightdrop_check.report_page import write_page
    from nightdrop_check.report_text import to_text

    mirror = load_mirror(arguments.config)
    report = judge_mirror(mirror, time.time(), budget=_budget(arguments, mirror.check))
    if arguments.json:
        print(to_json(report), end="")
    else:
        colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        print(to_text(report, colour), end="")
    if not arguments.no_page:
        path = write_page(report, arguments.page or mirror.check.page)
        if not arguments.json:
            print(f"page: {path}")
    return ExitStatus.FINDINGS if report.number_of("error") else ExitStatus.DONE


def _budget(arguments: argparse.Namespace, settings: CheckSettings) -> Budget:
    """How much this look may read."""
    if arguments.scrub_all:
        return Budget(everything=True)
    return Budget(settings.scrub_size, 0 if arguments.no_scrub else settings.scrub_time)
