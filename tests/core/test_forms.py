"""PEM, base64 and S/MIME: opened and described as the BER in them, and refused if they are not so."""

import base64
import io
import itertools
import random
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.keyring import BOUNDED, holders, opened, seal
from core.messages import compose, primitive
from nightdrop.envelope.forms import HEADERS_LIMIT, binary
from nightdrop.envelope.inspection import Inspection, inspect_envelope
from nightdrop.errors import EnvelopeError
from nightdrop_restore.envelope.opening import open_envelope

ALICE, BOB, _ = holders()
NOISE = random.Random(6).randbytes(200_000)


def lines(ber: bytes, width: int = 64) -> str:
    """Base64 in lines."""
    digits = base64.b64encode(ber).decode()
    return "".join(f"{digits[at : at + width]}\n" for at in range(0, len(digits), width))


def pem(ber: bytes, label: str = "CMS", width: int = 64) -> bytes:
    return f"-----BEGIN {label}-----\n{lines(ber, width)}-----END {label}-----\n".encode()


def bare(ber: bytes, width: int = 64) -> bytes:
    return lines(ber, width).encode()


def one_line(ber: bytes) -> bytes:
    return base64.b64encode(ber)


HEADERS = (
    "Received: from somewhere\n\tby somewhere else\n"
    "MIME-Version: 1.0\n"
    'Content-Type: application/pkcs7-mime; smime-type=enveloped-data;\n name="smime.p7m"\n'
    "Content-Transfer-Encoding: {}\n\n"
)


def mime(ber: bytes) -> bytes:
    return (HEADERS.format("Base64") + lines(ber, 76) + "\n\n").encode()


def mime_binary(ber: bytes) -> bytes:
    return HEADERS.format("binary").encode() + ber


def crlf(form: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda ber: form(ber).replace(b"\n", b"\r\n")


CODED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "PEM": (pem, "PEM"),
    "PEM with CRLF": (crlf(pem), "PEM"),
    "PEM of smime": (lambda ber: pem(ber, "PKCS7"), "PEM"),
    "PEM of gpgsm": (lambda ber: pem(ber, "ENCRYPTED MESSAGE"), "PEM"),
    "PEM in long lines": (lambda ber: pem(ber, width=10_000), "PEM"),
    "PEM in odd lines": (lambda ber: pem(ber, width=7), "PEM"),
    "base64": (bare, "base64"),
    "base64 with CRLF": (crlf(bare), "base64"),
    "base64 in one line": (one_line, "base64"),
    "S/MIME": (mime, "S/MIME"),
    "S/MIME with CRLF": (crlf(mime), "S/MIME"),
}
FORMS = CODED | {"S/MIME, binary": (mime_binary, "S/MIME"), "BER": (bytes, "BER")}


def inspect(octets: bytes) -> Inspection:
    return inspect_envelope(io.BytesIO(octets))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [0, 1, 2, 3, 50, 200_000])
def test_every_form_opens_and_is_described(form: str, size: int) -> None:
    wrap, name = FORMS[form]
    for cipher in ("aes-256-gcm", "aes-256-cbc"):
        envelope = wrap(seal(NOISE[:size], [ALICE, BOB], cipher, compress=False))  # type: ignore[arg-type]
        assert opened(envelope, BOB.key) == NOISE[:size]
        found = inspect(envelope)
        assert (found.form, found.cipher, found.size) == (name, cipher, len(envelope))
        assert (found.complete, found.trailing) == (True, 0)


@BOUNDED
@given(st.sampled_from(sorted(FORMS)), st.lists(st.integers(1, 400), min_size=1), st.integers(0, 700))
def test_however_it_is_read_it_is_the_same(form: str, reads: list[int], size: int) -> None:
    wrapped = io.BytesIO(FORMS[form][0](ber := seal(NOISE[:size], [ALICE], compress=False)))
    amount = itertools.cycle(reads)
    read = binary(lambda octets: wrapped.read(min(octets, next(amount))))
    assert b"".join(iter(lambda: read(4096), b"")) == ber
    assert read(4096) == b""


