"""The table "What opens what" of FORMAT.md: each of its cells is tried, with the real programs."""

import gzip
import io
import lzma
import random
import shlex
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from core.keyring import CURVES, holder_on, holders, opened, seal
from core.stock import Gpgsm, RefusedError, gpgsm_version, run
from nightdrop.envelope.inspection import inspect_envelope
from nightdrop.errors import EnvelopeError

FORMAT = Path(__file__).parents[2] / "docs" / "FORMAT.md"
NIGHTDROP = Path(sys.executable).with_name("nightdrop")
ALICE, BOB, CAROL = holders()
PLAINS = (b"a short content\n", random.Random(3).randbytes(300_000))


def table(heading: str) -> dict[str, dict[str, str]]:
    """A table: for each of its rows, for each command that opens, the word in its cell."""
    section = FORMAT.read_text().split(f"### {heading}\n")[1].split("\n#")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line.startswith("|") and not line.startswith("|-")
    ]
    (_, *openers), *rest = rows
    openers = [opener.strip("`") for opener in openers]
    return {
        row[0].strip("`") if row[0].startswith("`") else row[0]: dict(zip(openers, row[1:], strict=True))
        for row in rest
    }


TABLE = table("What opens what")
KEYS = table("Which key opens where")
FORMS = table("What others write besides BER")
CELLS = [(sealer, opener, word) for sealer, row in TABLE.items() for opener, word in row.items()]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Alice's key and certificate."""
    return ALICE.write(tmp_path_factory.mktemp("alice"))


@pytest.fixture(scope="module")
def key_with_certificate(files: tuple[Path, Path]) -> Path:
    """Both in one file, as `nightdrop open` likes it best."""
    both = files[0].with_name("both.pem")
    both.write_bytes(b"".join(file.read_bytes() for file in files))
    return both


@pytest.fixture(scope="module")
def gpgsm() -> Iterator[Gpgsm]:
    """gpgsm with Alice's key."""
    with Gpgsm() as home:
        home.own(ALICE)
        yield home


class Bench:
    """The commands of the table, with what they need beside what the table says."""

    def __init__(self, files: tuple[Path, Path], gpgsm: Gpgsm) -> None:
        self.key, self.certificate = files
        self.gpgsm = gpgsm

    @cache  # noqa: B019
    def sealed(self, command: str, plain: bytes, sealer_chooses_form: bool = False) -> bytes:
        program, *words = shlex.split(command)
        if program == "nightdrop":
            return run(NIGHTDROP, *words, "--recipient", self.certificate, stdin=plain)
        if program == "gpgsm":
            return self.gpgsm.run("--recipient", "CN=alice", *words, stdin=plain)
        form = ["-binary"] if sealer_chooses_form else ["-binary", "-outform", "DER"]
        if "-keyopt" not in words:
            return run(program, *words, *form, self.certificate, stdin=plain)
        # Options of a key are of the recipient that is named before them.
        at = words.index("-keyopt")
        return run(program, *words[:at], *form, "-recip", self.certificate, *words[at:], stdin=plain)

    def opened(self, command: str, envelope: bytes) -> bytes:
        program, *words = shlex.split(command)
        if program == "nightdrop":
            assert words == ["open"]
            return opened(envelope, ALICE.key)
        if program == "gpgsm":
            content = self.gpgsm.run(*words, stdin=envelope)
        else:
            keys = ["-inkey", str(self.key), "-recip", str(self.certificate)]
            content = run(program, *words, "-binary", "-inform", "DER", *keys, stdin=envelope)
        return run("zstd", "-dcf", stdin=content)


@pytest.fixture(scope="module")
def bench(files: tuple[Path, Path], gpgsm: Gpgsm) -> Bench:
    return Bench(files, gpgsm)


