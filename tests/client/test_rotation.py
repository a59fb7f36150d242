"""A new recipient takes effect with the next full, so that one key alone restores a chain."""

import json
from pathlib import Path

import tomli_w

from house import HOST, House, Key, run


def new_recipient(house: House, key: Key) -> None:
    """The bundle as another enrolment would make it: with another certificate."""
    import tomllib

    bundle = tomllib.loads(house.bundle.read_text())
    bundle["recipients"] = [key.certificate.read_text()]
    house.bundle.write_text(tomli_w.dumps(bundle))


def test_a_new_recipient_takes_effect_with_the_next_full(house: House, tmp_path: Path) -> None:
    passphrase = tmp_path / "new.passphrase"
    passphrase.write_text("another\n")
    words = ["--name", "new", "--type", "ec-p384", "--passphrase-file", passphrase]
    run("key", "new", tmp_path / "new", *words)
    new = Key(tmp_path / "new", passphrase)
    (house.source / "file").write_text("one")
    house.backup()
    new_recipient(house, new)
    (house.source / "file").write_text("two")
    done = run("backup", "--config", house.config)
    assert "the new ones take effect with the next full" in done.stdout + done.stderr
    restored = house.restore(tmp_path / "old chain")
    assert (restored / "file").read_text() == "two"
    (house.source / "file").write_text("three")
    done = run("backup", "--config", house.config, "--full")
    assert "take effect" not in done.stdout + done.stderr
    house.let_a_second_pass()
    (house.source / "file").write_text("four")
    house.backup()
    vault, to = house.mirrors[1].vault, tmp_path / "new chain"
    run("restore", "run", vault, "--host", HOST, "--to", to, *new.arguments)
    assert (to / house.source.relative_to("/") / "file").read_text() == "four"
    receipts = sorted((vault / HOST).glob("*.receipt.json"), key=lambda path: path.name[-30:])
    sealed_to = [json.loads(path.read_text())["recipients"] for path in receipts]
    assert sealed_to[0] == sealed_to[1] != sealed_to[2] == sealed_to[3]
