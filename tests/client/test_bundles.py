"""Where the bundle is found: beside the configuration, or as a credential of systemd's."""

import os
import subprocess
from pathlib import Path

import pytest

from nightdrop.enrolment import parse_bundle
from nightdrop.errors import ConfigurationError

from house import House, complaint, run
from mirrors import NIGHTDROP


def test_a_credential_takes_the_place_of_a_bundle_that_is_not_there(house: House, tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    house.bundle.rename(credentials / "nightdrop-client.bundle")
    (house.source / "file").write_text("x")
    done = run("backup", "--config", house.config, expect=2)
    assert f"{house.bundle}: there is no such bundle" in complaint(done)[0]
    subprocess.run(
        [*NIGHTDROP, "backup", "--config", str(house.config)],
        env=os.environ | {"CREDENTIALS_DIRECTORY": str(credentials)},
        check=True,
    )
    assert any(name.endswith("receipt.json") for name in house.names())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("url", "https://mirror.example.org:99999"),
        ("url", "https://[mirror/"),
        ("url", "ftp://mirror.example.org"),
        ("url", "https://mirror.example.org/\\r\\nX: y"),
        ("certificate", "-----BEGIN CERTIFICATE-----\\nMIIé\\n-----END CERTIFICATE-----"),
    ],
)
def test_no_mirror_can_be_reached_with_that(key: str, value: str) -> None:
    """So it is said where it stands, before anything is packed."""
    facts = {"name": "m", "url": "https://mirror.example.org", "user": "u", "password": "p", key: value}
    lines = ['format = "nightdrop-bundle/1"', 'host = "web1"', 'recipients = ["r"]', "[[mirror]]"]
    lines += [f'{name} = "{text}"' for name, text in facts.items()]
    with pytest.raises(ConfigurationError, match=rf"key `mirror\[1\]\.{key}`"):
        parse_bundle("\n".join(lines).encode(), Path("bundle"))


def test_two_mirrors_of_one_name_are_refused() -> None:
    """What the one took would count as taken by the other, too."""
    facts = 'name = "m"\nuser = "u"\npassword = "p"\nurl = "https://mirror'
    lines = ['format = "nightdrop-bundle/1"', 'host = "web1"', 'recipients = ["r"]']
    lines += [f'[[mirror]]\n{facts}-{number}.example.org"' for number in (1, 2)]
    with pytest.raises(ConfigurationError, match=r"key `mirror\[2\]\.name`: expected another one"):
        parse_bundle("\n".join(lines).encode(), Path("bundle"))
