"""client.example.toml is the documentation: it has every key there is, and each is guarded."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w

import nightdrop_client
from nightdrop.errors import ConfigurationError
from nightdrop_client.configuration import load_client

from house import House

EXAMPLE = Path(nightdrop_client.__file__).with_name("client.example.toml")


def example() -> dict[str, Any]:
    """The example with all that is commented out in it, for a machine on which /etc is what there is."""
    text = re.sub(r"(?m)^# (\[\[\w+\]\]|\w+ = .*)$", r"\1", EXAMPLE.read_text())
    values = tomllib.loads(text)
    values["folders"]["include"] = ["/etc"]
    return values


def tables(values: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each table with how errors call it."""
    yield "", values
    for name, value in values.items():
        if isinstance(value, dict):
            yield f"{name}.", value
        elif isinstance(value, list) and all(isinstance(item, dict) for item in value) and value:
            for number, item in enumerate(value, 1):
                yield f"{name}[{number}].", item


def refused(folder: Path, values: dict[str, Any]) -> ConfigurationError:
    """What is said of such a configuration."""
    path = folder / "client.toml"
    path.write_text(tomli_w.dumps(values))
    with pytest.raises(ConfigurationError) as caught:
        load_client(path)
    assert caught.value.message.startswith(f"{path}: "), caught.value.message
    return caught.value


@pytest.fixture
def folder(tmp_path: Path, still_house: House) -> Path:
    (tmp_path / "bundle.toml").write_text(still_house.bundle.read_text())
    return tmp_path


def test_it_has_every_key(folder: Path) -> None:
    """An unknown key's error tells those that are known."""
    seen: dict[str, set[str]] = {}
    known: dict[str, set[str]] = {}
    for number, (prefix, table) in enumerate(tables(example())):
        kind = re.sub(r"\[\d+\]", "", prefix)
        seen.setdefault(kind, set()).update(table)
        values = example()
        list(tables(values))[number][1]["zzz"] = 1
        error = refused(folder, values)
        assert f"unknown key `{prefix}zzz`" in error.message
        known.setdefault(kind, set()).update(
            error.hint.removeprefix("the keys known here are: ").split(", ")
        )
    assert seen == known
    assert len(seen) == 9


def test_a_wrong_value_is_said_with_file_key_and_what_was_expected(folder: Path) -> None:
    """A number with a fraction is wrong everywhere."""
    keys = [(number, key) for number, (_, table) in enumerate(tables(example())) for key in table]
    assert len(keys) > 60
    for number, key in keys:
        values = example()
        prefix, table = list(tables(values))[number]
        table[key] = 1.5
        assert re.search(
            rf": key `{re.escape(prefix)}{key}`: expected \S.*, found 1.5$",
            refused(folder, values).message,
        )
