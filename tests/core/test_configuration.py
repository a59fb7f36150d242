"""A mistake in a configuration file is named: which file, which key, and what was expected there."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nightdrop.configuration import Section, load
from nightdrop.errors import ConfigurationError, ExitStatus


def section(tmp_path: Path, text: str) -> Section:
    path = tmp_path / "x.toml"
    path.write_text(text)
    return load(path, "configuration", "a hint")


GOOD = """
name = "a name"
on = true
number = 7
size = "1.5G"
age = "5W"
colour = "red"
list = ["a", "b"]
path = "folder/file"
absolute = "/etc/x"
[inner]
key = "v"
[[each]]
n = 1
[[each]]
n = 2
"""


def test_values_come_by_their_type(tmp_path: Path) -> None:
    s = section(tmp_path, GOOD)
    assert s.text("name") == "a name"
    assert s.flag("on", False) is True
    assert s.integer("number", 0, 1, 10) == 7
    assert s.size("size", "0") == 1_500_000_000
    assert s.duration("age", "0s") == 5 * 7 * 86400
    assert s.choice("colour", ("red", "green"), "green") == "red"
    assert s.texts("list") == ["a", "b"]
    assert s.file("path") == tmp_path / "folder/file"
    assert s.file("absolute") == Path("/etc/x")
    inner = s.table("inner")
    assert inner.text("key") == "v"
    each = s.tables("each")
    assert [table.integer("n", 0, 0, 9) for table in each] == [1, 2]
    for part in (s, inner, *each):
        part.finish()


def test_what_is_not_there_has_its_default(tmp_path: Path) -> None:
    s = section(tmp_path, "")
    assert s.text("name", "") == ""
    assert s.flag("on", True) is True
    assert s.integer("number", 3, 1, 10) == 3
    assert s.size("size", "1K") == 1000
    assert s.duration("age", "1m") == 60
    assert s.choice("colour", ("red",), "red") == "red"
    assert s.texts("list", []) == []
    assert s.file("path", "/x") == Path("/x")
    assert s.tables("each") == []
    s.table("inner").finish()
    s.finish()


Ask = Callable[[Section], object]
TEXT: Ask = lambda s: s.text("key")  # noqa: E731
FLAG: Ask = lambda s: s.flag("key", True)  # noqa: E731
INTEGER: Ask = lambda s: s.integer("key", 5, 1, 10)  # noqa: E731
SIZE: Ask = lambda s: s.size("key", "1M")  # noqa: E731
DURATION: Ask = lambda s: s.duration("key", "1D")  # noqa: E731
CHOICE: Ask = lambda s: s.choice("key", ("red", "green"), "red")  # noqa: E731
TEXTS: Ask = lambda s: s.texts("key")  # noqa: E731
FILE: Ask = lambda s: s.file("key")  # noqa: E731
TABLE: Ask = lambda s: s.table("key")  # noqa: E731
TABLES: Ask = lambda s: s.tables("key")  # noqa: E731

WRONG: list[tuple[Ask, str, str]] = [
    (TEXT, "5", "expected a text"),
    (TEXT, '""', "expected a text"),
    (TEXT, '["a"]', "expected a text"),
    (FLAG, '"yes"', "expected true or false"),
    (FLAG, "1", "expected true or false"),
    (INTEGER, "0", "expected a whole number from 1 to 10"),
    (INTEGER, "11", "expected a whole number from 1 to 10"),
    (INTEGER, "5.0", "expected a whole number from 1 to 10"),
    (INTEGER, "true", "expected a whole number from 1 to 10"),
    (INTEGER, '"5"', "expected a whole number from 1 to 10"),
    (SIZE, "200", "expected a size such as 200M or 1.5G"),
    (SIZE, '"200X"', "expected a size such as 200M or 1.5G"),
    (SIZE, f'"{"9" * 5000}"', "expected a size such as 200M or 1.5G"),
    (DURATION, "5", "expected a duration such as 8h, 30D or 5W"),
    (DURATION, '"5d"', "expected a duration such as 8h, 30D or 5W"),
    (DURATION, '"999999999999W"', "expected a duration such as 8h, 30D or 5W"),
    (CHOICE, '"blue"', 'expected "red" or "green"'),
    (CHOICE, "[]", 'expected "red" or "green"'),
    (TEXTS, '"a"', "expected a list of texts"),
    (TEXTS, '["a", 5]', "expected a list of texts"),
    (TEXTS, '["a", ""]', "expected a list of texts"),
    (TEXTS, '["a\\u0000b"]', "expected a list of texts"),
    (FILE, "5", "expected the path of a file or folder"),
    (FILE, '""', "expected the path of a file or folder"),
    (FILE, '"a\\u0000b"', "expected the path of a file or folder"),
    (TABLE, "5", "expected a table"),
    (TABLE, "[]", "expected a table"),
    (TABLES, "5", "expected tables, each under [[...]]"),
    (TABLES, "{}", "expected tables, each under [[...]]"),
    (TABLES, "[5]", "expected tables, each under [[...]]"),
]


@pytest.mark.parametrize(("ask", "value", "said"), WRONG, ids=[f"{w[2][9:]} {w[1][:12]}" for w in WRONG])
def test_a_wrong_value_is_named(tmp_path: Path, ask: Ask, value: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ask(section(tmp_path, f"key = {value}\n"))
    message = caught.value.message
    assert message.startswith(f"{tmp_path}/x.toml: key `key`: {said}")
    assert ", found " in message
    assert message.isprintable()
    assert len(message) < 500
    assert caught.value.exit_status == ExitStatus.USAGE


@pytest.mark.parametrize("ask", [TEXT, TEXTS, FILE])
def test_a_missing_value_is_named(tmp_path: Path, ask: Ask) -> None:
    with pytest.raises(ConfigurationError, match=r"x\.toml: key `key` is missing: expected "):
        ask(section(tmp_path, "other = 1\n"))


def test_keys_in_tables_are_named_with_their_table(tmp_path: Path) -> None:
    s = section(tmp_path, "[inner]\nkey = 5\n[[each]]\n[[each]]\nkey = 5\n")
    with pytest.raises(ConfigurationError, match=r"key `inner\.key`: expected a text, found 5"):
        s.table("inner").text("key")
    with pytest.raises(ConfigurationError, match=r"key `each\[2\]\.key`: expected a text, found 5"):
        s.tables("each")[1].text("key")
    with pytest.raises(ConfigurationError, match=r"key `each\[1\]\.key` is missing"):
        s.tables("each")[0].text("key")


def test_a_misspelt_key_is_named_and_the_right_ones_are_told(tmp_path: Path) -> None:
    s = section(tmp_path, 'nmae = "x"\n[inner]\n"k\\u001by" = 1\n')
    s.text("name", "")
    inner = s.table("inner")
    with pytest.raises(ConfigurationError, match=r"x\.toml: unknown key `nmae`") as caught:
        s.finish()
    assert caught.value.hint == "the keys known here are: inner, name"
    with pytest.raises(ConfigurationError, match=r"unknown key `inner\.k\\x1by`"):
        inner.finish()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.toml: there is no such bundle"):
        load(tmp_path / "none.toml", "bundle", "a hint")


def test_a_file_that_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"{tmp_path}: cannot read this bundle: Is a directory"):
        load(tmp_path, "bundle", "a hint")


def test_who_may_not_read_a_file_is_told_who_may(tmp_path: Path) -> None:
    """And not how the file is made that is there."""
    path = tmp_path / "bundle.toml"
    path.touch(0o600)
    script = (
        "import os, pathlib, sys\n"
        "from nightdrop import configuration, errors\n"
        "os.chdir(sys.argv[1]); os.setuid(65534)\n"
        "try:\n"
        "    configuration.load(pathlib.Path('bundle.toml'), 'bundle', 'make one')\n"
        "except errors.ConfigurationError as error:\n"
        "    print(error.message, error.hint, sep='\\n')\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == [
        "bundle.toml: cannot read this bundle: Permission denied",
        "run this as root, or as the user whose file it is",
    ]


@pytest.mark.parametrize(
    "octets",
    [
        b"key",
        b"key = ",
        b"k = 1\nk = 2\n",
        b"\xff",
        b"\0",
        b"k = [" + b"[" * 100_000,
        b"k = 2026-13-01",
        b"k = " + b"1" * 5000,
    ],
    ids=lambda octets: repr(octets[:20]),
)
def test_a_file_that_is_no_toml(tmp_path: Path, octets: bytes) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(octets)
    with pytest.raises(ConfigurationError, match=r"x\.toml: this bundle is not TOML: ") as caught:
        load(path, "bundle", "a hint")
    assert caught.value.message.isprintable()


def test_a_file_longer_than_any_is_not_read_to_its_end(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        section(tmp_path, "#" * 5_000_000)
    assert caught.value.message.endswith("x.toml: this configuration is longer than any can be")
