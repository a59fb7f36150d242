"""What the daily look takes for new and for over, of errors that are not the same from day to day."""

from nightdrop_check.findings import Finding
from nightdrop_check.memory import Memory
from nightdrop_check.reports.as_mail import news_subject
from nightdrop_check.reports.report import Report
from nightdrop_check.telling.news import News, news, remember_told

FULL = "duplicity-full.20260301T023000Z"


def error(host: str, code: str, subject: str = "", sentence: str = "so it is") -> Finding:
    return Finding(code, "error", host, subject, sentence)


def days(*findings: list[Finding]) -> list[tuple[list[str], list[str]]]:
    """What of the findings of each day was new, and what was over."""
    memory, told = Memory(None), []
    for found in findings:
        each: News = news(memory, found)
        remember_told(memory, found)
        told.append(([f"{f.host} {f.code}" for f in each.new], list(each.over)))
    return told


def test_what_cannot_be_looked_at_is_not_over() -> None:
    late, dark = error("web", "late", FULL), error("web", "could-not-look", "", "no folder")
    house = error("", "could-not-look", "", "the vault is away")
    assert days([late], [dark], [late], [house], []) == [
        (["web late"], []),
        (["web could-not-look"], []),
        ([], ["web: could-not-look: no folder"]),
        ([" could-not-look"], []),
        ([], ["web: late: so it is", "could-not-look: the vault is away"]),
    ]


def test_another_host_that_cannot_be_looked_at_is_no_matter() -> None:
    late, dark = error("web", "late", FULL), error("db", "could-not-look", "", "no folder")
    assert days([late], [dark])[1] == (["db could-not-look"], ["web: late: so it is"])


def test_two_things_that_cannot_be_looked_at_are_two() -> None:
    one, two = (error("", "could-not-look", "", why) for why in ("no ledger", "no recipients"))
    assert days([one], [one, two])[1] == ([" could-not-look"], [])


def test_a_second_damaged_file_of_a_set_is_no_news() -> None:
    """And the first one is not over: the finding is of the set from then on."""
    one, both = error("web", "corrupt", f"{FULL}.vol1.difftar.p7m"), error("web", "corrupt", FULL)
    assert days([one], [both], []) == [(["web corrupt"], []), ([], []), ([], ["web: corrupt: so it is"])]


def test_one_more_set_of_the_same_kind_is_no_news() -> None:
    for code in ("unsigned", "clock-skew"):
        assert days([error("web", code, "one")], [error("web", code, "two")])[1] == ([], [])


def test_what_is_told_for_a_week_only_is_not_over_then() -> None:
    assert days([error("web", "shrunk", FULL)], [])[1] == ([], [])


def test_a_subject_says_briefly_what_is_over() -> None:
    report = Report("m", 0, (), (), 0, 0, None, None)
    over = ["web: late: so it is", "web: late: of another kind", "clock-skew: it went back: by a day"]
    said = "[nightdrop] m: no host is enrolled, over: web late, clock-skew"
    assert news_subject(report, [], over) == said
    assert news_subject(report, [], [*over, "db: late: x", "a: late: x"]) == f"{said}, 2 more"
