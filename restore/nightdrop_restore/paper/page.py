"""The paper of a key as one file of HTML that looks nothing up elsewhere."""

import re
from html import escape
from typing import Final

from nightdrop_restore.paper import blocks
from nightdrop_restore.paper.content import TITLE, Paper

_STYLE: Final = """
@page { size: A4; margin: 14mm; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 182mm; color: #000; background: #fff;
  font: 10pt/1.4 "DejaVu Sans", "Liberation Sans", Arial, sans-serif; }
h1 { font-size: 17pt; margin: 0 0 1mm; }
h2 { font-size: 11.5pt; margin: 5mm 0 1.5mm; border-bottom: 0.3mm solid #000; break-after: avoid; }
p, ol, dl { margin: 1.5mm 0; }
ol { padding-left: 6mm; }
li { margin: 1mm 0; }
li p { margin: 0; }
dl { display: grid; grid-template-columns: 24mm 1fr; gap: 0.5mm 3mm; }
dt { color: #444; }
dd { margin: 0; }
code, pre { font-family: "DejaVu Sans Mono", "Liberation Mono", monospace; }
code { font-size: 9pt; }
pre { font-size: 8pt; line-height: 1.35; margin: 1.5mm 0; padding: 2mm; border: 0.2mm solid #888;
  white-space: pre-wrap; overflow-wrap: anywhere; break-inside: avoid; }
.codes { display: grid; grid-template-columns: repeat(3, 1fr); gap: 3mm 10mm; margin: 3mm 0; }
figure { margin: 0; break-inside: avoid; text-align: center; }
figure svg { display: block; width: 100%; height: auto; }
figcaption { font-size: 9pt; }
.lines { font: 7.6pt/1.5 "DejaVu Sans Mono", "Liberation Mono", monospace; columns: 2; column-gap: 6mm;
  margin: 2mm 0; padding: 0; list-style: none; }
.lines li { margin: 0; white-space: pre; break-inside: avoid; }
.lines li:nth-child(5n) { margin-bottom: 1.6mm; }
.new-page { break-before: page; }
"""


def to_page(paper: Paper) -> bytes:
    """The page."""
    parts = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">",
        f"<title>Private key: {escape(paper.name)}</title>\n<style>{_STYLE}</style>",
        f"</head>\n<body>\n<h1>{TITLE}</h1>",
        *(_html(block) for block in paper.blocks),
        "</body>\n</html>\n",
    )
    return "\n".join(parts).encode()


def _html(block: blocks.Block) -> str:
    match block:
        case blocks.Heading(text, new_page):
            opening = '<h2 class="new-page">' if new_page else "<h2>"
            return f"{opening}{escape(text)}</h2>"
        case blocks.Words(text):
            return f"<p>{_words(text)}</p>"
        case blocks.Commands(text):
            return f"<pre>\n{escape(text, quote=False)}</pre>"
        case blocks.Facts(rows):
            return f"<dl>{''.join(_fact(name, value) for name, value in rows.items())}</dl>"
        case blocks.Steps(steps):
            items = ("".join(map(_html, step)) for step in steps)
            return f"<ol>{''.join(f'<li>{item}</li>' for item in items)}</ol>"
        case blocks.Codes(codes):
            return f'<div class="codes">{"".join(map(_figure, codes))}</div>'
        case blocks.Lines(lines):
            return f'<ul class="lines">{"".join(f"<li>{line}</li>" for line in lines)}</ul>'


def _words(text: str) -> str:
    return re.sub("`([^`]*)`", r"<code>\1</code>", escape(text, quote=False))


def _fact(name: str, value: str) -> str:
    return f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>"


def _figure(code: blocks.Code) -> str:
    svg = code.code.svg_inline(border=3, omitsize=True)
    return f"<figure>{svg}<figcaption>{code.caption}</figcaption></figure>"
