"""The door's TLS, as clients that mean harm would like it to be."""

import subprocess

import pytest

from mirrors import PATIENCE, Served


def openssl(https: Served, said: bytes, *words: str) -> subprocess.CompletedProcess[bytes]:
    """A client that shakes hands, and is told this from its terminal."""
    where = f"{https.mirror.address}:{https.mirror.port}"
    command = ["openssl", "s_client", "-connect", where, "-CAfile", str(https.mirror.certificate), *words]
    return subprocess.run(command, input=said, capture_output=True, check=False, timeout=PATIENCE)


@pytest.mark.parametrize("group", ["ffdhe2048", "ffdhe8192", "P-521", "X448"])
def test_no_stranger_chooses_a_dear_handshake(https: Served, group: str) -> None:
    """With finite fields of 8192 bits, one costs what seventy others do; to ask for it costs nothing."""
    assert b"handshake failure" in openssl(https, b"", "-groups", group).stderr


@pytest.mark.parametrize("groups", ["P-256", "X25519:P-256", "ffdhe8192:P-256"])
def test_everybody_can_shake_hands(https: Served, groups: str) -> None:
    """Also who would rather do something else."""
    done = openssl(https, b"", "-groups", groups)
    assert done.returncode == 0, done.stderr
    # "Server" or "Peer", by version.
    assert b" Temp Key: ECDH, prime256v1" in done.stdout


def test_no_handshake_begins_anew(https: Served) -> None:
    done = openssl(https, b"R\n", "-tls1_2")
    assert b"RENEGOTIATING" in done.stderr
    assert b"no renegotiation" in done.stderr
