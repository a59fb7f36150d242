"""How a mirror is, for Prometheus: its text format, version 0.0.4.

https://prometheus.io/docs/instrumenting/exposition_formats/ has the format. It is a few lines to write,
so there is no library for it; the tests read it with Prometheus's own.
"""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal, NamedTuple

from nightdrop import __version__
from nightdrop.errors import VaultError
from nightdrop.mirror import Mirror
from nightdrop_server import log
from nightdrop_server.facts import Facts, HostFacts

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

# Clients choose their methods' names; only these become labels, or they could make any number of them.
_METHODS: Final = frozenset(
    {"COPY", "DELETE", "GET", "HEAD", "LOCK", "MKCOL", "MOVE", "OPTIONS"}
    | {"PATCH", "POST", "PROPFIND", "PROPPATCH", "PUT", "UNLOCK"}
)

Sample = tuple[Mapping[str, str], float]


class Family(NamedTuple):
    """One metric: its samples have labels and a value each."""

    name: str
    kind: Literal["counter", "gauge"]
    meaning: str
    samples: list[Sample]


class Counters:
    """What was counted since this process began; safe to share between threads."""

    def __init__(self) -> None:
        self.since = time.time()
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._octets: Counter[str] = Counter()
        self._overwrites: Counter[str] = Counter()

    def account(self, listener: str) -> Callable[[log.Access], None]:
        """What a listener of this name tells its requests to: they are counted, and logged."""

        def account(one: log.Access) -> None:
            method = one.method if one.method in _METHODS else "other"
            with self._lock:
                self._requests[listener, method, one.status] += 1
                self._octets[listener] += one.octets
                if one.status == 409:
                    self._overwrites[one.host] += 1
            log.access(one)

        return account

    def families(self, hosts: Iterable[str]) -> list[Family]:
        """The counters as metrics; a host that was refused nothing has a 0."""
        with self._lock:
            requests, octets = dict(self._requests), dict(self._octets)
            overwrites = dict.fromkeys(hosts, 0) | self._overwrites
        return [
            Family(
                "nightdrop_requests_total",
                "counter",
                "Requests answered.",
                [
                    ({"listener": listener, "method": method, "status": str(status)}, number)
                    for (listener, method, status), number in sorted(requests.items())
                ],
            ),
            Family(
                "nightdrop_received_bytes_total",
                "counter",
                "Bytes received, heads and refused bodies included.",
                [({"listener": listener}, number) for listener, number in sorted(octets.items())],
            ),
            Family(
                "nightdrop_refused_overwrites_total",
                "counter",
                "Attempts to put other bytes under a name that is taken.",
                [({"host": host}, number) for host, number in sorted(overwrites.items())],
            ),
        ]


def metrics_text(mirror: Mirror, facts: Facts, counters: Counters) -> str:
    """All metrics of a mirror. A vault that cannot be looked at is one of them, not an error."""
    try:
        disk = os.statvfs(mirror.vault)
        hosts = facts.all()
    except (VaultError, OSError) as error:
        log.trouble(f"metrics: {error}")
        disk, hosts = None, []
    about = {"mirror": mirror.name, "version": __version__}
    gauges = [
        _gauge("nightdrop_info", "The version that runs, and this mirror's name.", [(about, 1)]),
        _gauge("nightdrop_start_time_seconds", "When this process began.", [({}, counters.since)]),
        _gauge("nightdrop_vault_readable", "Whether the vault can be looked at.", [({}, bool(disk))]),
        _gauge("nightdrop_reserve_bytes", "Disk space that is never filled.", [({}, mirror.reserve)]),
    ]
    if disk is not None:
        free, size = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
        gauges += [
            _gauge("nightdrop_vault_free_bytes", "Free on the vault's disk.", [({}, free)]),
            _gauge("nightdrop_vault_size_bytes", "Size of the vault's disk.", [({}, size)]),
        ]
    enrolled = [host.name for host in hosts if host.enrolled]
    families = [*counters.families(enrolled), *gauges, *_host_gauges(hosts)]
    return "".join(_family_text(family) for family in families if family.samples)


def _host_gauges(facts: list[HostFacts]) -> list[Family]:
    kept = [(host.name, host.kept) for host in facts if host.kept]
    quotas = [(h.name, h.enrolled.quota) for h in facts if h.enrolled and h.enrolled.quota]
    drops = [(name, k.last_drop) for name, k in kept if k.last_drop is not None]
    receipts = [(name, k.last_receipt) for name, k in kept if k.last_receipt is not None]
    sets = [(name, k.last_set_size) for name, k in kept if k.last_receipt is not None]
    told: list[tuple[str, str, Iterable[tuple[str, float]]]] = [
        ("enrolled", "Whether the host may drop.", [(h.name, bool(h.enrolled)) for h in facts]),
        ("readable", "Whether its folder can be looked at.", [(h.name, bool(h.kept)) for h in facts]),
        ("files", "Files the host keeps here.", [(name, k.files) for name, k in kept]),
        ("bytes", "Bytes the host keeps here.", [(name, k.size) for name, k in kept]),
        ("quota_bytes", "Bytes the host may keep here, where that is limited.", quotas),
        ("last_drop_timestamp_seconds", "When a file of the host last came.", drops),
        ("last_receipt_timestamp_seconds", "When a receipt last came: the end of a set.", receipts),
        ("last_receipt_set_bytes", "Size of the set whose receipt last came.", sets),
    ]
    return [
        _gauge(f"nightdrop_host_{name}", meaning, [({"host": host}, value) for host, value in values])
        for name, meaning, values in told
    ]


def _gauge(name: str, meaning: str, samples: list[Sample]) -> Family:
    return Family(name, "gauge", meaning, samples)


def _family_text(family: Family) -> str:
    lines = [f"# HELP {family.name} {family.meaning}", f"# TYPE {family.name} {family.kind}"]
    for labels, value in family.samples:
        inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        number = int(value) if float(value).is_integer() else repr(float(value))
        lines.append(f"{family.name}{{{inside}}} {number}" if inside else f"{family.name} {number}")
    return "\n".join([*lines, ""])


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
