"""How much a run may take of the machine and of the line, and when: `[limits]` of client.toml."""

import os
import re
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from nightdrop.configuration import Section
from nightdrop.text import parse_size

_DAY: Final = 24 * 60
_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_LEAST_RATE: Final = 4_000
"""Octets a second. Below that, a mirror would take us for a client that dribbles."""


@dataclass(frozen=True)
class Span:
    """A part of every day, in minutes after midnight by this machine's local time. One that ends before
    it begins goes past midnight.
    """

    begin: int
    end: int

    def holds(self, minute: int) -> bool:
        """Whether this minute of the day is in it."""
        return (minute - self.begin) % _DAY < (self.end - self.begin) % _DAY

    def left(self, now: float) -> float:
        """How many seconds it goes on after `now` (epoch seconds), which is in it."""
        local = time.localtime(now)
        return (self.end - _minute(now)) % _DAY * 60.0 - local.tm_sec

    def __str__(self) -> str:
        return "-".join(f"{m // 60:02}:{m % 60:02}" for m in (self.begin, self.end))


@dataclass(frozen=True)
class Limits:
    """`rate` is in octets a second to each mirror, 0 for as fast as it goes; where a span of
    `rate_by_day` holds, its rate counts instead. A run begins only in `window`, if there is one. `grace`
    is how many seconds longer a failing mirror may make a run. `nice` is the niceness of the run and of
    all that it starts; `idle_io` whether they read and write only when nobody else does.
    """

    rate: int = 0
    rate_by_day: tuple[tuple[Span, int], ...] = ()
    window: Span | None = None
    grace: float = 35
    nice: int = 0
    idle_io: bool = False

    def rate_at(self, now: float) -> int:
        """The rate at a time in epoch seconds."""
        minute = _minute(now)
        return next((rate for span, rate in self.rate_by_day if span.holds(minute)), self.rate)

    def may_begin(self, now: float) -> bool:
        """Whether a run may begin at this time."""
        return self.window is None or self.window.holds(_minute(now))

    def patience(self, patience: float, now: float) -> float:
        """How long a run that begins now waits for a lost network: until its window ends, at least."""
        return max(patience, self.window.left(now)) if self.window and self.may_begin(now) else patience

    def as_json(self) -> dict[str, Any]:
        """These limits as values of JSON."""
        return asdict(self)


def read_limits(values: dict[str, Any]) -> Limits:
    """Limits from what `as_json` made."""
    by_day = tuple((Span(**span), rate) for span, rate in values["rate_by_day"])
    window = Span(**values["window"]) if values["window"] else None
    return Limits(**(values | {"rate_by_day": by_day, "window": window}))


def load_limits(section: Section) -> Limits:
    """Read the table; ConfigurationError says what is wrong in it."""
    window = section.text("window", "any")
    limits = Limits(
        rate=_rate(section, "rate", section.text("rate", "none")),
        rate_by_day=tuple(_daily(section, text) for text in section.texts("rate_by_day", [])),
        window=None if window == "any" else _span(section, "window", window),
        grace=section.duration("grace", "35s"),
        nice=section.integer("nice", 0, 0, 19),
        idle_io=section.flag("idle_io", False),
    )
    section.finish()
    return limits


class Pace:
    """Keeps what goes to one mirror below the rate of the moment."""

    def __init__(
        self,
        limits: Limits,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._sleep = sleep
        self._clock = clock
        self._due = 0.0

    def piece(self, most: int) -> int:
        """How many octets to send at once, so that it is even: at most these."""
        rate = self._limits.rate_at(time.time())
        return min(most, max(1024, rate // 8)) if rate else most

    def wait(self, octets: int) -> None:
        """Wait until so many octets may go."""
        rate = self._limits.rate_at(time.time())
        if not rate:
            return
        now = self._clock()
        # What was not used in the past is not made up for: that would be a burst.
        begin = max(self._due, now)
        self._due = begin + octets / rate
        if begin > now:
            self._sleep(begin - now)


def yield_to_others(limits: Limits) -> list[str]:
    """Lower this process's priorities, and so those of all that it will start; what was not possible."""
    problems = []
    try:
        if os.getpriority(os.PRIO_PROCESS, 0) < limits.nice:
            os.setpriority(os.PRIO_PROCESS, 0, limits.nice)
    except OSError as error:
        problems.append(f"cannot take the niceness {limits.nice}: {error.strerror}")
    if limits.idle_io:
        assert threading.active_count() == 1, "threads that are there already would keep theirs"
        try:
            # A service may be idle already, and not allowed to ask for it.
            if _ionice() != "idle":
                _ionice("-c", "3")
        except (OSError, subprocess.SubprocessError) as error:
            problems.append(f"cannot leave the disk to others: {error}")
    return problems


def _ionice(*words: str) -> str:
    """util-linux is on every Debian; Python itself has no ioprio_set(2)."""
    command = ["ionice", *words, "-p", str(os.getpid())]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _minute(now: float) -> int:
    local = time.localtime(now)
    return local.tm_hour * 60 + local.tm_min


def _span(section: Section, key: str, text: str) -> Span:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise section.wrong(key, 'times of the day such as "22:00-06:00", or "any"', text)
    hours = [int(group) for group in found.groups()]
    span = Span(hours[0] * 60 + hours[1], hours[2] * 60 + hours[3])
    if span.begin == span.end:
        raise section.wrong(key, "two different times", text)
    return span


def _rate(section: Section, key: str, text: str) -> int:
    try:
        rate = 0 if text == "none" else parse_size(text)
    except ValueError:
        rate = -1
    if text != "none" and rate < _LEAST_RATE:
        raise section.wrong(key, 'octets a second of at least 4K, such as "2M", or "none"', text)
    return rate


def _daily(section: Section, text: str) -> tuple[Span, int]:
    expected = 'times of the day, each with a rate, such as "08:00-18:00 500K"'
    times, _, rate = text.partition(" ")
    if not _SPAN.fullmatch(times) or not rate:
        raise section.wrong("rate_by_day", expected, text)
    return _span(section, "rate_by_day", times), _rate(section, "rate_by_day", rate.strip())
