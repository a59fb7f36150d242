"""The page that a key is printed on: one file of HTML that looks nothing up elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Final

import segno
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from nightdrop.envelope.recipients import parse_recipients
from nightdrop_restore.paper import SEPARATOR, to_lines

_LINES_IN_CODE: Final = 10

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
dl { display: grid; grid-template-columns: 32mm 1fr; gap: 0.5mm 3mm; }
dt { color: #444; }
dd { margin: 0; }
code, pre { font-family: "DejaVu Sans Mono", "Liberation Mono", monospace; }
code { font-size: 9pt; }
pre { font-size: 8pt; line-height: 1.35; margin: 1.5mm 0; padding: 2mm; border: 0.2mm solid #888;
  white-space: pre-wrap; overflow-wrap: anywhere; break-inside: avoid; }
.codes { display: grid; grid-template-columns: repeat(3, 1fr); gap: 6mm; margin: 3mm 0; }
figure { margin: 0; break-inside: avoid; text-align: center; }
figure svg { display: block; width: 100%; height: auto; }
figcaption { font-size: 9pt; }
.lines { font: 7.6pt/1.5 "DejaVu Sans Mono", "Liberation Mono", monospace; columns: 2; column-gap: 6mm;
  margin: 2mm 0; padding: 0; list-style: none; }
.lines li { margin: 0; white-space: pre; break-inside: avoid; }
.lines li:nth-child(5n) { margin-bottom: 1.6mm; }
.new-page { break-before: page; }
"""

_STEPS: Final = """
<ol>
<li>Take a machine that you trust, such as a Debian live system. Install <code>openssl</code> and, to scan,
<code>zbar-tools</code>.</li>
<li>Scan or photograph the QR codes, any number of them in a picture: <code>zbarimg -q --raw *.png
&gt;lines</code>. Or read them with a telephone that is offline, or type the lines into a file
<code>lines</code>; spaces and small letters do not matter to Nightdrop.</li>
<li>With Nightdrop: <code>nightdrop key read admin lines</code> tells which line is wrong, and makes
<code>admin/key.pem</code>. Then go on with RECOVERY.md: <code>nightdrop restore list VAULT</code>.</li>
<li>With stock tools alone (in capital letters, as printed):
<pre>
tr / '\\n' &lt;lines | grep ^K | sort -u | sed 's/^....//; s/....$//' | tr -d ' \\n' | base32 -d &gt;key.der
tr / '\\n' &lt;lines | grep ^C | sort -u | sed 's/^....//; s/....$//' | tr -d ' \\n' | base32 -d &gt;cert.der
openssl pkey -inform DER -in key.der -out key.pem
openssl x509 -inform DER -in cert.der -out certificate.pem</pre>
A file of a backup is then opened by
<pre>
openssl cms -decrypt -binary -inform DER -in FILE.p7m -inkey key.pem -recip certificate.pem |
  zstd -dcf</pre></li>
<li>By hand, a line is checked like this: the last four characters are those of
<code>printf %s K001ABCDE… | sha256sum | cut -c1-4</code>, without spaces and in capital letters.</li>
</ol>
"""  # noqa: E501 - a command is one line


@dataclass(frozen=True)
class Paper:
    """What is printed: the encrypted private key and its certificate (DER)."""

    key: bytes
    certificate: bytes

    @property
    def key_lines(self) -> list[str]:
        """The lines of the key."""
        return to_lines("K", self.key)

    @property
    def certificate_lines(self) -> list[str]:
        """The lines of the certificate."""
        return to_lines("C", self.certificate)


def to_page(paper: Paper) -> str:
    """The page."""
    [recipient] = parse_recipients(
        x509.load_der_x509_certificate(paper.certificate).public_bytes(Encoding.PEM), "the certificate"
    )
    valid = x509.load_der_x509_certificate(paper.certificate).not_valid_after_utc
    facts = {
        "whose": recipient.name,
        "fingerprint": _spaced(recipient.fingerprint),
        "valid until": f"{valid:%Y-%m-%d} (it opens backups after that, too)",
        "printed": f"{datetime.now(UTC):%Y-%m-%d}",
    }
    key, certificate = paper.key_lines, paper.certificate_lines
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
            "style-src 'unsafe-inline'\">",
            f"<title>Private key: {escape(recipient.name)}</title>\n<style>{_STYLE}</style>",
            "</head>\n<body>\n<h1>The private key of your backups</h1>",
            "<p>With this paper <b>and its passphrase</b>, every backup made for this key can be read; "
            "without either, none. Keep it where fire, water and burglars do not come, the passphrase "
            "somewhere else, and a second copy in another house.</p>",
            _facts(facts),
            f"<h2>How to get the key back</h2>{_STEPS}",
            '<h2 class="new-page">The private key, encrypted: QR codes</h2>',
            _codes(key),
            '<h2 class="new-page">The private key, encrypted: text</h2>',
            _text(key),
            '<h2 class="new-page">The certificate: QR codes</h2>',
            _codes(certificate),
            "<h2>The certificate: text</h2>",
            _text(certificate),
            "</body>\n</html>\n",
        ]
    )


def _facts(facts: dict[str, str]) -> str:
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    return f"<dl>{rows}</dl>"


def _codes(lines: Sequence[str]) -> str:
    parts = [lines[at : at + _LINES_IN_CODE] for at in range(0, len(lines), _LINES_IN_CODE)]
    figures = [
        f"<figure>{_code(part)}<figcaption>{number} of {len(parts)}: {part[0][:4]} to {part[-1][:4]}"
        "</figcaption></figure>"
        for number, part in enumerate(parts, 1)
    ]
    return f'<div class="codes">{"".join(figures)}</div>'


def _code(lines: Sequence[str]) -> str:
    # Without the spaces, which only help the eye.
    text = SEPARATOR.join(line.replace(" ", "") for line in lines)
    made = segno.make(text, error="m", micro=False, boost_error=False)
    return str(made.svg_inline(border=3, omitsize=True))


def _text(lines: Sequence[str]) -> str:
    return f'<ul class="lines">{"".join(f"<li>{line}</li>" for line in lines)}</ul>'


def _spaced(fingerprint: str) -> str:
    return " ".join(fingerprint[at : at + 4] for at in range(0, len(fingerprint), 4))
