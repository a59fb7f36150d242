"""What `nightdrop doctor` says: lines, ok, warn or fail each; and what all roles look at alike."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from nightdrop.envelope.public_keys import sealing_key
from nightdrop.envelope.recipients import Recipient
from nightdrop.errors import ConfigurationError
from nightdrop.text import format_duration, harmless

Verdict = Literal["ok", "warn", "fail"]

SOON: Final = 60 * 86400
"""Seconds before a certificate's end from which on it is spoken of; the check goes by the same."""


@dataclass(frozen=True)
class Line:
    """One thing looked at: `what` it is, how it is, and what to do about it ("" where nothing is)."""

    verdict: Verdict
    what: str
    text: str
    hint: str = ""

    def __str__(self) -> str:
        hint = f"\n      hint: {self.hint}" if self.hint else ""
        return f"{self.verdict:4}  {harmless(self.what)}: {harmless(self.text)}{hint}"


def certificate(what: str, expires: datetime, hint: str) -> Line:
    """Until when a certificate is valid; `hint` is what to do when it is not for much longer."""
    left = expires.timestamp() - time.time()
    if left < 0:
        return Line("fail", what, f"expired on {expires:%Y-%m-%d}", hint)
    if left < SOON:
        return Line("warn", what, f"expires in {format_duration(left)}, on {expires:%Y-%m-%d}", hint)
    return Line("ok", what, f"valid until {expires:%Y-%m-%d}")


def recipients(found: Iterator[Recipient]) -> Iterator[Line]:
    """Whether the recipients can be sealed to, and until when their certificates are valid."""
    from cryptography import x509

    hint = (
        "make a new key (`nightdrop key new`), add it to the mirrors' `recipients`, hand out new bundles"
    )
    for recipient in found:
        try:
            sealing_key(recipient)
            expires = x509.load_der_x509_certificate(recipient.certificate).not_valid_after_utc
        except ConfigurationError as error:
            yield Line("fail", "recipients", error.message, error.hint)
        except ValueError as error:
            yield Line("fail", f"recipient {recipient.name}", f"cannot be read: {error}", hint)
        else:
            yield certificate(f"recipient {recipient.name}", expires, hint)


def clock(what: str, seconds: float) -> Line:
    """How far this machine's clock is from another's, in seconds; more than 0: ours is ahead."""
    hint = "set the clock that is wrong, and have it kept right: `timedatectl set-ntp true`"
    off = abs(seconds)
    if off < 60:
        return Line("ok", what, "agrees with this machine's")
    direction = "behind" if seconds > 0 else "ahead of"
    text = f"is {format_duration(off)} {direction} this machine's"
    return Line("warn" if off < 3600 else "fail", what, text, hint)


def when(epoch: float) -> str:
    """A time for people."""
    return f"{datetime.fromtimestamp(epoch, UTC):%Y-%m-%d %H:%M} UTC"
