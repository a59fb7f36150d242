"""FORMAT.md is held against the code: its tables, its examples, and every command that it prints."""

import dataclasses
import inspect
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from core.keyring import CURVES, Holder, holder_on, holders, opened, seal
from core.stock import PASSPHRASE, PKCS12_ATTEMPTS, Gpgsm, RefusedError, run
from core.supplements import parse_supplement
from nightdrop import receipts
from nightdrop.enrolment import Bundle, BundleMirror, load_bundle
from nightdrop.envelope import ber, der, forms, header
from nightdrop.envelope.agreement import SCHEMES, Scheme
from nightdrop.envelope.algorithms import CIPHERS, GCM_LIMIT, SEALING_CIPHERS
from nightdrop.envelope.ber import BerReader
from nightdrop.envelope.entries import RSA_BITS, Addressing, Agreement, entry_for, read_entries
from nightdrop.envelope.recipients import load_recipients
from nightdrop.envelope.sealing import SEGMENT, Sealer
from nightdrop.names import MAX_NAME_LENGTH, parse_name
from nightdrop.receipts import MAX_SIZE, Receipt, ReceiptFile, Source, parse_receipt
from nightdrop.supplement import Supplement
from nightdrop_client.gpgsm import SEGMENT as BACKUP_SEGMENT
from nightdrop_client.stand_in import settings, write_gpgsm
from nightdrop_restore.keys.making import new_key
from nightdrop_restore.keys.reading import load_key

ROOT = Path(__file__).parents[2]
FORMAT = (ROOT / "docs" / "FORMAT.md").read_text()
EXAMPLE = Path(__file__).parent / "example"
SHELLS = {"sh": ["sh"], "dash": ["dash"], "ash": ["busybox", "ash"]}


def block(title: str) -> str:
    """The one block of code with this title."""
    [found] = re.findall(rf'^```[a-z]+ title="{title}"\n(.*?)^```$', FORMAT, re.DOTALL | re.MULTILINE)
    return str(found)


def section(heading: str) -> str:
    """What stands below a heading, down to the next one of any level."""
    [found] = re.findall(rf"^#+ {heading}\n(.*?)(?=^#|\Z)", FORMAT, re.DOTALL | re.MULTILINE)
    return str(found)


def tables(text: str) -> list[list[list[str]]]:
    """The tables in a text: rows of cells, without their heads."""
    found = []
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
        found.append(rows[2:])
    return found


def names_in(table: list[list[str]]) -> list[str]:
    return [row[0].strip("`") for row in table]


# The example.


@dataclasses.dataclass(frozen=True)
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


# Tables.


def test_the_table_of_ciphers() -> None:
    [rows] = tables(section("Ciphers"))
    assert {name: der.oid(dotted) for name, dotted, *_ in rows} == {
        facts.name: identifier for identifier, facts in CIPHERS.items()
    }
    assert {name: mode.lower() for name, _, mode, *_ in rows} == {
        facts.name: facts.mode for facts in CIPHERS.values()
    }
    assert [row[0] for row in rows if row[4].startswith("written")] == list(SEALING_CIPHERS)
    assert [row[0] for row in rows if "old sets" in row[4]] == [
        facts.name for facts in CIPHERS.values() if not facts.strong
    ]


def test_recipients_are_reached_as_the_table_says() -> None:
    keys, _transport, _agreement, schemes = tables(section("Recipients"))
    said = {row[0]: re.findall(r"`([0-9.]+)`", row[2]) for row in keys}
    for name in CURVES:
        recipient = holder_on(name).recipient
        info = entry_for(recipient, bytes(32), Addressing())
        [entry] = read_entries([info])
        assert isinstance(entry, Agreement)
        assert [entry.scheme] == [der.oid(dotted) for dotted in said[entry.key_type]]
    least, most = map(int, re.findall(r"\d{4}", keys[0][0]))
    assert (least, most) == RSA_BITS
    written = [dotted for row in schemes for dotted in re.findall(r"`([0-9.]+)`", row[1])]
    assert sorted(map(der.oid, written)) == sorted(SCHEMES)
    for names, identifiers in schemes:
        kdf = "hkdf" if "HKDF" in names else "x963"
        digests = [digest.replace("-", "").lower() for digest in re.findall(r"SHA-\d+", names)]
        found = [SCHEMES[der.oid(dotted)] for dotted in re.findall(r"`([0-9.]+)`", identifiers)]
        if "the same hashes" in names:
            digests = ["sha1", "sha224", "sha256", "sha384", "sha512"]
        assert found == [Scheme(kdf, digest) for digest in digests]  # type: ignore[arg-type]


def number(text: str) -> int:
    return int(text.replace(",", ""))


