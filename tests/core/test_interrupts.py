"""What interrupts a command while it makes something leaves that neither unknown nor behind."""

import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from nightdrop.engine.process import Engine
from nightdrop.files import whole_file
from nightdrop.interrupts import held_back
from nightdrop_restore.writing.workplaces import workplace


@pytest.fixture(autouse=True)
def heard() -> None:
    """Who runs tests in the background makes them deaf to SIGINT."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_signal_comes_after_the_block() -> None:
    went_on = False
    with pytest.raises(KeyboardInterrupt), held_back():
        signal.raise_signal(signal.SIGINT)
        went_on = True
    assert went_on
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_restore_interrupted_while_its_workplace_is_made_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = tempfile.mkdtemp

    def interrupted(*words: object, **options: object) -> str:
        made: str = make(*words, **options)  # type: ignore[call-overload]
        signal.raise_signal(signal.SIGINT)
        return made

    monkeypatch.setattr(tempfile, "mkdtemp", interrupted)
    with pytest.raises(KeyboardInterrupt), workplace(tmp_path / "to"):
        pytest.fail("it was not interrupted")
    assert list(tmp_path.iterdir()) == []


def test_a_file_interrupted_while_it_is_made_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = tempfile.mkstemp

    def interrupted(*words: Any, **options: Any) -> tuple[int, str]:
        made: tuple[int, str] = make(*words, **options)
        signal.raise_signal(signal.SIGINT)
        return made

    monkeypatch.setattr(tempfile, "mkstemp", interrupted)
    with pytest.raises(KeyboardInterrupt), whole_file(tmp_path / "file"):
        pytest.fail("it was not interrupted")
    assert list(tmp_path.iterdir()) == []


def test_duplicity_interrupted_while_it_is_started_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, made = subprocess.Popen, list[subprocess.Popen[bytes]]()

    def interrupted(*words: Any, **options: Any) -> subprocess.Popen[bytes]:
        made.append(make(*words, **options))
        signal.raise_signal(signal.SIGINT)
        return made[0]

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    engine = Engine(tmp_path / "log")
    # It waits for its job, which never comes.
    with pytest.raises(KeyboardInterrupt), engine.started("nightdrop_client.launcher"):
        pytest.fail("it was not interrupted")
    [process] = made
    assert process.returncode is not None
