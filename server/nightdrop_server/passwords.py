"""Who may drop: the htpasswd file (bcrypt), asked on every request and worked out once.

bcrypt is meant to be slow, so a right answer is remembered under a MAC of everything that it
depends on, the stored hash included: a changed or removed line is in force with the next request.
A wrong answer costs time, is the same work whether the user exists or not, and only so many are worked
out at once: guessing must not take the processors from hosts that are dropping.
"""

import hashlib
import hmac
import re
import secrets
import threading
import time
from collections import OrderedDict
from http import HTTPStatus
from pathlib import Path
from typing import Final

import bcrypt

from nightdrop_server import log
from nightdrop_server.answers import Refused
from nightdrop_server.queueing import Queue

ROUNDS: Final = 10
"""bcrypt's cost for passwords that enrolment makes: these are 256 random bits, beyond all guessing."""

FAILURE_DELAY: Final = 0.25
_REMEMBERED: Final = 4096
_WAITING_AT_ONCE: Final = 16

_HASH = re.compile(rb"\$2[abxy]\$(\d\d)\$[./A-Za-z0-9]{53}")


class Passwords:
    """The passwords in one htpasswd file; safe to share between threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._secret = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._seen: tuple[int, ...] | None = None
        self._hashes: dict[str, bytes] = {}
        self._nobody = _decoy(ROUNDS)
        self._answers: OrderedDict[bytes, bool] = OrderedDict()
        self._queue = Queue()
        self._delaying = threading.BoundedSemaphore(_WAITING_AT_ONCE)

    def right(self, user: str, password: str, address: str) -> bool:
        """Whether this is the user's password; asked from this address. Refused (503) when too many are
        being worked out.
        """
        stored = self._stored(user)
        key = self._key(user, password, stored or b"")
        answer = self._remembered(key)
        if answer is None:
            with self._queue.turn(address):
                # Another request may have asked the same meanwhile: a host begins with several at once.
                answer = self._remembered(key)
                if answer is None:
                    answer = _matches(password, stored or self._nobody) and stored is not None
                    self._remember(key, answer)
        if not answer:
            self._delay()
        return answer

    def _stored(self, user: str) -> bytes | None:
        with self._lock:
            self._refresh()
            return self._hashes.get(user)

    def _refresh(self) -> None:
        """Read the file again if it is not the one we know."""
        try:
            status = self.path.stat()
            seen = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            if seen == self._seen:
                return
            self._hashes = parse_htpasswd(self.path.read_bytes())
            self._seen = seen
        except FileNotFoundError:
            self._hashes, self._seen = {}, None
            return
        except OSError as error:
            # Nobody comes in while we cannot know who may. That is no wrong password, though.
            log.trouble(f"cannot read {self.path}: {error.strerror}")
            self._hashes, self._seen = {}, None
            raise Refused(
                HTTPStatus.SERVICE_UNAVAILABLE, "the mirror cannot read its passwords"
            ) from error
        costs = [int(found[1]) for line in self._hashes.values() if (found := _HASH.fullmatch(line))]
        self._nobody = _decoy(max(costs, default=ROUNDS))

    def _key(self, *parts: str | bytes) -> bytes:
        mac = hmac.new(self._secret, digestmod=hashlib.sha256)
        for part in parts:
            octets = part if isinstance(part, bytes) else part.encode("utf-8", "surrogateescape")
            mac.update(len(octets).to_bytes(8, "big") + octets)
        return mac.digest()

    def _remembered(self, key: bytes) -> bool | None:
        with self._lock:
            return self._answers.get(key)

    def _remember(self, key: bytes, answer: bool) -> None:
        with self._lock:
            # Right answers at the front are the last to be forgotten.
            self._answers[key] = answer
            if answer:
                self._answers.move_to_end(key, last=False)
            while len(self._answers) > _REMEMBERED:
                self._answers.popitem()

    def _delay(self) -> None:
        """Make guessing slow, but never let guessers hold more than a few of the door's threads."""
        if self._delaying.acquire(blocking=False):
            try:
                time.sleep(FAILURE_DELAY)
            finally:
                self._delaying.release()


def parse_htpasswd(octets: bytes) -> dict[str, bytes]:
    """The bcrypt hashes in an htpasswd file, by user. Lines of any other kind let nobody in."""
    hashes = {}
    for line in octets.splitlines():
        user, colon, stored = line.partition(b":")
        if colon and _HASH.fullmatch(stored.strip()):
            hashes[user.decode("utf-8", "surrogateescape")] = stored.strip()
    return hashes


def new_password() -> str:
    """Nearly 256 random bits, as letters, digits, - and _. None begins with -: a program that is given it
    on its command line would take it for an option.
    """
    while (password := secrets.token_urlsafe(32)).startswith("-"):
        pass
    return password


def hash_password(password: str, rounds: int = ROUNDS) -> bytes:
    """The hash that an htpasswd line keeps."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds))


def _decoy(rounds: int) -> bytes:
    """A hash in the right form that no password matches, without the work of making a real one."""
    return b"$2b$%02d$" % rounds + b"." * 53


def _matches(password: str, stored: bytes) -> bool:
    try:
        return bcrypt.checkpw(password.encode("utf-8", "surrogateescape"), stored)
    except ValueError:
        # Longer than bcrypt takes (72 octets): nobody's password, but the work is done all the same.
        bcrypt.checkpw(b"", stored)
        return False