@pytest.mark.parametrize("form", CODED)
def test_whatever_is_cut_off_is_refused(form: str) -> None:
    envelope = CODED[form][0](seal(b"content", [ALICE]))
    visible = envelope.rstrip(b"\r\n")
    for size in range(len(visible)):
        with pytest.raises(EnvelopeError):
            opened(envelope[:size], ALICE.key)
    assert opened(visible, ALICE.key) == b"content"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("by_length", [True, False])
def test_whatever_is_cut_off_is_seen_without_a_key(form: str, by_length: bool) -> None:
    envelope = seal(NOISE[:40_000], [ALICE], compress=False)
    if by_length:
        envelope = compose(NOISE[:40_000], ALICE).but(content=primitive, definite=True).encode()
    wrapped = FORMS[form][0](envelope)
    if form in CODED:  # elsewhere the tag may end as a line does
        wrapped = wrapped.rstrip(b"\r\n")
    told = form not in ("PEM in long lines", "base64 in one line") or not by_length
    for cut in (1, 2, 3, 4, 5, 20, 60, 100, 8000, 8192, 8300, 30_000):
        found = inspect(wrapped[:-cut])
        assert found.complete is (False if told or form.startswith("PEM") else None), cut
    assert inspect(wrapped).complete is (True if told else None)


@pytest.mark.parametrize("text", [b"x", b"and more text\n", b"-- \nthe list's footer\n", pem(b"x" * 99)])
@pytest.mark.parametrize("form", CODED)
def test_text_that_follows_is_refused(form: str, text: bytes) -> None:
    envelope = CODED[form][0](seal(b"content", [ALICE]))
    with pytest.raises(EnvelopeError, match=r"something|goes on|ends in the middle|does not begin"):
        opened(envelope + text, ALICE.key)
    try:
        found = inspect(envelope + text)
    except EnvelopeError:
        return
    assert found.trailing or not found.complete


def test_only_the_end_of_the_same_name_ends_it() -> None:
    envelope = pem(seal(b"", [ALICE]))
    other = envelope.replace(b"END CMS", b"END PKCS7")
    with pytest.raises(EnvelopeError, match="the line -----END CMS----- does not stand where"):
        opened(other, ALICE.key)
    assert not inspect(other).complete


GARBAGE = ["=", "====", "-", "!", "é", "\0", " ", "\t", "_", ":"]


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("form", CODED)
def test_what_is_no_base64_is_refused_wherever_it_stands(form: str, garbage: str) -> None:
    envelope = CODED[form][0](seal(NOISE[:1000], [ALICE], compress=False))
    first, last = envelope.index(b"MIA"), len(envelope.partition(b"-----END")[0])
    for at in range(first + 1, last, 13):
        for much in (0, 1):
            altered = envelope[:at] + garbage.encode() + envelope[at + much :]
            if altered == envelope:
                continue
            with pytest.raises(EnvelopeError):
                opened(altered, ALICE.key)


def test_inspect_tells_of_what_is_no_base64_where_it_looks() -> None:
    envelope = bytearray(pem(seal(NOISE, [ALICE], compress=False)))
    envelope[-500] = ord("!")
    with pytest.raises(EnvelopeError, match="something stands in its base64"):
        inspect(bytes(envelope))


OTHERS = {
    "another PEM": (ALICE.certificate_pem, "it is PEM, but of a certificate"),
    "PGP": (b"-----BEGIN PGP MESSAGE-----\n\nhQEMA\n", "it is PEM, but of a pgp message"),
    "a label without end": (b"-----BEGIN CMS" + b"A" * 5000, "does not begin as a CMS message"),
    "a begin that is cut off": (b"-----BEGIN CMS-----", "does not begin as a CMS message"),
    "nothing but the begin": (b"-----BEGIN CMS-----\n", "-----END CMS----- is missing"),
    "an empty PEM": (pem(b""), "does not begin as a CMS message"),
    "a mail": (b"From: me\nContent-Type: text/plain\n\nhello\n", "MIME headers, but of another type"),
    "a mail of several parts": (
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n",
        "MIME headers, but of another type",
    ),
    "quoted": (HEADERS.format("quoted-printable").encode(), "neither base64 nor binary"),
    "S/MIME of nothing": (mime(b""), "does not begin as a CMS message"),
    "headers without end": (b"Subject: x\n" * 100_000, "does not begin as a CMS message"),
    "a header without end": (b"Subject: " + b"x" * 10_000_000, "does not begin as a CMS message"),
    "headers of text alone": (b"Subject: x\n\nMIAG\n", "does not begin as a CMS message"),
    "passwords": (b"root:x:0:0:root:/root:/bin/bash\n", "does not begin as a CMS message"),
    "base64 of something else": (base64.b64encode(NOISE), "does not begin as a CMS message"),
    "a word": (b"MIME", "does not begin|ends in the middle"),
    "PEM in PEM": (pem(pem(seal(b"", [ALICE]))), "does not begin as a CMS message"),
}


