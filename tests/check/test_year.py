"""A year of each of many kinds of hosts: no false alarm, and no miss.

Judged as often as it takes to see all that is told: sizes are told of for a week, lateness for a day.
"""

import random

import pytest

from check.years import History, Night, codes_of_a_year, judged, usual

MB, GB = 10**6, 10**9
OFTEN = range(5, 366, 5)
AROUND = [*range(95, 135), 364, 365]
FULL_EVERY = 30


def host(
    size: float = 5 * GB,
    daily: float = 50 * MB,
    *,
    growth: float = 1.0,
    noise: float = 0.2,
    seed: int = 1,
) -> History:
    """A host that makes a full a month and an incremental a day; `growth` is by month."""
    chance = random.Random(seed)

    def night(day: int) -> Night:
        full = day % FULL_EVERY == 0
        source = size * growth ** (day / 30)
        grown = source * chance.uniform(0.97, 1.03) if full else daily * chance.lognormvariate(0, noise)
        return Night(round(grown), round(source), full=full)

    return night


def but(history: History, days: range, **facts: float) -> History:
    """The same, but on some days; None of a fact is what it was."""

    def night(day: int) -> Night | None:
        found = history(day)
        if found is None or day not in days:
            return found
        if facts.get("size") == 0:
            return None
        return Night(
            round(facts.get("size", found.size)),
            round(facts.get("source", found.source)),
            round(facts.get("files", found.files)),
            found.full,
        )

    return night


def on_weekdays(history: History, weekend: float) -> History:
    def night(day: int) -> Night | None:
        found = history(day)
        if found is None or found.full or day % 7 not in (3, 4):
            return found
        return Night(round(weekend), found.source)

    return night


PEACEFUL: dict[str, History] = {
    "steady": host(),
    "small": host(20 * MB, 0.1 * MB, noise=1.0),
    "a full of a fifth of next to nothing": but(host(1 * MB, 0.01 * MB), range(120, 121), size=0.2 * MB),
    "20 to 22 MB": but(host(20 * MB, 1 * MB), range(100, 366), source=22 * MB),
    "growing by a fifth a month": host(growth=1.2),
    "shrinking by a sixth a month": host(growth=0.83),
    "a noisy log server": host(20 * GB, 100 * MB, noise=1.2),
    "another noisy log server": host(20 * GB, 100 * MB, noise=1.2, seed=7),
    "a very noisy log server": host(90 * GB, 100 * MB, noise=1.8, seed=3),
    "on holiday for four weeks": but(host(), range(151, 179), size=20_000),
    "quiet on weekends": on_weekdays(host(noise=0.1), 10_000),
    "a dump every weekend": on_weekdays(host(noise=0.1), 900 * MB),
    "away for two nights": but(host(), range(100, 102), size=0),
}


@pytest.mark.parametrize("name", PEACEFUL)
def test_no_false_alarm(name: str) -> None:
    assert codes_of_a_year(PEACEFUL[name], days=OFTEN) == {}


def test_a_laptop_that_is_away_for_days_where_that_is_expected() -> None:
    away = but(but(host(), range(100, 110), size=0), range(200, 212), size=0)
    days = range(95, 215)
    assert codes_of_a_year(away, usual(14, 60), days) == {}
    assert set(codes_of_a_year(away, days=days)) == {"late"}


DISTURBED: dict[str, tuple[History, dict[str, tuple[int, int]]]] = {
    # What is told from which day to which.
    "stops": (but(host(), range(100, 366), size=0), {"late": (102, 365)}),
    "is away for a week": (but(host(), range(100, 107), size=0), {"late": (102, 106)}),
    "a full of half": (but(host(), range(120, 121), size=2.4 * GB), {"shrunk": (120, 127)}),
    "a full of a tenth of a small host": (
        but(host(20 * MB, 1 * MB), range(120, 121), size=2 * MB),
        {"shrunk": (120, 127)},
    ),
    "a full of twice": (but(host(), range(120, 121), size=11 * GB), {"grown": (120, 127)}),
    "a source that is gone": (
        but(host(), range(100, 104), size=2 * MB, source=1 * MB, files=12),
        {"shrunk": (100, 107)},
    ),
    "a source that lost half of its files": (
        but(host(), range(100, 366), files=4000),
        {"shrunk": (100, 107)},
    ),
    "a source that halved for good": (
        but(host(), range(100, 366), source=2 * GB),
        {"shrunk": (100, 107)},
    ),
    "everything changed": (but(host(), range(100, 101), size=4.8 * GB), {"grown": (100, 107)}),
    "ten times as much": (but(host(), range(100, 101), size=500 * MB), {"grown": (100, 107)}),
}


@pytest.mark.parametrize("name", DISTURBED)
def test_no_miss(name: str) -> None:
    history, expected = DISTURBED[name]
    told = {code: (days[0], days[-1]) for code, days in codes_of_a_year(history, days=AROUND).items()}
    assert told == expected


def test_what_is_told_is_told_every_day_of_its_week() -> None:
    history = but(host(), range(120, 121), size=2.4 * GB)
    days = codes_of_a_year(history, days=AROUND)["shrunk"]
    assert days == list(range(120, 128))


def test_what_stays_so_is_told_once() -> None:
    """From the second full on, twice the size may be the new usual."""
    history = but(host(), range(120, 366, FULL_EVERY), size=11 * GB)
    assert codes_of_a_year(history, days=range(115, 200)) == {"grown": list(range(120, 128))}


@pytest.mark.parametrize("seed", range(8))
def test_no_false_alarm_for_anybody(seed: int) -> None:
    """Hosts of any size, growth and noise."""
    chance = random.Random(seed)
    size = 10 ** chance.uniform(6, 12)
    history = host(
        size,
        size * chance.uniform(0.001, 0.05),
        growth=chance.uniform(0.87, 1.2),
        noise=chance.uniform(0.05, 1.0),
        seed=seed,
    )
    assert codes_of_a_year(history, days=OFTEN) == {}


def test_the_clock_changes_and_the_leap_day() -> None:
    changes = [*range(58, 64), *range(178, 184), *range(205, 211)]
    nights = dict(judged(host(), days=changes))
    assert len(nights) == 18
    assert not any(nights.values())