def test_the_tables_of_limits() -> None:
    [envelope] = tables(section("What an opener accepts and refuses"))
    assert {row[0]: number(row[1]) for row in envelope} == {
        "recipients of one envelope": header.MOST_RECIPIENTS,
        "octets of MIME headers": forms.HEADERS_LIMIT,
        "octets of any element but the content": ber.CAPTURE_LIMIT,
        "nesting": ber._DEPTH_LIMIT,
        "octets of a length": 8,
    }
    receipt = tables(section("Receipts"))[-1]
    assert {row[0]: number(row[1]) for row in receipt} == {
        "octets of a receipt": MAX_SIZE,
        "nesting of lists and objects": receipts._MAX_DEPTH,
        "commas and opening brackets": receipts._MAX_VALUES,
    }


def test_numbers_in_the_text() -> None:
    assert f"segments of {SEGMENT:,} octets each, `nightdrop backup` of {BACKUP_SEGMENT:,}" in FORMAT
    assert f"holds at most {GCM_LIMIT:,} octets" in FORMAT
    assert f"longer than {MAX_NAME_LENGTH} octets" in " ".join(FORMAT.split())


def fields(kind: type) -> list[str]:
    return list(inspect.signature(kind).parameters)


def test_the_tables_of_fields() -> None:
    receipt, file, source, _ = tables(section("Receipts"))
    assert names_in(receipt) == ["format", *fields(Receipt)]
    assert names_in(file) == fields(ReceiptFile)
    assert names_in(source) == fields(Source)
    [supplement] = tables(section("Supplement"))
    assert names_in(supplement) == ["format", *fields(Supplement)]
    bundle, mirror = tables(section("Bundle"))
    assert set(names_in(bundle)) == {"format", "mirror", *fields(Bundle)} - {"mirrors"}
    # `secret` is what `password` is read into if it says where the password is.
    assert names_in(mirror) == [name for name in fields(BundleMirror) if name != "secret"]


def test_the_table_of_names() -> None:
    [rows] = tables(section("Names"))
    times = {"T1": "20260102T030405Z", "T2": "20260103T030405Z", "T": "20260102T030405Z"}
    parts = set()
    for form, part, of in rows:
        name = form.strip("`")
        for sign, time in times.items():
            name = re.sub(rf"\b{sign}\b", time, name)
        name = name.replace("volN", "vol7").replace("KIND", "mtd").replace("EXT", "img.gz")
        parsed = parse_name(name)
        assert parsed is not None, form
        assert parsed.part == part
        assert parsed.set.type == {"a full": "full", "an incremental": "inc"}[of]
        assert parsed.volume == (7 if part == "volume" else None)
        parts.add((parsed.set.kind == "duplicity", parsed.set.type, part))
    assert len(rows) == len(parts) == 22


# Examples.


def test_the_example_of_a_receipt() -> None:
    parsed = parse_name("duplicity-inc.20260102T030405Z.to.20260103T030405Z.receipt.json")
    assert parsed is not None
    octets = block("receipt").encode()
    assert parse_receipt(octets, parsed.set, "web1").to_bytes() == octets


def test_the_example_of_a_supplement() -> None:
    supplement = parse_supplement(block("supplement").encode())
    assert supplement.hard_links == ((b"etc/a name", b"etc/another\xffname"),)
    assert parse_supplement(supplement.to_bytes()) == supplement


def test_the_example_of_a_bundle(tmp_path: Path) -> None:
    (tmp_path / "bundle.toml").write_text(block("bundle"))
    bundle = load_bundle(tmp_path / "bundle.toml")
    assert (bundle.host, len(bundle.recipients), len(bundle.mirrors)) == ("web1", 1, 1)


def test_the_other_forms_are_those_that_code_knows() -> None:
    [rows] = tables(section("Other forms"))
    assert [row[0].split(" (")[0] for row in rows] == list(get_args(forms.Form))
    [pem] = [" | ".join(row) for row in rows if row[0].startswith("PEM")]
    assert all(
        f"`{label.decode()}`" in pem or f" {label.decode()}--" in pem for label in forms.PEM_LABELS
    )
    [mime] = [" | ".join(row) for row in rows if row[0].startswith("S/MIME")]
    assert re.findall(r"`(application/.*?)`", mime) == list(forms.MIME_TYPES)


def test_the_headings_that_code_and_documents_refer_to() -> None:
    headings = re.findall(r"^###? (.*)$", FORMAT, re.MULTILINE)
    assert {"Envelopes", "Names", "Receipts", "Supplement"} <= set(headings)
    for target in re.findall(r"\]\(#([a-z-]+)\)", FORMAT):
        assert target in {re.sub(r"[^a-z]+", "-", heading.lower()) for heading in headings}
    for target in re.findall(r"\]\((\.\./[^)]*)\)", FORMAT):
        assert (ROOT / "docs" / target).exists()


# Commands, run as they stand.


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The administrator's machine: a key as `nightdrop key new` makes it, and its passphrase."""
    folder = tmp_path_factory.mktemp("offline")
    new_key(folder, "Backup Admin", PASSPHRASE)
    for name in ("passphrase", "passphrase-for-gpgsm"):
        (folder / name).write_bytes(PASSPHRASE + b"\n")
    return folder


