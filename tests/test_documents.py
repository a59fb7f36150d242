"""What the documents name is there."""

import re
from http import HTTPStatus
from pathlib import Path

import pytest

from nightdrop.cli import VERBS

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
        assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_named_tests_exist(document: Path) -> None:
    for file, test in re.findall(r"`([a-z_/]+\.py)::(\w+)`", document.read_text()):
        assert re.search(rf"^def {test}\(", (ROOT / "tests" / file).read_text(), re.MULTILINE), test


def test_every_refusal_of_the_door_is_explained() -> None:
    """But for what only the administrator's listener answers."""
    said = (ROOT / "docs" / "OPERATIONS.md").read_text()
    sources = set((ROOT / "server").rglob("*.py")) - set((ROOT / "server").rglob("giving.py"))
    named = {name for path in sources for name in re.findall(r"HTTPStatus\.(\w+)", path.read_text())}
    assert len(named) > 15
    for status in (HTTPStatus[name] for name in named):
        assert status < 400 or f"\n| {status.value} |" in said, status


def test_threats_name_tests() -> None:
    assert len(re.findall(r"::test_", (ROOT / "docs" / "THREATS.md").read_text())) > 30


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_named_commands_exist(document: Path) -> None:
    for words in re.findall(r"nightdrop ([a-z][a-z-]*(?: [a-z]+)?)\b", code(document.read_text())):
        first = words.split()[0]
        families = {name.split()[0] for name in VERBS if " " in name}
        assert words in VERBS or first in VERBS or words in families, words


def code(text: str) -> str:
    """What stands in code blocks and between backquotes."""
    blocks = re.findall(r"```.*?```", text, re.DOTALL)
    spans = re.findall(r"`[^`\n]+`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return "\n".join([*blocks, *spans])
