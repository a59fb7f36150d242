"""The envelope that FORMAT.md prints octet by octet: it opens, it is what sealing makes, and it is what
the words beside it say.
"""

import io
import os
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.format_document import FORMAT, block
from core.keyring import opened
from core.stock import run
from nightdrop.envelope import der
from nightdrop.envelope.ber import BerReader
from nightdrop.envelope.recipients import load_recipients
from nightdrop.envelope.sealing import Sealer
from nightdrop_restore.keys.reading import load_key

EXAMPLE = Path(__file__).parent / "example"


@dataclass(frozen=True)
class Line:
    """One line of the example: where its octets stand, and what they are said to mean."""

    at: int
    octets: bytes
    meaning: str


@pytest.fixture(scope="module")
def example() -> list[Line]:
    lines = []
    for line in block("example").splitlines():
        found = re.fullmatch(r"([0-9a-f]{4})  ((?:[0-9a-f]{2} )*[0-9a-f]{2}) +(\S.*)", line)
        assert found, line
        lines.append(Line(int(found[1], 16), bytes.fromhex(found[2]), found[3]))
    return lines


def test_the_example_has_every_octet_in_its_place(example: list[Line]) -> None:
    at = 0
    for line in example:
        assert line.at == at
        at += len(line.octets)


def test_the_example_opens(example: list[Line], tmp_path: Path) -> None:
    envelope = b"".join(line.octets for line in example)
    key = EXAMPLE / "key.pem"
    (tmp_path / "both.pem").write_bytes(key.read_bytes() + (EXAMPLE / "certificate.pem").read_bytes())
    assert opened(envelope, load_key(tmp_path / "both.pem", bytes)) == b"hello, night safe\n"
    form = ["-decrypt", "-binary", "-inform", "DER", "-inkey", str(key)]
    assert run("openssl", "cms", *form, stdin=envelope) == b"hello, night safe\n"


def test_the_example_is_what_sealing_makes(example: list[Line], monkeypatch: pytest.MonkeyPatch) -> None:
    """With the key and the nonce that the text names; all but the encrypted key, octet by octet."""
    assert "`00 01 02 … 1f`" in FORMAT
    assert "`a0 a1 … ab`" in FORMAT
    draws = iter([bytes(range(0x20)), bytes(range(0xA0, 0xAC))])
    monkeypatch.setattr(os, "urandom", lambda octets: next(draws)[:octets])
    out = bytearray()
    recipients = load_recipients(EXAMPLE / "certificate.pem")
    sealer = Sealer(out.extend, recipients, "aes-256-gcm", compress=False)
    sealer.update(b"hello, night safe\n")
    sealer.finish()
    keys = 0
    for line in example:
        made = bytes(out[line.at : line.at + len(line.octets)])
        if line.meaning == "encryptedKey":
            keys += len(line.octets)
        else:
            assert made == line.octets, line
    assert keys == 256
    assert len(out) == example[-1].at + len(example[-1].octets)


def test_the_example_says_what_each_element_is(example: list[Line]) -> None:
    """Lengths, values and identifiers in the words beside the octets."""
    dotted = {
        "id-ct-authEnvelopedData": "1.2.840.113549.1.9.16.1.23",
        "id-at-commonName": "2.5.4.3",
        "rsaEncryption": "1.2.840.113549.1.1.1",
        "id-data": "1.2.840.113549.1.7.1",
        "id-aes256-GCM": "2.16.840.1.101.3.4.1.46",
    }
    checked = 0
    for line in example:
        if line.meaning in ("encryptedKey", "(goes on)") or line.meaning.startswith("ciphertext"):
            continue
        tag, length = BerReader(io.BytesIO(line.octets).read).header()
        checked += 1
        if found := re.search(r"(\d+) octets", line.meaning):
            assert length == int(found[1]), line
        if "indef" in line.meaning:
            assert length is None, line
        if found := re.search(r": (id-\S+|rsaEncryption)$", line.meaning):
            assert line.octets == der.oid(dotted[found[1]]), line
        if found := re.search(r"(?:version|serialNumber|ICVlen): (\d+)$", line.meaning):
            assert line.octets == der.integer(int(found[1])), line
        if line.meaning.startswith("end of"):
            assert line.octets == b"\0\0", line
        kinds = {"SEQUENCE": 0x30, "SET,": 0x31, "[0]": 0xA0, "OCTET STRING": 0x04, "NULL": 0x05}
        for kind, expected in kinds.items():
            if kind in line.meaning:
                assert tag == expected, line
    assert checked == 34
