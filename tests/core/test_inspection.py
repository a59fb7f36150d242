"""Describing envelopes without a key, from their first kilobytes and their tail."""

import io
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.keyring import BOUNDED, CIPHERS, holders, opened, seal
from core.messages import DIGESTS, Encode, compose, nested, primitive, segmented
from core.mutations import mutated
from nightdrop.envelope import der
from nightdrop.envelope.algorithms import CIPHERS as KNOWN
from nightdrop.envelope.algorithms import DATA, ENVELOPED_DATA, CipherName
from nightdrop.envelope.header import MOST_RECIPIENTS
from nightdrop.envelope.inspection import Inspection, inspect_envelope
from nightdrop.envelope.recipients import RecipientId
from nightdrop.errors import EnvelopeError

ALICE, BOB, CAROL = holders()
NOISE = random.Random(1).randbytes(300_000)


def inspect(envelope: bytes) -> Inspection:
    return inspect_envelope(io.BytesIO(envelope))


@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize("size", [0, 1, 5000, 300_000])
def test_what_we_seal_is_described(cipher: CipherName, size: int) -> None:
    envelope = seal(NOISE[:size], [ALICE, BOB], cipher)
    found = inspect(envelope)
    assert found.content_type == ("AuthEnvelopedData" if cipher == "aes-256-gcm" else "EnvelopedData")
    assert found.cipher == cipher
    assert set(found.recipients) == {ALICE.recipient.by_issuer, BOB.recipient.by_issuer}
    assert (found.complete, found.trailing, found.size) == (True, 0, len(envelope))


