"""The page and the mail in a real browser: nothing sticks out, wide or narrow, light or dark."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from check.browser import Browser
from check.vaults import DAY, HOUR, NIGHT, Mirror, Shelves, certificate
from nightdrop_check.reports.as_mail import report_mail
from nightdrop_check.reports.as_page import to_page

LONG = "a-host-with-a-name-as-long-as-a-name-may-be.example.org"


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A page and a mail with much to tell."""
    mirror = Mirror(tmp_path_factory.mktemp("look") / "mirror", certificate("backup admin"))
    for host in ("web1", "foudoor.lab", LONG, "new"):
        mirror.enroll(host)
    for host in ("web1", "foudoor.lab", LONG):
        last = mirror.full(host, NIGHT)
        for day in range(1, 8 if host == "web1" else 3):
            last = mirror.inc(host, last, NIGHT + timedelta(days=day), sizes=(day * 300,))
    for name in ("x" * 250, "<b>bold</b>"):
        (mirror.vault / LONG / name.replace("/", "")).touch()
        (mirror.vault / name.replace("/", "")).mkdir()
    shelves = Shelves(mirror.config, LONG, NIGHT.timestamp() + 7 * DAY + HOUR)
    shelves.path("volume").unlink()
    shelves.configure('[check.mail]\nto = ["a@example.org"]\nfrom = "b@example.org"')
    report, settings = shelves.check(), shelves.mirror.check.mail
    assert settings is not None
    body = report_mail(report, settings).get_body(("html",))
    assert body is not None
    return {"page": to_page(report), "mail": body.get_content()}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    return Browser(tmp_path_factory.mktemp("browser"))


@pytest.mark.parametrize(
    ("document", "width", "dark"),
    [
        *(("page", 1100, False), ("page", 900, False), ("page", 700, True), ("page", 360, True)),
        *(("mail", 800, True), ("mail", 360, False)),
    ],
)
def test_nothing_sticks_out(
    browser: Browser, documents: dict[str, str], document: str, width: int, dark: bool
) -> None:
    told = browser.measure(documents[document], width, dark)
    assert told["wide"] == []
    assert isinstance(told["scroll"], int) and told["scroll"] <= width
    lines = told["lines"]
    assert isinstance(lines, dict)
    assert (lines["web1"], lines["foudoor.lab"]) == (1, 1)
    assert lines[LONG] <= 3
    light = {"rgb(250, 250, 248)"}
    assert (told["background"] not in light) == dark


def test_nothing_in_the_mail_goes_without_a_name_on_a_phone(documents: dict[str, str]) -> None:
    """There the table has no head: what stood below it says what it is."""
    rows = documents["mail"].split("<tbody>")[1].split("</tbody>")[0].split("<tr>")[1:]
    assert len(rows) == 4
    for row in rows:
        text = re.sub("<[^>]*>", "", row)
        if ">new<" in row:
            assert "no set yet" in text
        else:
            assert re.search(
                "newest set .* ago.*full: .* ago.*its size .*B.*all: .*B in [0-9]+ set", text, re.S
            )


def test_a_width_that_is_too_small_is_noticed(browser: Browser) -> None:
    told = browser.measure("<p style='width:500px;margin:0'>wide</p>", 360)
    assert told["wide"] != []


def test_a_picture_can_be_taken(browser: Browser, documents: dict[str, str], tmp_path: Path) -> None:
    browser.picture(documents["mail"], 360, tmp_path / "mail.png")
    assert (tmp_path / "mail.png").read_bytes().startswith(b"\x89PNG")
