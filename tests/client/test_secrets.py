"""Secrets from files, systemd credentials and commands reach those they are for, and nobody else."""

import os
import subprocess
from pathlib import Path

import pytest

from nightdrop.enrolment import load_bundle
from nightdrop.errors import NightdropError
from nightdrop.secrets import Secret
from nightdrop_client.sources.secrets import StreamSecrets

from house import HOST, House, run
from mirrors import NIGHTDROP, wait_until

# Nobody else's on this machine, whose processes are all looked at.
SECRETS = {
    name: f"s3cret-{name}-{os.urandom(8).hex()}" for name in ("environment", "file", "vault-token")
}


def test_passwords_and_secrets_come_from_elsewhere(house: House, tmp_path: Path) -> None:
    """One mirror's password is a credential, the other's is printed by a command that needs a token of
    ours; a database's are wanted in the environment and in a file. All processes are looked at meanwhile.
    """
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    passwords = [mirror.password(house.bundle) for mirror in house.mirrors]
    (credentials / "mirror-a").write_text(passwords[0] + "\n")
    (credentials / "database").write_text(SECRETS["file"])
    (tmp_path / "second").write_text(passwords[1])
    (tmp_path / "environment").write_text(SECRETS["environment"] + "\n")
    asked = f'["sh", "-c", \'test "$TOKEN" = "$(cat {tmp_path}/token)" && cat {tmp_path}/second\']'
    (tmp_path / "token").write_text(SECRETS["vault-token"])
    text = house.bundle.read_text()
    text = text.replace(f'"{passwords[0]}"', '{ credential = "mirror-a" }')
    text = text.replace(f'"{passwords[1]}"', f"{{ command = {asked} }}")
    house.bundle.write_text(text)
    allow_secrets(house)
    begun, go_on = tmp_path / "begun", tmp_path / "go-on"
    script = f'touch {begun}; while ! [ -e {go_on} ]; do sleep 0.05; done; echo $KEY; cat "$KEYFILE"'
    script += '; stat -c " %a" "$KEYFILE"; echo $KEY is odd >&2'
    house.config.write_text(
        house.config.read_text()
        + f"""
        [[commands]]
        name = "first"
        command = ["env"]
        [[commands]]
        name = "second"
        command = ['sh', '-c', '''{script}''']
        secrets = {{ KEY = {{ file = "{tmp_path}/environment" }} }}
        secret_files = {{ KEYFILE = {{ credential = "database" }} }}
        """
    )
    ours = {"CREDENTIALS_DIRECTORY": str(credentials), "TOKEN": SECRETS["vault-token"]}
    process = subprocess.Popen(
        [*NIGHTDROP, "backup", "--config", house.config],
        env=os.environ | ours,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_until(begun.exists, "the command runs")
    holders = who_shows([*passwords, *SECRETS.values()])
    go_on.touch()
    said, _ = process.communicate()
    assert process.returncode == 0, said
    assert {words[0] for words in holders if b"nightdrop" not in b" ".join(words)} <= {b"sh", b"sleep"}
    assert not [words for words in holders if b"nightdrop_client.launcher" in words]

    to = tmp_path / "to"
    house.restore(to, "--path", "/.nightdrop/commands")
    assert (to / "second").read_text() == f"{SECRETS['environment']}\n{SECRETS['file']} 600\n"
    environment = (to / "first").read_text()
    logs = said + (house.state / "duplicity.log").read_text()
    receipts = b"".join(
        octets for name, octets in house.mirrors[0].stored(HOST).items() if name.endswith(".json")
    )
    assert "*** is odd" in logs
    for secret in [*passwords, *SECRETS.values()]:
        assert secret not in environment + logs + receipts.decode()
        for path in house.state.rglob("*"):
            assert not path.is_file() or secret.encode() not in path.read_bytes(), path


def allow_secrets(house: House) -> None:
    """Let the bundle say where passwords are."""
    house.config.write_text("bundle_secrets = true\n" + house.config.read_text())


def test_whoever_hands_out_a_bundle_cannot_have_root_run_a_command(house: House, tmp_path: Path) -> None:
    password, ran = house.mirrors[0].password(house.bundle), tmp_path / "ran"
    text = house.bundle.read_text()
    house.bundle.write_text(text.replace(f'"{password}"', f'{{ command = ["touch", "{ran}"] }}'))
    for verb, status in (("backup", 2), ("status", 2), ("doctor", 1)):
        done = run(verb, "--config", house.config, expect=status)
        assert "it takes the password of mirror-a from the command touch" in done.stdout + done.stderr
    assert not ran.exists()


def who_shows(secrets: list[str]) -> list[list[bytes]]:
    """The command lines of all processes that have a secret on them or in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words, environment = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
        except OSError:
            continue
        assert not any(secret.encode() in words for secret in secrets), words
        if any(secret.encode() in environment for secret in secrets):
            found.append(words.split(b"\0"))
    return found


def test_a_password_that_is_not_to_be_had_costs_that_mirror_only(house: House) -> None:
    (house.source / "file").write_text("x")
    password = house.mirrors[0].password(house.bundle)
    text = house.bundle.read_text().replace(f'"{password}"', '{ credential = "secret-a" }')
    house.bundle.write_text(text)
    allow_secrets(house)
    facts = house.backup(expect=3)
    assert facts["mirrors_lacking"] == ["mirror-a"]
    why = "its password is not to be had: systemd has handed over no credentials, so not secret-a, either"
    assert facts["mirror_failures"] == {"mirror-a": why}
    assert house.names(0) == []


def test_enrolling_on_another_mirror_keeps_where_a_password_is(house: House) -> None:
    password = house.mirrors[0].password(house.bundle)
    text = house.bundle.read_text().replace(f'"{password}"', '{ file = "/etc/mirror-a" }')
    house.bundle.write_text(text)
    house.mirrors[1].enroll(HOST, house.bundle, "--again")
    [first, second] = load_bundle(house.bundle).mirrors
    assert first.secret == Secret("file", ("/etc/mirror-a",))
    assert second.secret is None
    assert second.password


@pytest.mark.parametrize(
    ("secret", "error"),
    [
        (Secret("file", ("/nowhere",)), "cannot read the file /nowhere: No such file or directory"),
        (Secret("file", ("/dev/null",)), "what the file /dev/null holds is no secret"),
        (Secret("file", ("/dev/zero",)), "what the file /dev/zero holds is no secret"),
        (Secret("command", ("/nowhere",)), "the command /nowhere cannot be started"),
        (Secret("command", ("sh", "-c", "echo sealed >&2; exit 2")), "ended with status 2: sealed"),
    ],
)
def test_what_is_no_secret(secret: Secret, error: str) -> None:
    with pytest.raises(NightdropError, match=error):
        secret.fetch()


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("the password is horse-battery", "the password is ***"),
        ("horse and horse-battery", "*** and ***"),
        ("e-battery, it said", "***, it said"),
        ("ry, it said", "ry, it said"),
        ("nothing", "nothing"),
    ],
)
def test_what_commands_say_shows_no_part_of_a_secret(said: str, shown: str) -> None:
    """One may be the beginning of another, or cut off where what is kept of their words begins."""
    secrets = StreamSecrets({"A": "horse"}, {"B": "horse-battery", "C": "", "D": "it"})
    assert secrets.without(said) == shown


def test_what_is_wrong_in_a_bundle_is_named(house: House) -> None:
    password = house.mirrors[0].password(house.bundle)
    house.bundle.write_text(house.bundle.read_text().replace(f'"{password}"', "{ flie = 1 }"))
    done = run("backup", "--config", house.config, expect=2)
    assert "key `mirror[1].password`: expected one of { file" in done.stderr
