"""Where the bundle is found: beside the configuration, or as a credential of systemd's."""

import os
import subprocess
from pathlib import Path

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
