"""`[limits]`: rates, the window, priorities, and what is said of mistakes there."""

import json
import os
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from nightdrop.configuration import load
from nightdrop.errors import ConfigurationError
from nightdrop_client.limits import Limits, Pace, Span, load_limits, read_limits

from house import House, run

NIGHT = Span(22 * 60, 6 * 60)
WORK = Span(8 * 60, 18 * 60)


def at(hour: int, minute: int = 0) -> float:
    return datetime(2026, 3, 3, hour, minute).timestamp()


def loaded(tmp_path: Path, *lines: str) -> Limits:
    path = tmp_path / "client.toml"
    path.write_text("\n".join(["[limits]", *lines]))
    return load_limits(load(path, "client configuration", "look").table("limits"))


def test_a_window_may_go_past_midnight() -> None:
    limits = Limits(window=NIGHT)
    assert all(limits.may_begin(at(*time)) for time in ((22, 0), (0, 0), (5, 59)))
    assert not any(limits.may_begin(at(*time)) for time in ((21, 59), (6, 0), (12, 0)))
    assert NIGHT.left(at(23)) == 7 * 3600
    assert NIGHT.left(at(5, 59)) == 60
    assert limits.patience(600, at(23)) == 7 * 3600
    assert limits.patience(600, at(5, 59)) == 600
    assert limits.patience(600, at(12)) == 600, "a run outside waits as it would without a window"


def test_the_first_rate_of_the_day_that_holds_counts(tmp_path: Path) -> None:
    limits = loaded(tmp_path, 'rate = "10M"', 'rate_by_day = ["08:00-18:00 500K", "00:00-12:00 none"]')
    rates = [limits.rate_at(at(hour)) for hour in (9, 17, 18, 7)]
    assert rates == [500_000, 500_000, 10_000_000, 0]
    assert read_limits(json.loads(json.dumps(limits.as_json()))) == limits


def test_what_is_sent_is_paced_evenly() -> None:
    now = 1000.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    pace = Pace(Limits(rate=1_000_000), sleep, lambda: now)
    sent = 0
    while sent < 3_000_000:
        octets = pace.piece(256 * 1024)
        assert octets <= 125_000
        pace.wait(octets)
        # Each piece waits until where the last one ended.
        assert now - 1000 == pytest.approx(sent / 1e6)
        sent += octets
    # What was not used in the past is not made up for.
    now += 60
    for waited in (0, octets / 1e6):
        before = now
        pace.wait(octets)
        assert now - before == pytest.approx(waited)


def test_a_run_keeps_to_its_rate(house: House) -> None:
    (house.source / "file").write_bytes(os.urandom(900_000))
    house.configure(
        'volume_size = "1M"', folders=f'include = ["{house.source}"]\n[limits]\nrate = "400K"'
    )
    begun = time.monotonic()
    house.backup()
    assert time.monotonic() - begun > 2


def test_outside_of_its_window_a_run_does_not_begin(house: House) -> None:
    (house.source / "file").write_text("x")
    now = datetime.now()
    window = "-".join(f"{now + timedelta(hours=hours):%H:%M}" for hours in (2, 3))
    folders = f'include = ["{house.source}"]\n[limits]\nwindow = "{window}"'
    house.configure('volume_size = "1M"', folders=folders)
    said = run("backup", "--config", house.config).stdout
    assert said.startswith(f"skipped: backups begin only in {window}, says {house.config}")
    assert not house.state.exists()
    assert not house.requests()
    house.backup("--any-time")


def test_the_run_and_its_children_step_back(house: House) -> None:
    """Seen from a child: the hook tells its own priorities."""
    (house.source / "file").write_text("x")
    told = house.root / "told"
    hook = f'before = ["sh", "-c", "nice >{told}; ionice -p $$ >>{told}"]'
    limits = "[limits]\nnice = 7\nidle_io = true"
    house.configure(
        'volume_size = "1M"', folders=f'include = ["{house.source}"]\n[hooks]\n{hook}\n{limits}'
    )
    house.backup()
    assert told.read_text().split() == [str(max(7, os.nice(0))), "idle"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('rate = "2X"', 'key `limits.rate`: expected octets a second of at least 4K, such as "2M"'),
        ('rate = "100"', "key `limits.rate`: expected octets a second of at least 4K"),
        ("rate = 5", "key `limits.rate`: expected a text"),
        ('rate_by_day = ["8-18 500K"]', "key `limits.rate_by_day`: expected times of the day, each with"),
        (
            'rate_by_day = ["08:00-18:00"]',
            "key `limits.rate_by_day`: expected times of the day, each with",
        ),
        ('rate_by_day = ["08:00-18:00 0"]', "key `limits.rate_by_day`: expected octets a second"),
        ('window = "22:00"', 'key `limits.window`: expected times of the day such as "22:00-06:00"'),
        ('window = "22:00-24:00"', "key `limits.window`: expected times of the day"),
        ('window = "22:00-22:00"', "key `limits.window`: expected two different times"),
        ("nice = -5", "key `limits.nice`: expected a whole number from 0 to 19, found -5"),
        ('idle_io = "yes"', "key `limits.idle_io`: expected true or false"),
        ('rate_by_night = "1M"', "unknown key `limits.rate_by_night`"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, line: str, expected: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path, line)
    assert f"client.toml: {expected}" in str(caught.value)
