"""The grammar of names in FORMAT.md, read as it stands, allows what the pattern allows, and no more."""

import re
from collections import deque
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from core.keyring import BOUNDED
from core.test_names import ALLOWED, REFUSED
from nightdrop.names import MAX_NAME_LENGTH, parse_name, parse_time

FORMAT = Path(__file__).parents[2] / "docs" / "FORMAT.md"
_TOKEN = re.compile(r'(?:%s)?"[^"]*"|%x[0-9A-F]+-[0-9A-F]+|\d*\*\d*|\d+|[A-Za-z][A-Za-z0-9-]*|[][()/]')


class Grammar:
    """Rules of ABNF (RFC 5234), as far as this grammar uses it, turned into regular expressions."""

    def __init__(self, text: str) -> None:
        self._rules: dict[str, deque[str]] = {}
        for line in re.sub(r"\n\s+", " ", re.sub(r";.*", "", text)).strip().splitlines():
            name, _, definition = line.partition("=")
            assert not re.sub(r"\s+", "", _TOKEN.sub("", definition)), definition
            self._rules[name.strip()] = deque(_TOKEN.findall(definition))

    def rule(self, name: str) -> str:
        """One rule."""
        if name == "DIGIT":
            return "[0-9]"
        tokens = self._rules[name].copy()
        pattern = self._alternatives(tokens)
        assert not tokens
        return pattern

    def _alternatives(self, tokens: deque[str]) -> str:
        found = [""]
        while tokens and tokens[0] not in ")]":
            if tokens[0] == "/":
                tokens.popleft()
                found.append("")
            else:
                found[-1] += self._repeated(tokens)
        return f"(?:{'|'.join(found)})"

    def _repeated(self, tokens: deque[str]) -> str:
        if not re.fullmatch(r"\d*\*\d*|\d+", tokens[0]):
            return self._element(tokens)
        least, star, most = tokens.popleft().partition("*")
        repeat = f"{{{least or 0},{most}}}" if star else f"{{{least}}}"
        return self._element(tokens) + repeat

    def _element(self, tokens: deque[str]) -> str:
        token = tokens.popleft()
        if token in "([":
            inner = self._alternatives(tokens)
            assert tokens.popleft() == {"(": ")", "[": "]"}[token]
            return inner if token == "(" else f"{inner}?"
        if token.startswith("%x"):
            return "[{}-{}]".format(*(f"\\x{digits.lower()}" for digits in token[2:].split("-")))
        if token.endswith('"'):
            return f"(?:{re.escape(token.removeprefix('%s').strip(chr(34)))})"
        return self.rule(token)


[_TEXT] = re.findall(r'^```abnf title="names"\n(.*?)^```$', FORMAT.read_text(), re.DOTALL | re.MULTILINE)
NAME = re.compile(Grammar(_TEXT).rule("name"))


def keeps_the_comments(name: str) -> bool:
    """What the comments beside the grammar, and the text, say that it does not."""
    kind, _, rest = name.partition("-")
    try:
        for time in re.findall(r"\d{8}T\d{6}Z", name):
            parse_time(time)
    except ValueError:
        return False
    if len(name) > MAX_NAME_LENGTH:
        return False
    last = rest.partition(".")[2].partition(".")[2]
    if kind == "duplicity":
        # As a kind of its own: what the first two rules of `duplicity` do not make.
        return bool(re.compile(Grammar(_TEXT).rule("duplicity")).fullmatch(name))
    if last.startswith("receipt.json") and not last.endswith(".p7m"):
        return True
    volume = re.fullmatch(r"vol[1-9]\d{0,6}\.(.*)\.p7m", last)
    ext = volume[1] if volume else last.removesuffix(".p7m")
    if re.match(r"vol\d+(\.|$)", ext):
        return False
    return ext != "difftar" if volume else ext not in ("manifest", "supplement", "jsonstat")


def test_it_is_a_grammar_of_every_allowed_name() -> None:
    for name in ALLOWED:
        assert NAME.fullmatch(name), name
        assert keeps_the_comments(name), name


def test_it_refuses_every_other() -> None:
    for why, name in REFUSED.items():
        assert not (NAME.fullmatch(name) and keeps_the_comments(name)), why


@BOUNDED
@given(st.from_regex(NAME, fullmatch=True))
def test_what_it_allows_the_pattern_allows_but_for_what_the_comments_say(name: str) -> None:
    assert (parse_name(name) is not None) == keeps_the_comments(name)


@BOUNDED
@given(st.sampled_from(sorted(ALLOWED)), st.data())
def test_grammar_and_pattern_agree_on_whatever_becomes_of_a_name(name: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(name)))
    alphabet = st.sampled_from("./-_avolp7mfinc0129TZ\n")
    changed = (
        name[:at] + data.draw(st.text(alphabet, max_size=4)) + name[at + data.draw(st.integers(0, 4)) :]
    )
    allowed = NAME.fullmatch(changed) is not None and keeps_the_comments(changed)
    assert (parse_name(changed) is not None) == allowed
