"""The report as numbers: for Prometheus, and wherever else a machine reads them."""

import json
import os
from dataclasses import replace

import requests

from check.vaults import Shelves
from nightdrop.errors import ExitStatus
from nightdrop_check.reports.as_json import to_json
from nightdrop_check.reports.as_metrics import to_metrics
from nightdrop_check.reports.as_page import to_page
from nightdrop_check.reports.as_text import to_text
from nightdrop_check.room import Room, full_at

from house import HOST, House, run
from ports import free_port
from prometheus import parse


def sample(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return f"nightdrop_{name}", frozenset(labels.items())


def test_metrics(now_good: Shelves) -> None:
    now_good.configure('[check]\nmetrics = "metrics/nightdrop.prom"')
    done = run("check", "--config", now_good.config, "--no-page", expect=ExitStatus.FINDINGS)
    said = " ".join(done.stdout.split())  # its lines are broken where the path's length has them broken
    assert "could-not-look" in said and "there is no folder" in said
    path = now_good.config.parent / "metrics" / "nightdrop.prom"
    path.parent.mkdir()
    now_good.path("volume").unlink()
    run("check", "--config", now_good.config, "--no-page", expect=ExitStatus.FINDINGS)
    found, types = parse(path.read_text())
    assert set(types.values()) == {"gauge"}
    assert found[sample("finding", host="web", code="incomplete", severity="error")] == 1
    assert found[sample("host_well", host="web")] == 0
    assert found[sample("host_newest_set_timestamp_seconds", host="web")] < now_good.now
    assert path.stat().st_mode & 0o777 == 0o644
    assert os.listdir(path.parent) == [path.name]


def test_metrics_of_odd_names(now_good: Shelves) -> None:
    (now_good.mirror.vault / 'x"} 1\nnightdrop_host_well{host="web').mkdir()
    found, _ = parse(to_metrics(now_good.check()))
    assert found[sample("host_well", host="web")] == 1
    told = [dict(labels) for name, labels in found if name == "nightdrop_finding"]
    assert [labels["code"] for labels in told] == ["unknown-host"]


def test_metrics_on_the_administrators_listener(house: House) -> None:
    """The door's numbers and the check's stand there together, and no name twice."""
    mirror = house.mirrors[0]
    port = free_port()
    with mirror.config.open("a") as file:
        file.write(f'[administration]\nlisten = "127.0.0.1:{port}"\n')
    password = run("admin-password", "--metrics", "--config", mirror.config).stdout.strip()
    mirror.stop()
    mirror.spawn()
    mirror.wait_until_ready()
    run("check", "--config", mirror.config, "--no-page", expect=ExitStatus.DONE)
    auth = ("metrics", password)
    text = requests.get(f"http://127.0.0.1:{port}/metrics", auth=auth, timeout=30).text
    found, _ = parse(text)
    assert found[sample("host_well", host=HOST)] == 1
    assert found[sample("host_enrolled", host=HOST)] == 1


def test_a_disk_that_lasts_for_thousands_of_years(now_good: Shelves) -> None:
    """It may shrink by a few octets a day, and no calendar goes so far."""
    now, day = now_good.now, 86400.0
    assert full_at(10**9, 10**8, now) == now + 10 * day
    for free, per_day in ((10**12, 68.0), (10**15, 1e-9), (10**9, 0.0), (10**9, -5.0), (0, 1.0)):
        room = Room(10**12, free, per_day, full_at(free, per_day, now))
        report = replace(now_good.check(), room=room)
        assert json.loads(to_json(report))["room"]["full_at"] is None
        assert "nightdrop_disk_full" not in to_metrics(report)
        assert "full in about" not in to_page(report) + to_text(report)
