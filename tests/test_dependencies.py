"""Each role gets by with the packages that its own lock names: on a host, no other role's are there."""

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def imported(package: Path) -> set[str]:
    """The top-level modules that a package imports, anywhere in it."""
    found = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("role", ["core", "client", "server", "check", "restore"])
def test_what_a_role_imports_is_locked_for_it(role: str) -> None:
    [package] = (path for path in (ROOT / role).glob("nightdrop*") if path.is_dir() and path.suffix == "")
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / role / "requirements.txt").read_text(), re.M))
    owners = packages_distributions()
    ours = {"nightdrop", package.name}
    others = imported(package) - sys.stdlib_module_names - ours
    if role == "core":
        # Its engine is run by the two roles that have duplicity.
        others.remove("duplicity")
    assert others, f"{role} imports nothing: this test saw nothing"
    for module in others:
        names = {owner.lower().replace("_", "-") for owner in owners.get(module, ())}
        assert names & locked, f"{role} imports {module}, which {role}/requirements.txt does not bring"