@pytest.fixture(scope="module")
def admin(offline: Path) -> Holder:
    [recipient] = load_recipients(offline / "certificate.pem")
    key = load_key(offline / "key.pem", lambda: PASSPHRASE)
    return dataclasses.replace(holders()[0], private=key.private, recipient=recipient, key=key)


@pytest.fixture
def place(offline: Path, tmp_path: Path) -> Path:
    """A copy of it, to work in."""
    shutil.copytree(offline, tmp_path / "place")
    return tmp_path / "place"


def do(
    script: str, place: Path, shell: str = "sh", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*SHELLS[shell], "-c", script],
        cwd=place,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("cipher", SEALING_CIPHERS)
def test_one_volume_with_openssl(place: Path, admin: Holder, cipher: str) -> None:
    envelope = seal(b"content " * 9999, [admin, holders()[1]], cipher)  # type: ignore[arg-type]
    (place / "volume.p7m").write_bytes(envelope)
    done = do(block("one-volume-openssl"), place)
    assert done.returncode == 0, done.stderr
    assert (place / "volume").read_bytes() == b"content " * 9999
    (place / "volume").unlink()
    (place / "volume.p7m").write_bytes(envelope[:-3])
    assert do(block("one-volume-openssl"), place).returncode != 0
    assert not (place / "volume").exists()


@pytest.fixture
def gpgsm() -> Iterator[Gpgsm]:
    with Gpgsm() as home:
        yield home


def test_one_volume_with_gpgsm(place: Path, admin: Holder, gpgsm: Gpgsm) -> None:
    (place / "volume.p7m").write_bytes(seal(b"content " * 9999, [admin], "aes-256-cbc"))
    for _ in range(PKCS12_ATTEMPTS):
        done = do(block("one-volume-gpgsm"), place, **gpgsm.environment)
        if b"trying charset" not in done.stderr:
            break
    assert done.returncode == 0, done.stderr
    assert (place / "volume").read_bytes() == b"content " * 9999


@pytest.fixture
def script(place: Path) -> Path:
    path = place / "gpgsm-openssl"
    path.write_text(block("gpgsm-openssl"))
    path.chmod(0o700)
    return path


def test_the_script_has_five_lines_and_no_fault(script: Path) -> None:
    lines = [line for line in script.read_text().splitlines() if not line.startswith("#")]
    assert len("\n".join(lines).replace("\\\n", "").splitlines()) <= 5
    run("shellcheck", script)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("compress", [True, False])
def test_the_script_is_a_gpgsm_that_decrypts(
    place: Path, admin: Holder, script: Path, shell: str, compress: bool
) -> None:
    """As duplicity calls it: with a passphrase descriptor or without, and with many words."""
    keys = {"NIGHTDROP_KEY": f"{place}/key.pem", "NIGHTDROP_CERT": f"{place}/certificate.pem"}
    keys |= {"NIGHTDROP_PASSPHRASE": f"{place}/passphrase", "TMPDIR": str(place / "temporary files")}
    (place / "temporary files").mkdir()
    command = [*SHELLS[shell], str(script)]
    words = ["--batch", "--no-tty", "--no-secmem-warning", "--pinentry-mode=loopback", "--decrypt"]
    envelope = seal(b"content " * 9999, [admin], compress=compress)
    assert run(*command, *words, stdin=envelope, environment=keys) == b"content " * 9999
    assert run(*command, "--version") == b"gpgsm (GnuPG) 2.2.40\n"
    spoilt = bytearray(envelope)
    spoilt[-20] ^= 1
    for wrong in (bytes(spoilt), envelope[:-1], b"", b"nonsense"):
        with pytest.raises(RefusedError):
            run(*command, *words, stdin=wrong, environment=keys)
    assert os.listdir(place / "temporary files") == []


def test_a_whole_chain_with_stock_duplicity(place: Path, admin: Holder, script: Path) -> None:
    """Made by stock duplicity, too, with our gpgsm: what matters here is the commands as printed."""
    assert script.exists()
    vault, source = place / "vault", place / "source"
    for folder in (vault, source):
        folder.mkdir()
    seal_with = place / "stand-in"
    words = settings(place / "certificate.pem", "aes-256-gcm", compress=True, volume_size=1_000_000)
    write_gpgsm(seal_with, words)
    duplicity = Path(sys.executable).with_name("duplicity")
    environment = {"HOME": str(place), "PATH": f"{duplicity.parent}:{os.environ['PATH']}"}
    options = ["--use-gpgsm", "--gpg-binary", str(seal_with), "--use-agent", "--encrypt-key", "x"]
    for content in ("one", "two"):
        (source / content).write_text(content)
        run(duplicity, *options, str(source), f"file://{vault}", environment=environment)
        # A set is told by its second.
        run("sleep", "1.1")
    commands = block("whole-chain").replace("/path/to/vault/HOST", str(vault))
    done = do(commands, place, "dash", **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(os.listdir(place / "restored")) == ["one", "two"]
    assert (place / "restored" / "two").read_text() == "two"