@pytest.mark.parametrize(
    ("sealer", "opener", "word"), CELLS, ids=[f"{sealer} | {opener}" for sealer, opener, _ in CELLS]
)
def test_the_table_is_true(bench: Bench, sealer: str, opener: str, word: str) -> None:
    assert word in ("yes", "no")
    for plain in PLAINS:
        envelope = bench.sealed(sealer, plain)
        if word == "yes":
            assert bench.opened(opener, envelope) == plain
        else:
            with pytest.raises(RefusedError):
                bench.opened(opener, envelope)


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("opener", next(iter(KEYS.values())))
def test_the_table_of_keys_is_true(kind: str, opener: str, tmp_path: Path) -> None:
    name, _, option = kind.partition(", with ")
    holder = ALICE if name == "RSA" else holder_on(name.removeprefix("EC "))
    key, certificate = holder.write(tmp_path)
    words = ["--cipher", "aes-256-cbc", "--compress", "none", *shlex.split(option.strip("`"))]
    envelope = run(NIGHTDROP, "seal", *words, "--recipient", certificate, stdin=PLAINS[1])

    def content() -> bytes:
        if opener == "nightdrop open":
            return run(NIGHTDROP, "open", "--key", key, stdin=envelope)
        if opener == "gpgsm --decrypt":
            with Gpgsm() as home:
                home.own(holder)
                return home.run("--decrypt", stdin=envelope)
        keys = ["-inkey", key, "-recip", certificate]
        return run(*shlex.split(opener), "-binary", "-inform", "DER", *keys, stdin=envelope)

    word = KEYS[kind][opener]
    assert word in ("yes", "no", "from 2.4")
    if word == "yes" or (word == "from 2.4" and gpgsm_version() >= (2, 4)):
        assert content() == PLAINS[1]
    else:
        with pytest.raises(RefusedError):
            content()


def test_the_table_says_all_that_it_has_to() -> None:
    """Ours in both ciphers, openssl's in all it has, streamed and not, smime's, gpgsm's."""
    sealers = set(TABLE)
    wanted = {"nightdrop seal", "nightdrop seal --cipher aes-256-cbc", "gpgsm --encrypt"}
    for bits in (128, 192, 256):
        for stream in ("", " -stream"):
            wanted |= {f"openssl cms -encrypt -aes-{bits}-{mode}{stream}" for mode in ("cbc", "gcm")}
            wanted |= {f"openssl smime -encrypt -aes-{bits}-cbc{stream}"}
    wanted |= {f"openssl {command} -encrypt -des3" for command in ("cms", "smime")}
    assert wanted <= sealers
    openers = {"nightdrop open", "openssl cms -decrypt", "openssl smime -decrypt", "gpgsm --decrypt"}
    assert all(set(row) == openers for row in TABLE.values())
    assert all(row["nightdrop open"] == "yes" for row in (TABLE | KEYS).values())
    for row in KEYS.values():
        assert "from 2.4" not in [word for opener, word in row.items() if opener != "gpgsm --decrypt"]
    kinds = {name if name == "X25519" else f"EC {name}" for name in CURVES}
    assert set(KEYS) == kinds | {"RSA", "RSA, with `--rsa oaep`", "RSA, with `--key-id`"}


@pytest.mark.parametrize("sealer", FORMS)
def test_the_table_of_forms_is_true(
    bench: Bench, sealer: str, tmp_path: Path, key_with_certificate: Path
) -> None:
    row = FORMS[sealer]
    assert row == {"form": row["form"], "nightdrop open": "yes", "nightdrop inspect": "yes"}
    for plain in PLAINS:
        envelope = bench.sealed(sealer, plain, True)
        assert opened(envelope, ALICE.key) == plain
        found = inspect_envelope(io.BytesIO(envelope))
        assert (found.form, found.complete, found.trailing) == (row["form"], True, 0)
        assert found.recipients == (ALICE.recipient.by_issuer,)
    cut = envelope.rstrip()[:-50]
    assert not inspect_envelope(io.BytesIO(cut)).complete
    with pytest.raises(EnvelopeError):
        opened(cut, ALICE.key)
    (tmp_path / "sealed").write_bytes(envelope)
    assert run(NIGHTDROP, "open", "--key", key_with_certificate, stdin=envelope) == plain
    said = run(NIGHTDROP, "inspect", tmp_path / "sealed").decode()
    assert f", {row['form']}, " in said
    assert "ends properly" in said


