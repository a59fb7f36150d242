"""Several jobs on one machine: side by side with each other, but never with themselves."""

import json
import subprocess
from pathlib import Path

from house import HOST, House, complaint, run
from mirrors import NIGHTDROP, wait_until


def second_job(house: House) -> tuple[Path, Path]:
    """The configuration of a job for the host `web2`, with the same source, and its state."""
    bundle, state, config = (house.root / name for name in ("web2.bundle.toml", "state-2", "web2.toml"))
    for mirror in house.mirrors:
        mirror.enroll("web2", bundle)
    lines = [f'bundle = "{bundle}"', f'state = "{state}"', "[folders]", f'include = ["{house.source}"]']
    config.write_text("\n".join(lines))
    return config, state


def test_jobs_run_side_by_side_and_none_overlaps_itself(house: House) -> None:
    (house.source / "file").write_text("x")
    begun, go = house.root / "begun", house.root / "go"
    wait = f"touch {begun}; until [ -e {go} ]; do sleep 0.05; done"
    house.configure(
        folders=f'include = ["{house.source}"]\n[hooks]\nbefore = ["sh", "-c", "{wait}"]',
    )
    config, _ = second_job(house)
    first = subprocess.Popen([*NIGHTDROP, "backup", "--config", house.config], stdout=subprocess.PIPE)
    try:
        wait_until(begun.exists, "the first job runs")
        assert "web2" not in house.names()
        run("backup", "--config", config)
        for mirror in house.mirrors:
            assert any(name.endswith(".receipt.json") for name in mirror.stored("web2"))

        again = run("backup", "--config", house.config)
        assert again.stdout.startswith(
            f"skipped: a backup with the state {house.state} is already under way ("
        )
        skipped = json.loads(run("backup", "--json", "--config", house.config).stdout)
        assert list(skipped) == ["skipped"]
        assert house.names() == []
    finally:
        go.touch()
        first.communicate()
    assert first.returncode == 0
    assert sum(name.endswith(".receipt.json") for name in house.names()) == 1
    last = json.loads(run("status", "--json", "--config", house.config).stdout)["last_run"]
    assert last["outcome"] == "done", "a run that was skipped is no outcome"


def test_a_state_of_another_job_is_refused(house: House) -> None:
    (house.source / "file").write_text("x")
    house.backup()
    config, state = second_job(house)
    config.write_text(config.read_text().replace(str(state), str(house.state)))
    error, hint = complaint(run("backup", "--config", config, "--json", expect=2))
    assert f"the state {house.state} is that of the host {HOST}, and the bundle's is web2" in error
    assert "a `state` of its own" in hint
    assert house.backup()["type"] == "inc"