FORMS: dict[str, tuple[Encode, bool]] = {
    "definite, primitive": (primitive, True),
    "definite, segmented": (segmented(1000, definite=True), True),
    "definite around indefinite": (segmented(1000), True),
    "indefinite, segmented": (segmented(1000), False),
    "indefinite around definite": (primitive, False),
    "tiny segments": (segmented(3), False),
    "nested": (nested, False),
    "nested in definite": (nested, True),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("cipher", [facts.name for facts in KNOWN.values()])
def test_every_form_of_every_cipher_is_described_and_its_end_is_seen(form: str, cipher: str) -> None:
    content, definite = FORMS[form]
    message = compose(NOISE[:5000], ALICE, cipher).but(content=content, definite=definite)
    while message.ciphertext.endswith(b"\0"):
        # With CBC, a missing end would be taken from the content: see the next test but one.
        message = compose(NOISE[:5000], ALICE, cipher).but(content=content, definite=definite)
    envelope = message.encode()
    found = inspect(envelope)
    assert found.cipher == cipher
    assert found.complete
    assert found.trailing == 0
    for cut in (1, 2, 3, 8, 16, 17, 100, 3000):
        assert not inspect(envelope[:-cut]).complete, cut
    longer = inspect(envelope + b"tail")
    assert longer.trailing == 4 if definite else not longer.complete


@BOUNDED
@given(st.integers(0, 5999), st.sampled_from(CIPHERS))
def test_no_cut_passes_for_an_end(size: int, cipher: CipherName) -> None:
    """A head that is cut is no envelope; any other cut is seen."""
    envelope = seal(NOISE[:5000], [ALICE], cipher, compress=False)
    while envelope.rstrip(b"\0") != envelope[:-10] and cipher == "aes-256-cbc":
        envelope = seal(NOISE[:5000], [ALICE], cipher, compress=False)
    try:
        found = inspect(envelope[: min(size, len(envelope) - 1)])
    except EnvelopeError:
        return
    assert not found.complete


def test_one_missing_octet_is_not_seen_where_cbc_happens_to_end_with_zero() -> None:
    """What reading only the tail costs; the size in the receipt, or opening it, tells."""
    message = compose(NOISE[:5000], ALICE, "aes-256-cbc")
    unlucky = message.but(ciphertext=message.ciphertext[:-2] + b"\1\0").encode()
    assert inspect(unlucky[:-1]).complete
    assert not inspect(unlucky[:-2]).complete
    with pytest.raises(EnvelopeError):
        opened(unlucky[:-1], ALICE.key)


@pytest.mark.parametrize("digest", DIGESTS)
@pytest.mark.parametrize("by_key_id", [True, False])
def test_recipients_are_named_either_way(digest: str, by_key_id: bool) -> None:
    message = compose(b"x", ALICE, digest=DIGESTS[digest], by_key_id=by_key_id)
    [named] = inspect(message.encode()).recipients
    assert named in ALICE.recipient.ids
    assert bool(named.key_id) == by_key_id
    assert str(named).startswith("key " if by_key_id else "CN=alice, serial ")


def test_recipients_of_other_kinds_are_listed_beside_ours() -> None:
    """Key agreement is named as key transport is; a password or a shared key has no name."""
    alice = compose(b"", ALICE)
    rid = der.element(0x30, ALICE.recipient.by_issuer.issuer, der.integer(77))
    entry = der.element(0x30, rid, der.element(0x04, bytes(40)))
    anonymous = der.element(0xA1, der.element(0x30, der.oid("1.2.840.10045.2.1")), b"\x03\x02\x00\x04")
    algorithm = der.element(0x30, der.oid("1.3.132.1.11.1"))
    kari = der.element(
        0xA1, der.integer(3), der.element(0xA0, anonymous), algorithm, der.element(0x30, entry, entry)
    )
    derivation = der.element(0xA0, der.oid("1.2.840.113549.1.5.12"), der.element(0x05))
    pwri = der.element(0xA3, der.integer(0), derivation, algorithm, der.element(0x04, bytes(40)))
    found = inspect(alice.but(transports=(*alice.transports, kari, pwri)).encode())
    ours, *agreed, password = found.recipients
    assert ours == ALICE.recipient.by_issuer
    assert agreed == [RecipientId(ALICE.recipient.by_issuer.issuer, 77)] * 2
    assert password != ours
    assert str(password).isprintable()


def test_only_the_head_and_the_tail_are_read() -> None:
    class Counting(io.BytesIO):
        octets = 0

        def read(self, size: int | None = -1) -> bytes:
            out = super().read(size)
            self.octets += len(out)
            return out

    file = Counting(seal(random.Random(2).randbytes(5_000_000), [ALICE, BOB, CAROL]))
    assert inspect_envelope(file).complete
    assert file.octets <= 24 * 1024


def test_so_many_recipients_are_read_and_no_more() -> None:
    message = compose(b"", ALICE)
    [transport] = message.transports
    many = message.but(transports=(transport,) * MOST_RECIPIENTS)
    assert len(inspect(many.encode()).recipients) == MOST_RECIPIENTS
    with pytest.raises(EnvelopeError, match="more than 1000 recipients"):
        inspect(many.but(transports=(transport,) * (MOST_RECIPIENTS + 1)).encode())


@pytest.mark.parametrize(
    "name",
    [
        b"\x30\x00",
        b"\x30\x02\x31\x00",
        bytes.fromhex("30123110300e06035504030c07") + b"\x1b[31m\n\0",
        bytes.fromhex("300d310b3009060355040313" + "02c3bc"),
        b"\x30\x03\x31\x01\x30",
        b"\x30\x04\xff\xff\xff\xff",
        bytes.fromhex("3009310730050603550406") + b"\x13\x00",
    ],
    ids=bytes.hex,
)
def test_whatever_stands_for_a_name_is_told_harmlessly(name: bytes) -> None:
    transport = compose(b"", ALICE).transports[0]
    body = der.children(der.contents(transport, 0x30))
    rid = der.element(0x30, name, der.integer(1))
    hostile = der.element(0x30, body[0], rid, *body[2:])
    try:
        found = inspect(compose(b"", ALICE).but(transports=(hostile,)).encode())
    except EnvelopeError as error:
        assert error.message.isprintable()
        return
    assert str(found.recipients[0]).isprintable()
    assert len(str(found.recipients[0])) < 2000


NO_ENVELOPE = {
    "nothing": b"",
    "one octet": b"\x30",
    "zeros": bytes(5000),
    "text": b"root:x:0:0:root:/root:/bin/bash\n",
    "a zstd frame": b"\x28\xb5\x2f\xfd" + bytes(100),
    "PEM": b"-----BEGIN CMS-----\nMIAGCyqGSIb3\n",
    "S/MIME": b"MIME-Version: 1.0\nContent-Type: application/pkcs7-mime\n\nMIAG",
    "a certificate": ALICE.recipient.certificate,
    "signed data": der.element(
        0x30, der.oid("1.2.840.113549.1.7.2"), der.element(0xA0, der.element(0x30, b"\x02\x01\x01"))
    ),
    "a head without an end": b"\x30\x80" * 1000,
    "2^63 octets": b"\x30\x88\x80" + bytes(7) + ENVELOPED_DATA,
    "gpg": b"\x85\x02\x0c\x03" + bytes(500),
}


@pytest.mark.parametrize("why", NO_ENVELOPE)
def test_what_is_no_envelope(why: str) -> None:
    with pytest.raises(EnvelopeError) as caught:
        inspect(NO_ENVELOPE[why])
    assert caught.value.message.isprintable()


GOOD = compose(b"content", ALICE)
CBC = compose(b"content", ALICE, "aes-256-cbc")


def gcm_parameters(*fields: bytes) -> bytes:
    [identifier] = [i for i, c in KNOWN.items() if c.name == "aes-256-gcm"]
    return der.element(0x30, identifier, der.element(0x30, *fields))


def cbc_parameters(*fields: bytes) -> bytes:
    [identifier] = [i for i, c in KNOWN.items() if c.name == "aes-256-cbc"]
    return der.element(0x30, identifier, *fields)


NONCE, TAG = der.element(0x04, bytes(12)), der.integer(16)

WRONG = {
    "GCM in EnvelopedData": (GOOD.but(content_type=CBC.content_type), "does not belong into"),
    "CBC in AuthEnvelopedData": (CBC.but(content_type=GOOD.content_type), "does not belong into"),
    "an unknown cipher": (
        GOOD.but(algorithm=der.element(0x30, der.oid("1.2.3.4"), der.element(0x30, NONCE))),
        "unknown cipher",
    ),
    "RC2": (
        CBC.but(algorithm=der.element(0x30, der.oid("1.2.840.113549.3.2"), der.element(0x04, bytes(8)))),
        "unknown cipher",
    ),
    "CBC without parameters": (CBC.but(algorithm=cbc_parameters()), "unknown cipher"),
    "a short IV": (CBC.but(algorithm=cbc_parameters(der.element(4, bytes(8)))), "wrong length"),
    "an IV that is NULL": (CBC.but(algorithm=cbc_parameters(b"\x05\x00")), "0x05 stands where"),
    "GCM without a nonce": (GOOD.but(algorithm=gcm_parameters()), "out of bounds"),
    "a short nonce": (GOOD.but(algorithm=gcm_parameters(der.element(4, bytes(7)), TAG)), "out of bounds"),
    "a long nonce": (GOOD.but(algorithm=gcm_parameters(der.element(4, bytes(65)), TAG)), "out of bounds"),
    "a short tag": (GOOD.but(algorithm=gcm_parameters(NONCE, der.integer(11))), "out of bounds"),
    "no tag to speak of": (GOOD.but(algorithm=gcm_parameters(NONCE, der.integer(0))), "out of bounds"),
    "a long tag": (GOOD.but(algorithm=gcm_parameters(NONCE, der.integer(17))), "out of bounds"),
    "a huge tag": (GOOD.but(algorithm=gcm_parameters(NONCE, der.integer(2**900))), "out of bounds"),
    "a recipient that is none": (GOOD.but(transports=(b"\x30\x00",)), "recipients cannot be read"),
    "a recipient that is text": (GOOD.but(transports=(b"\x0c\x01a",)), "recipients cannot be read"),
}


@pytest.mark.parametrize("why", WRONG)
def test_what_is_wrong_with_a_head_is_named(why: str) -> None:
    message, problem = WRONG[why]
    with pytest.raises(EnvelopeError, match=problem):
        inspect(message.encode())


def test_a_content_that_is_not_plain_data() -> None:
    signed = der.oid("1.2.840.113549.1.7.2")
    head, _, tail = GOOD.encode().partition(DATA)
    with pytest.raises(EnvelopeError, match="not plain data"):
        inspect(head + signed + tail)


def test_whatever_is_changed_it_is_described_or_an_error() -> None:
    """Three thousand mutations of heads: no exception but ours, and no word that could hurt."""
    chance = random.Random(20260102)
    good = [compose(b"content", ALICE, digest=digest).encode() for digest in DIGESTS.values()]
    good += [seal(b"content", [ALICE, BOB], cipher) for cipher in CIPHERS]
    refused = 0
    for _ in range(3000):
        try:
            found = inspect(mutated(chance, chance.choice(good)))
        except EnvelopeError as error:
            refused += 1
            assert error.message.isprintable()
        else:
            assert all(str(recipient).isprintable() for recipient in found.recipients)
    assert refused > 1000