@pytest.mark.parametrize("why", OTHERS)
def test_what_is_none_of_these_forms_is_told_as_such(why: str) -> None:
    octets, problem = OTHERS[why]
    for look in (inspect, lambda octets: opened(octets, ALICE.key)):
        with pytest.raises(EnvelopeError, match=problem) as caught:
            look(octets)
        assert caught.value.message.isprintable()


def test_headers_have_a_limit() -> None:
    [start, end] = (HEADERS.format("base64") + lines(seal(b"x", [ALICE]))).encode().split(b"MIME-V")
    for octets, fits in ((HEADERS_LIMIT - 1000, True), (HEADERS_LIMIT, False)):
        envelope = start + b"X-Padding: " + b"x" * octets + b"\nMIME-V" + end
        if fits:
            assert opened(envelope, ALICE.key) == b"x"
        else:
            with pytest.raises(EnvelopeError, match="does not begin"):
                opened(envelope, ALICE.key)


MUCH = 64
"""Mebibytes, or thereabouts, of what has no end."""

ENDLESS: dict[str, tuple[bytes, bytes]] = {
    "one line of base64": (b"-----BEGIN CMS-----\nMIAA", b"A" * (1 << 20)),
    "bare base64": (b"MIAAAAAA", b"A" * (1 << 20)),
    "line ends in PEM": (b"-----BEGIN CMS-----\n", b"\n" * (1 << 20)),
    "line ends in S/MIME": (HEADERS.format("base64").encode(), b"\r\n" * (1 << 19)),
    "line ends behind the end": (pem(seal(b"", [ALICE])), b"\n" * (1 << 20)),
    "line ends behind bare base64": (bare(seal(b"", [ALICE])), b"\n" * (1 << 20)),
    "dashes": (b"-----BEGIN CMS-----\nMIAG-", b"-" * (1 << 20)),
    "a header": (b"Subject: ", b"x" * (1 << 20)),
    "headers": (b"Subject: x\n", b"x: y\n" * (1 << 18)),
    "content": (
        pem(seal(b"", [ALICE]))[:-60].rsplit(b"\n", 1)[0],
        (("A" * 64 + "\n") * (1 << 14)).encode(),
    ),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_what_has_no_end_costs_no_memory(what: str) -> None:
    head, more = ENDLESS[what]

    def chunks() -> Iterator[bytes]:
        yield head
        yield from itertools.repeat(more, MUCH)

    stream = chunks()
    tracemalloc.start()
    try:
        try:
            open_envelope(lambda _octets: next(stream, b""), lambda _octets: None, [ALICE.key])
        except EnvelopeError as error:
            assert error.message.isprintable()
        else:
            assert "behind" in what
        assert tracemalloc.get_traced_memory()[1] < 12 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("form", [*CODED, "S/MIME, binary"])
def test_inspect_reads_only_the_head_and_the_tail(form: str) -> None:
    class Counting(io.BytesIO):
        octets = 0

        def read(self, size: int | None = -1) -> bytes:
            out = super().read(size)
            self.octets += len(out)
            return out

    file = Counting(FORMS[form][0](seal(NOISE * 5, [ALICE], compress=False)))
    assert inspect_envelope(file).complete
    assert file.octets <= 40 * 1024
