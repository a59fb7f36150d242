"""How pages and mails are made from templates: everything is escaped unless it says otherwise."""

import re

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape


def environment() -> Environment:
    """The templates of this package."""
    found = Environment(
        loader=PackageLoader("nightdrop_check.reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals["commands"] = _commands
    found.filters["capitalised"] = _capitalised
    return found


def _commands(hint: str) -> Markup:
    """A hint, with what it puts between backticks set as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(hint))))  # noqa: S704


def _capitalised(sentence: str) -> str:
    """A sentence that stands by itself, with a capital, unless it begins with a name."""
    word = sentence.split(" ", 1)[0]
    return sentence[:1].upper() + sentence[1:] if word.isascii() and word.isalpha() else sentence
