"""Facts as people read them: sizes, durations, and strings from strangers made harmless."""

import re

_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGTP]?)(?:i?B)?", re.ASCII | re.IGNORECASE)
_DURATION = re.compile(r"(\d+)\s*([smhDW])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "D": 86400, "W": 7 * 86400}
# An age, too, is a duration, and a date that long ago can still be reckoned.
_LONGEST = 1000 * 365 * 86400


def format_size(octets: int) -> str:
    """A size for people, in powers of 1000: `532 B`, `1.5 MB`, `213 MB`."""
    value, unit = float(octets), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.1f} {_UNITS[unit]}" if unit and value < 9.95 else f"{value:.0f} {_UNITS[unit]}"


def parse_size(text: str) -> int:
    """A size as configuration writes it (`200M`, `1.5G`, `4096`), in octets, K being 1000."""
    if (found := _SIZE.fullmatch(text.strip())) is None:
        raise ValueError(f"{text!r} is not a size such as 200M or 1.5G")
    power = _UNITS.index(f"{found[2].upper()}B") if found[2] else 0
    # Whole numbers: a float holds only 15 digits, and ends at 10^308.
    whole, _, fraction = found[1].partition(".")
    return int(int(whole + fraction) * 1000**power // 10 ** len(fraction))


def parse_duration(text: str) -> int:
    """A duration as configuration writes it (`90s`, `15m`, `8h`, `30D`, `5W`), in seconds."""
    if (found := _DURATION.fullmatch(text.strip())) is None:
        raise ValueError(f"{text!r} is not a duration such as 8h, 30D or 5W")
    seconds = int(found[1]) * _SECONDS[found[2]]
    if seconds > _LONGEST:
        raise ValueError(f"{text!r} is longer than anything here lasts")
    return seconds


def format_duration(seconds: float) -> str:
    """A duration for people, in its two largest units: `8.4 s`, `2 min 5 s`, `3 h 12 min`, `5 days`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 2 * 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} days"


def count(number: int, noun: str) -> str:
    """A number with its noun: `1 file`, `3 files`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def harmless(text: str, limit: int = 300) -> str:
    """A stranger's string as one line that no terminal, log or mail can be hurt by.

    Everything but printable characters becomes an escape (`\\x1b`, `\\udcff`), and what is longer
    than `limit` characters is cut.
    """
    if len(text) <= limit and text.isprintable() and "\\" not in text:
        return text
    out = "".join(_escaped(c) if c == "\\" else one_line(c) for c in text[:limit])
    return out if len(text) <= limit else f"{out}…"


def one_line(text: str) -> str:
    """A sentence of ours as one line that no terminal can be hurt by, whatever names stand in it.

    What was made `harmless` before stays as it is, because backslashes do.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode()
