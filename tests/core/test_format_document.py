"""FORMAT.md is held against the code: its tables, its fields, its numbers and its shorter examples."""

import inspect
import re
from pathlib import Path
from typing import get_args

from core.format_document import FORMAT, ROOT, block, section, tables
from core.keyring import CURVES, holder_on
from core.supplements import parse_supplement
from nightdrop import receipts
from nightdrop.enrolment import Bundle, BundleMirror, load_bundle
from nightdrop.envelope import ber, der, forms, header
from nightdrop.envelope.agreement import SCHEMES, Scheme
from nightdrop.envelope.algorithms import CIPHERS, GCM_LIMIT, SEALING_CIPHERS
from nightdrop.envelope.entries import Addressing, Agreement, entry_for, read_entries
from nightdrop.envelope.public_keys import RSA_BITS
from nightdrop.envelope.sealing import SEGMENT
from nightdrop.names import MAX_NAME_LENGTH, parse_name
from nightdrop.receipts import MAX_SIZE, Receipt, ReceiptFile, Source, parse_receipt
from nightdrop.supplement import Supplement
from nightdrop_client.gpgsm import SEGMENT as BACKUP_SEGMENT


def names_in(table: list[list[str]]) -> list[str]:
    return [row[0].strip("`") for row in table]


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
