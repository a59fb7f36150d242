"""Metrics as Prometheus reads them: by its own parser (Debian's python3-prometheus-client)."""

import json
import subprocess

_PARSER = """
import json, sys
from prometheus_client.parser import text_string_to_metric_families
json.dump([[f.name, f.type, f.documentation, [[s.name, s.labels, s.value] for s in f.samples]]
           for f in text_string_to_metric_families(sys.stdin.read())], sys.stdout)
"""
Parsed = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parse(text: str) -> tuple[Parsed, dict[str, str]]:
    """Every sample's value by name and labels, and every metric's type."""
    done = subprocess.run(
        ["/usr/bin/python3", "-c", _PARSER], input=text, capture_output=True, text=True, check=True
    )
    samples: Parsed = {}
    types: dict[str, str] = {}
    for name, kind, meaning, found in json.loads(done.stdout):
        assert meaning
        assert name not in types
        types[name] = kind
        for sample, labels, value in found:
            key = (sample, frozenset(labels.items()))
            assert key not in samples
            samples[key] = value
    return samples, types