def test_the_table_of_forms_says_all_that_it_has_to() -> None:
    """PEM and S/MIME of each of openssl's commands, streamed or not, and both of gpgsm's."""
    said = {(sealer.split(" -")[0], row["form"], "-stream" in sealer) for sealer, row in FORMS.items()}
    wanted = {
        (f"openssl {command}", form, stream)
        for command in ("cms", "smime")
        for form in ("PEM", "S/MIME")
        for stream in (True, False)
    }
    assert said == wanted | {("gpgsm", "PEM", False), ("gpgsm", "base64", False)}


@pytest.mark.parametrize("cipher", ["aes-256-gcm", "aes-256-cbc"])
@pytest.mark.parametrize("compress", [True, False])
def test_openssl_opens_ours_for_any_one_of_several(cipher: str, compress: bool, tmp_path: Path) -> None:
    envelope = seal(PLAINS[1], [ALICE, BOB, CAROL], cipher, compress)  # type: ignore[arg-type]
    for holder in (ALICE, BOB, CAROL):
        key, certificate = holder.write(tmp_path)
        words = ["-decrypt", "-binary", "-inform", "DER", "-inkey", str(key), "-recip", str(certificate)]
        assert run("zstd", "-dcf", stdin=run("openssl", "cms", *words, stdin=envelope)) == PLAINS[1]


def test_gpgsm_opens_for_any_one_of_several_but_says_so_only_to_the_first() -> None:
    """As FORMAT.md says."""
    envelope = seal(PLAINS[0], [ALICE, BOB], "aes-256-cbc", compress=False)
    first, second = sorted((ALICE, BOB), key=lambda one: envelope.index(one.recipient.by_issuer.issuer))
    with Gpgsm() as home:
        home.own(first)
        assert home.run("--decrypt", stdin=envelope) == PLAINS[0]
    with Gpgsm() as home:
        home.own(second)
        with pytest.raises(RefusedError, match="DECRYPTION_OKAY"):
            home.run("--status-fd", "2", "--output", str(home.home / "out"), "--decrypt", stdin=envelope)
        assert (home.home / "out").read_bytes() == PLAINS[0]


def test_zstd_passes_on_what_is_no_frame_but_not_nothing() -> None:
    """FORMAT.md says so: an empty content that was not compressed has no frame for it to see."""
    assert run("zstd", "-dcf", stdin=b"plain") == b"plain"
    with pytest.raises(RefusedError, match="unexpected end of file"):
        run("zstd", "-dcf", stdin=b"")


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress])
def test_zstd_undoes_more_than_its_own(compress: Callable[[bytes], bytes]) -> None:
    """FORMAT.md says so. Ours leaves it as it is."""
    assert run("zstd", "-dcf", stdin=compress(b"plain")) == b"plain"
    envelope = seal(compress(b"plain"), [ALICE], compress=False)
    assert opened(envelope, ALICE.key) == compress(b"plain")
    with pytest.raises(RefusedError):
        run("zstd", "-dcf", stdin=compress(b"plain")[:6] + b"noise" * 20)


def test_openssl_streams_no_empty_gcm_message(files: tuple[Path, Path]) -> None:
    """Its own limit, which the table cannot say: ours opens every empty message that there is."""
    words = ["-encrypt", "-binary", "-outform", "DER", "-aes-256-gcm"]
    assert opened(run("openssl", "cms", *words, files[1]), ALICE.key) == b""
    with pytest.raises(RefusedError):
        run("openssl", "cms", *words, "-stream", files[1])
    for command in ("cms", "smime"):
        for stream in ([], ["-stream"]):
            words = ["-encrypt", "-binary", "-outform", "DER", "-aes256", *stream]
            assert opened(run("openssl", command, *words, files[1]), ALICE.key) == b""
