"""Receipts that a shell client signs: the check judges them like any other host's."""

from pathlib import Path

from check.signers import make_signer
from snowflakes.clients import ONLY, SHELLS, Client, Mirrors, broken, findings, programs_of
from snowflakes.conftest import NewClient

from house import Key
from mirrors import Mirror


def test_receipts_are_signed(tmp_path: Path, admin_key: Key, unlocked: Path, busybox: Path) -> None:
    with Mirror(tmp_path, "mirror-s", [admin_key.certificate]) as mirror:
        bundle = tmp_path / "bundle.toml"
        key, certificate = make_signer(tmp_path, "signing")
        mirror.enroll("ap1", bundle, "--kind", "shell", "--signer", str(certificate))
        home = Mirrors([mirror], admin_key, unlocked, bundle, "ap1")
        shell = ONLY or "ash"
        client = Client(tmp_path / "client", home, SHELLS[shell], programs_of(shell, busybox))
        key.rename(client.settings.parent / "signing.pem")
        client.set(signing_key="signing.pem", patience=1)
        assert "ok: receipts are signed" in client.run("doctor").stdout

        # Greeted, the file and the signature; the receipt comes after it, here in the next run.
        with broken(client, 0, [None, None, None, 0]):
            client.drop("conf", "echo", "one", expect=1)
        assert [name.split(".", 2)[2] for name in client.names()] == ["bin.p7m", "receipt.json.p7s"]
        client.drop("conf", "echo", "two")
        assert len(client.receipts()) == 2
        assert findings(mirror) == []

        client.set(signing_key="")
        client.drop("conf", "echo", "three")
        [unsigned] = findings(mirror)
        assert unsigned.startswith("unsigned: the receipt of conf")


def test_a_key_that_cannot_sign(new_client: NewClient) -> None:
    client = new_client()
    client.set(signing_key=client.home.key.certificate)
    assert "openssl cannot sign with" in client.run("doctor", expect=1).stderr
    said = client.drop("conf", "echo", "one", expect=1)
    assert f"no backup was made ({client.names()[0].removesuffix('.bin.p7m')}): openssl cannot" in said
    assert client.receipts() == []
    client.set(signing_key="nowhere.pem")
    assert "signing_key has to be a file" in client.run("doctor", expect=2).stderr
