"""Envelopes made once and kept: they open, or are refused for the very reason that they should be."""

import io
from pathlib import Path

import cryptography
import cryptography_vectors
import pytest

from core.keyring import opened
from nightdrop.envelope.inspection import inspect_envelope
from nightdrop.errors import EnvelopeError
from nightdrop_restore.envelope.unwrapping import Key
from nightdrop_restore.keys.reading import load_key

VECTORS = Path(__file__).parent / "vectors"
CONTENT = (VECTORS / "content").read_bytes()
THEIRS = Path(str(cryptography_vectors.__file__)).parent

TAG = "it was altered: its authentication tag does not match"
ENDS = "it ends in the middle"
DEEP = "it is nested too deep"
FOLLOWS = "something follows where the envelope ends"
CUT_PEM = "the line -----END CMS----- is missing: it was cut off"

REFUSED = {
    "absurd-length-of-a-length.p7m": "a length has more octets than any message could need",
    "absurd-length-of-content.p7m": ENDS,
    "absurd-length-of-recipients.p7m": "an element is longer than any that belongs there",
    "another-end-line.pem": "the line -----END CMS----- does not stand where its base64 ends",
    "content-altered.p7m": TAG,
    "cut.pem": CUT_PEM,
    "deep-nesting-of-content.p7m": DEEP,
    "deep-nesting-of-everything.p7m": DEEP,
    "deep-nesting-of-recipients.p7m": DEEP,
    "missing-end-of-contents.p7m": ENDS,
    "no-end-line.pem": CUT_PEM,
    "nonce-altered.p7m": TAG,
    "not-base64.pem": "something stands in its base64 that does not belong there",
    "not-whole-blocks.p7m": "its ciphertext is not of whole blocks",
    "null-for-end-of-contents.p7m": "the end-of-contents octets are missing",
    "padding-wrong.p7m": "its padding is wrong: it was altered, or the key is not the right one",
    "signed.p7m": "it is a CMS message, but not an encrypted one",
    "tag-mismatch.p7m": TAG,
    "trailing-data.p7m": FOLLOWS,
    "trailing-text.pem": FOLLOWS,
    "trailing-zeros.p7m": FOLLOWS,
    "truncated-content.p7m": ENDS,
    "truncated-header.p7m": ENDS,
    "truncated-tag.p7m": ENDS,
    "unknown-cipher.p7m": "it is encrypted with an unknown cipher (060b2a83088c9a4b3d01010104)",
    "wrong-recipient.p7m": "the key given does not open this envelope",
}

WITHOUT_A_KEY = {
    "missing-end-of-contents.p7m": (False, 0),
    "trailing-data.p7m": (False, 0),
    "trailing-text.pem": (True, 18),
    "truncated-content.p7m": (False, 0),
    "truncated-tag.p7m": (False, 0),
    "no-end-line.pem": (False, 0),
    "tag-mismatch.p7m": (True, 0),
}
"""What `inspect` can tell of them: whether they end properly, and how much follows."""


def key_of(folder: Path, key: Path, certificate: Path) -> Key:
    """A key of the vectors, with its certificate."""
    both = folder / "both.pem"
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    return load_key(both, bytes)


@pytest.fixture(scope="module")
def us(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return key_of(tmp_path_factory.mktemp("us"), VECTORS / "us-key.pem", VECTORS / "us-certificate.pem")


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> list[Key]:
    """Our keys on elliptic curves."""
    names = [VECTORS / f"{name}-key.pem" for name in ("p256", "x25519")]
    certificates = [name.with_name(name.name.replace("key", "certificate")) for name in names]
    folder = tmp_path_factory.mktemp("others")
    return [key_of(folder, key, each) for key, each in zip(names, certificates, strict=True)]


@pytest.mark.parametrize("vector", sorted((VECTORS / "opened").iterdir()), ids=lambda path: path.name)
def test_what_opened_once_opens(vector: Path, us: Key, others: list[Key]) -> None:
    octets = vector.read_bytes()
    keys = others if "p256" in vector.name or "x25519" in vector.name else [us]
    assert opened(octets, *keys) == CONTENT
    found = inspect_envelope(io.BytesIO(octets))
    assert (found.complete, found.trailing) == (True, 0)
    assert set(found.recipients) & {name for key in keys for name in key.ids}


@pytest.mark.parametrize("name", REFUSED)
def test_what_was_refused_once_is_refused_for_the_same_reason(name: str, us: Key) -> None:
    with pytest.raises(EnvelopeError) as caught:
        opened((VECTORS / "refused" / name).read_bytes(), us)
    assert caught.value.message == REFUSED[name]
    if name == "wrong-recipient.p7m":
        assert caught.value.hint.startswith("it is sealed to CN=stranger, serial ")


@pytest.mark.parametrize("name", WITHOUT_A_KEY)
def test_what_is_told_of_them_without_a_key(name: str) -> None:
    found = inspect_envelope(io.BytesIO((VECTORS / "refused" / name).read_bytes()))
    assert (found.complete, found.trailing) == WITHOUT_A_KEY[name]


def test_every_vector_is_read() -> None:
    """And the README says which programs made them."""
    assert {path.name for path in (VECTORS / "refused").iterdir()} == set(REFUSED)
    makers = {path.name.split("-")[0].split(".")[0] for path in (VECTORS / "opened").iterdir()}
    assert makers == {"openssl", "gpgsm", "nightdrop"}
    readme = (VECTORS / "README.md").read_text()
    assert "\nOpenSSL 3." in readme
    assert ", GnuPG 2." in readme


THEIR_CONTENTS = {
    "enveloped-rsa-oaep.pem": b"Hello, world!",
    "enveloped-triple-des.pem": b"Hello, World!\r\n",
}
THEIR_REFUSED = {
    "enveloped.pem": "the key given does not open this envelope",
    "enveloped-no-content.der": ENDS,
}


@pytest.fixture(scope="module")
def them(tmp_path_factory: pytest.TempPathFactory) -> Key:
    keys = THEIRS / "x509" / "custom" / "ca"
    return key_of(tmp_path_factory.mktemp("them"), keys / "rsa_key.pem", keys / "rsa_ca.pem")


def test_the_vectors_of_cryptography_are_those_of_its_version() -> None:
    assert cryptography_vectors.__version__ == cryptography.__version__
    found = {path.name for path in (THEIRS / "pkcs7").glob("enveloped*")}
    assert found == set(THEIR_CONTENTS) | set(THEIR_REFUSED)


@pytest.mark.parametrize("name", THEIR_CONTENTS)
def test_the_vectors_of_cryptography_open(name: str, them: Key) -> None:
    assert opened((THEIRS / "pkcs7" / name).read_bytes(), them) == THEIR_CONTENTS[name]


@pytest.mark.parametrize("name", THEIR_REFUSED)
def test_the_vectors_of_cryptography_that_do_not_open(name: str, them: Key) -> None:
    """One is sealed to others, whose key is not there; one has no content at all."""
    octets = (THEIRS / "pkcs7" / name).read_bytes()
    with pytest.raises(EnvelopeError) as caught:
        opened(octets, them)
    assert caught.value.message == THEIR_REFUSED[name]
    assert inspect_envelope(io.BytesIO(octets)).complete
