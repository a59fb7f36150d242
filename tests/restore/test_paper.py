"""A key on paper: scanned from a picture of its pages, typed from their text, opened with stock tools."""

import html
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nightdrop_restore.paper.lines import from_lines, to_lines

from house import Key, complaint, run


@pytest.fixture(scope="module")
def papers(admin_key: Key, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """As a page, and for a machine without a browser; both of one day, which stands on them."""
    while True:
        folder, today = tmp_path_factory.mktemp("paper"), datetime.now(UTC).date()
        page, pdf = folder / "paper.html", folder / "paper.pdf"
        for path in (page, pdf):
            words = ["--passphrase-file", admin_key.passphrase, "-o", path]
            run("key", "paper", admin_key.private, *words)
        if datetime.now(UTC).date() == today:
            return page, pdf


@pytest.fixture(scope="module")
def page(papers: tuple[Path, Path]) -> Path:
    return papers[0]


@pytest.fixture(scope="module")
def printed(papers: tuple[Path, Path]) -> Path:
    return papers[1]


@pytest.fixture(scope="module")
def typed(page: Path) -> list[str]:
    """The lines as they are printed."""
    found = re.findall(r"<li>([KC]\d{3} [^<]*)</li>", page.read_text())
    assert len(found) > 100
    return found


@pytest.fixture(scope="module")
def scanned(page: Path) -> str:
    """What zbar sees in pictures of the page. There are codes that it does not see at one scale."""
    return scan(*[picture_of(page, scale) for scale in (2, 3)])


def picture_of(page: Path, scale: int) -> Path:
    picture = page.with_suffix(f".{scale}.png")
    words = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    profile = f"--user-data-dir={page.parent / 'profile'}"
    size = ["--window-size=900,4400", f"--force-device-scale-factor={scale}", f"--screenshot={picture}"]
    subprocess.run(
        ["chromium", *words, profile, *size, f"file://{page}"],
        check=True,
        capture_output=True,
        timeout=300,
    )
    return picture


def scan(*pictures: Path) -> str:
    """What zbar sees in pictures, of which some may have no codes (status 4)."""
    done = subprocess.run(
        ["zbarimg", "-q", "--raw", "-Sdisable", "-Sqrcode.enable", *pictures],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert done.returncode in (0, 4)
    return done.stdout


def text_of(pdf: Path) -> str:
    return subprocess.run(
        ["pdftotext", "-layout", pdf, "-"], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def read(folder: Path, text: str, expect: int = 0) -> "subprocess.CompletedProcess[str]":
    lines = folder / "lines"
    lines.write_text(text)
    return run("key", "read", folder / "back", lines, expect=expect)


def is_back(folder: Path, key: Key) -> bool:
    return (folder / "back" / "key.pem").read_bytes() == key.private.read_bytes() and (
        folder / "back" / "certificate.pem"
    ).read_bytes() == key.certificate.read_bytes()


def test_scanned(scanned: str, admin_key: Key, tmp_path: Path) -> None:
    read(tmp_path, scanned)
    assert is_back(tmp_path, admin_key)
    assert (tmp_path / "back" / "key.pem").stat().st_mode & 0o777 == 0o600


def test_a_pdf_scanned(printed: Path, admin_key: Key, tmp_path: Path) -> None:
    """In black and white, at a quarter of what printers do."""
    subprocess.run(["pdftoppm", "-r", "150", "-mono", "-png", printed, tmp_path / "page"], check=True)
    read(tmp_path, scan(*tmp_path.glob("page*.png")))
    assert is_back(tmp_path, admin_key)


def test_a_pdf_says_what_the_page_says(
    printed: Path, page: Path, typed: list[str], admin_key: Key, tmp_path: Path
) -> None:
    text = text_of(printed)
    sheets = text.split("\f")[:-1]
    read(tmp_path, text)
    assert is_back(tmp_path, admin_key)
    assert set(typed) <= set(text.splitlines())
    for number, sheet in enumerate(sheets, 1):
        assert sheet.rstrip().endswith(f"page {number} of {len(sheets)}")
    shown = re.findall(r"<p>(.*?)</p>|<pre>\n(.*?)</pre>|<figcaption>(.*?)</figcaption>|<dd>(.*?)</dd>"
                       r"|<h[12][^>]*>(.*?)</h", page.read_text(), re.DOTALL)  # fmt: skip
    said = [html.unescape(re.sub("<[^>]*>", "", "".join(parts))) for parts in shown]
    assert len(said) > 30
    squeezed = re.sub(r"\s+", " ", text)
    assert [part for part in said if re.sub(r"\s+", " ", part).strip() not in squeezed] == []


def test_a_pdf_of_any_name(tmp_path: Path) -> None:
    """Courier has no letters but those of western Europe, and a line no end of room."""
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("x\n")
    words = ["--type", "x25519", "--passphrase-file", passphrase]
    run("key", "new", tmp_path / "key", "--name", "Jörg (`) " + 18 * "管", *words)
    key = Key(tmp_path / "key", passphrase)
    pdf = tmp_path / "paper.PDF"
    run("key", "paper", key.private, "--passphrase-file", passphrase, "-o", pdf)
    text = text_of(pdf)
    assert "Jörg(`)" + 18 * r"\u7ba1" in re.sub(r"\s+", "", text)
    assert 18 * r"\u7ba1" not in text
    read(tmp_path, text)
    assert is_back(tmp_path, key)


def test_a_form_that_there_is_not(admin_key: Key, tmp_path: Path) -> None:
    error, hint = complaint(
        run("key", "paper", admin_key.private, "-o", tmp_path / "paper.png", expect=2)
    )
    assert error.endswith("paper.png: its name does not tell whether it is to be a PDF or HTML")
    assert hint.endswith("let it end in .pdf or .html")


def test_typed_as_people_do(typed: list[str], admin_key: Key, tmp_path: Path) -> None:
    """In small letters, without some spaces, in any order, with digits for letters that look alike."""
    text = "\n".join(reversed(typed)).lower().replace(" a", "A").replace("Ko", "K0")
    lines = []
    for line in text.splitlines():
        head, body, check = line[:4], line[4:-4], line[-4:]
        lines.append(head + body.replace("o", "0").replace("i", "1") + check)
    read(tmp_path, "the paper says:\n" + "\n".join(lines))
    assert is_back(tmp_path, admin_key)


def test_with_stock_tools(page: Path, scanned: str, admin_key: Key, tmp_path: Path) -> None:
    """The commands as the page prints them; only the passphrase comes from a file."""
    (tmp_path / "lines").write_text(scanned)
    [block, _] = re.findall(r"<pre>\n(.*?)</pre>", page.read_text(), re.DOTALL)
    commands = html.unescape(block)
    assert commands.count("openssl pkey ") == 1
    unlocking = f"openssl pkey -passin file:{admin_key.passphrase} "
    commands = commands.replace("openssl pkey ", unlocking)
    subprocess.run(["sh", "-euc", commands], cwd=tmp_path, check=True)
    assert (tmp_path / "certificate.pem").read_bytes() == admin_key.certificate.read_bytes()
    sealed = tmp_path / "sealed.p7m"
    (tmp_path / "plain").write_text("content")
    run("seal", "--recipient", admin_key.certificate, "-o", sealed, tmp_path / "plain")
    opened = subprocess.run(
        "openssl cms -decrypt -binary -inform DER -in sealed.p7m -inkey key.pem -recip certificate.pem"
        " | zstd -dcf",
        shell=True,
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    assert opened.stdout == b"content"


def test_wrong_and_missing_lines_are_named(typed: list[str], tmp_path: Path) -> None:
    lines = [line for line in typed if not line.startswith(("K007", "K100"))]
    at = next(n for n, line in enumerate(lines) if line.startswith("K023"))
    swapped = "B" if lines[at][10] != "B" else "C"
    lines[at] = lines[at][:10] + swapped + lines[at][11:]
    error, hint = complaint(read(tmp_path, "\n".join(lines), expect=1))
    assert error.endswith("lines that are wrong: K023; missing: K007, K100")
    assert "give all of them again" in hint
    assert not (tmp_path / "back").exists()
    error, _ = complaint(read(tmp_path, "nothing of a key", expect=1))
    assert "there is no line of a key" in error


def test_every_single_slip_is_noticed() -> None:
    [line] = to_lines("K", b"\x30\x05" + b"12345")[:1]
    for at in [n for n, c in enumerate(line) if c != " " and 4 < n < len(line) - 5]:
        other = line[:at] + ("A" if line[at] != "A" else "B") + line[at + 1 :]
        with pytest.raises(Exception, match="wrong: K001"):
            from_lines([other])


def test_a_wrong_passphrase_and_a_key_without_one(admin_key: Key, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong\n")
    words = ["key", "paper", admin_key.private, "-o", tmp_path / "paper.html"]
    error, _ = complaint(run(*words, "--passphrase-file", wrong, expect=1))
    assert "the passphrase does not open" in error
    bare = tmp_path / "bare.pem"
    command = ["openssl", "pkey", "-in", admin_key.private, "-passin", f"file:{admin_key.passphrase}"]
    subprocess.run([*command, "-out", bare], check=True)
    error, hint = complaint(run("key", "paper", bare, "-o", tmp_path / "paper.html", expect=2))
    assert "this key is not encrypted" in error
    assert "openssl pkcs8" in hint
    assert not (tmp_path / "paper.html").exists()


def test_a_key_of_an_elliptic_curve_is_short(tmp_path: Path) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("x\n")
    words = ["--name", "admin", "--type", "ec-p384", "--passphrase-file", passphrase]
    run("key", "new", tmp_path / "key", *words)
    key = Key(tmp_path / "key", passphrase)
    run("key", "paper", key.private, "--passphrase-file", passphrase, "-o", tmp_path / "paper.html")
    lines = re.findall(r"<li>([KC]\d{3} [^<]*)</li>", (tmp_path / "paper.html").read_text())
    assert len(lines) < 40
    read(tmp_path, "\n".join(lines))
    assert is_back(tmp_path, key)
