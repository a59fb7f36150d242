"""What is wrong with an inventory's variables, by the `argument_specs` of the roles.

Stricter than ansible itself, which takes a text for a list, and a list for a text, and has no word for a
name that nothing reads. Needs nothing but ansible.
"""

import difflib
import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

_YES_OR_NO = {"yes", "no", "true", "false", "on", "off", "1", "0"}

# For each type of an argument_spec: what it is called, and whether a value is one. What `-e NAME=VALUE`
# says is always a text, so numbers, and true and false, may be texts.
_TYPES: dict[str, tuple[str, Callable[[object], bool]]] = {
    "str": ("a text (in quotes, if it looks like a number)", lambda value: isinstance(value, str)),
    "path": ("a path", lambda value: isinstance(value, str) and value != ""),
    "int": ("a whole number", lambda value: not isinstance(value, bool) and str(value).isdecimal()),
    "bool": ("true or false", lambda value: str(value).lower() in _YES_OR_NO),
    "list": ("a list", lambda value: isinstance(value, list)),
    "dict": ("names with a value each", lambda value: isinstance(value, Mapping)),
}


def mistakes(values: Mapping[str, Any], needed: list[str], folder: str) -> list[str]:
    """What is wrong: a variable that no role has, that a `needed` one lacks, or that does not fit.

    `folder` is where the playbooks are.
    """
    specs = {
        path.parents[1].name: _options(path)
        for path in Path(folder, "roles").glob("*/meta/argument_specs.yml")
    }
    options = {name: option for role in specs.values() for name, option in role.items()}
    required = {name for role in needed for name, option in specs[role].items() if option.get("required")}
    found = [f"{name} is missing: {options[name]['description']}" for name in required - values.keys()]
    for name, value in values.items():
        if name not in options:
            found.append(f"{name} is no variable of Nightdrop's{_instead(name, options)}")
        elif expected := _expected(options[name], value) or _meant(name, value, folder):
            found.append(f"{name}: expected {expected}")
    return sorted(found)


def _options(path: Path) -> dict[str, dict[str, Any]]:
    options: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text())["argument_specs"]["main"][
        "options"
    ]
    return options


def _instead(name: str, options: Mapping[str, Any]) -> str:
    nearest = difflib.get_close_matches(name, options, 1)
    return f": is {nearest[0]} meant?" if nearest else ": variables of your own need another beginning"


def _expected(option: Mapping[str, Any], value: object) -> str:
    """What the value should have been; "" where it is that."""
    words, fits = _TYPES[option["type"]]
    if not fits(value) or (value == "" and option.get("required")):
        return words
    if "choices" in option and value not in option["choices"]:
        return "one of " + ", ".join(option["choices"])
    if isinstance(value, list):
        words, fits = _TYPES[option["elements"]]
        if not all(map(fits, value)):
            return f"a list, each of it {words}"
    return ""


def _meant(name: str, value: Any, folder: str) -> str:
    """As `_expected`, by what only some variables mean."""
    for words, names, fits in _MEANINGS:
        if name in names and not all(map(fits, value if isinstance(value, list) else [value])):
            return words
    if name in _FILES and value and not any(_is_file(Path(folder, place, value)) for place in _PLACES):
        return "a file that is there and can be read"
    return ""


def _matches(pattern: str) -> Callable[[Any], bool]:
    return lambda value: re.fullmatch(pattern, str(value), re.ASCII) is not None


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


# As Nightdrop itself reads them, on machines where that would come too late.
_MEANINGS: list[tuple[str, set[str], Callable[[Any], bool]]] = [
    (
        "something like https://backup1.example.org:8443",
        {"mirror_url"},
        _matches(r"https://[^\s/]+(/\S*)?"),
    ),
    ("a port, from 1 to 65535", {"mirror_port"}, lambda value: 0 < int(value) < 65536),
    (
        "a duration, such as 8h, 30D or 5W",
        {"check_late_after", "check_full_late_after", "check_scrub_time", "client_full_every"},
        _matches(r"\s*\d+\s*[smhDW]\s*"),
    ),
    (
        "a size, such as 200M or 1.5G",
        {"client_volume_size", "mirror_reserve"},
        _matches(r"(?i)\s*\d+(\.\d+)?\s*[KMGTP]?(i?B)?\s*"),
    ),
    (
        "a size, such as 200G, or none",
        {"enrolment_quota"},
        _matches(r"(?i)none|\s*\d+(\.\d+)?\s*[KMGTP]?(i?B)?\s*"),
    ),
    (
        "a host's name: small letters, digits, dots, hyphens and underscores, 63 at most",
        {"enrolment_name"},
        _matches(r"(?!.*\.\.)[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?"),
    ),
    (
        "addresses or networks, such as 2001:db8::11 or 192.0.2.0/24",
        {"enrolment_addresses"},
        _is_network,
    ),
]
_FILES = {"mirror_recipients", "mirror_configuration", "client_configuration"}
_PLACES = ("", "files", "templates")


def _is_file(path: Path) -> bool:
    return path.is_file() and os.access(path, os.R_OK)


class FilterModule:
    """How ansible finds it."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """The filter by the name that tasks call it."""
        return {"mistakes": mistakes}
