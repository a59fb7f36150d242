"""Manual pages and bash's completion say what --help says; `man` and `bash` themselves are asked."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from nightdrop.cli import VERBS, parser_of

from terminals import Terminal


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("manuals")
    roles = ["client", "server", "check", "restore"]
    subprocess.run([sys.executable, "-m", "nightdrop.manuals", str(folder), *roles], check=True)
    return folder


def test_every_verb_has_a_page(made: Path) -> None:
    names = {path.name for path in (made / "man" / "man1").iterdir()}
    assert names == {"nightdrop.1"} | {f"nightdrop-{name.replace(' ', '-')}.1" for name in VERBS}


@pytest.mark.parametrize("name", VERBS)
def test_every_argument_is_explained(name: str) -> None:
    assert [a.option_strings or a.dest for a in parser_of(name)._actions if not a.help] == []


def test_man_shows_them_and_has_nothing_to_complain_of(made: Path) -> None:
    pages = sorted(map(str, (made / "man" / "man1").iterdir()))
    command = ["groff", "-man", "-Tutf8", "-ww", "-P-cbu", *pages]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    # mandoc's lint says so, too.
    assert [page for page in pages if re.search(r"^\.SH.*\n\.PP", Path(page).read_text(), re.M)] == []
    for said in ("--network CIDR", "where it may come from", "EXIT STATUS", "back this host up"):
        assert said in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("nightdrop enr", ["enroll"]),
        ("nightdrop restore ru", ["run"]),
        ("nightdrop enroll web1 --net", ["--network"]),
        ("nightdrop enroll --kind ", ["duplicity", "shell"]),
        ("nightdrop restore run --num", ["--numeric-owner"]),
        ("nightdrop backup --js", ["--json"]),
    ],
)
def test_bash_completes(made: Path, typed: str, offered: list[str]) -> None:
    words = typed.split(" ")
    script = (
        f"source {made}/bash-completion/completions/nightdrop\n"
        f"COMP_WORDS=({' '.join(repr(word) for word in words)}); COMP_CWORD={len(words) - 1}\n"
        '_nightdrop; printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == offered


def test_in_a_shell_that_is_typed_into(made: Path, tmp_path: Path) -> None:
    (tmp_path / "a-vault").mkdir()
    (tmp_path / "web1.toml").touch()
    with Terminal(["env", "TERM=dumb", "PS1=> ", "bash", "--norc", "-i"]) as bash:
        bash.type(f'cd {tmp_path}; source {made}/bash-completion/completions/nightdrop; echo load"ed"\n')
        bash.expect("loaded")
        for typed, completed in (
            ("restore ru\ta-v\t --ho\t", "nightdrop restore run a-vault/ --host "),
            ("enroll web1 --net\t", "nightdrop enroll web1 --network "),
            ("backup --config we\t", "nightdrop backup --config web1.toml "),
        ):
            bash.said = ""
            bash.type(f"nightdrop {typed}")
            bash.expect(completed)
            bash.type("\x15")


def test_a_machine_without_a_role_has_no_pages_of_it(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "nightdrop.manuals", str(tmp_path), "client"], check=True)
    assert not (tmp_path / "man" / "man1" / "nightdrop-enroll.1").exists()
    assert "enroll" not in (tmp_path / "bash-completion" / "completions" / "nightdrop").read_text()
