"""Asking other mirrors what they hold. What they answer is read up to a limit, and for so long."""

from typing import Final, NamedTuple

from nightdrop.checking import Peer
from nightdrop.errors import NightdropError
from nightdrop.text import harmless
from nightdrop_check.deadline import within
from nightdrop_check.inventory import LONGEST, Inventory, read_inventory
from nightdrop_check.memory import Memory

_TIMEOUT: Final = 15.0
_DEADLINE: Final = 60.0
_PIECE: Final = 64 * 1024


class Asked(NamedTuple):
    """A peer, and what it answered: what it holds, or why that is not known; and when the last look of
    its check was that is known of (epoch seconds, 0 for never).
    """

    peer: Peer
    inventory: Inventory | None
    problem: str
    last: float


def ask(peer: Peer, memory: Memory, now: float) -> Asked:
    """What a peer holds, asked at `now` (epoch seconds)."""
    mark = f"peer {peer.name}"
    last = float(memory.mark(mark) or 0)
    try:
        inventory = read_inventory(within(_DEADLINE, lambda: _fetch(peer)))
    except TimeoutError:
        return Asked(peer, None, "it answers too slowly", last)
    except NightdropError as error:
        return Asked(peer, None, error.message, last)
    # A mirror that looked in the future would not be missed until then.
    inventory = inventory._replace(at=min(inventory.at, now))
    memory.set_mark(mark, str(inventory.at))
    return Asked(peer, inventory, "", inventory.at)


def _fetch(peer: Peer) -> bytes:
    """The octets of a peer's inventory; NightdropError says why there are none."""
    import requests

    try:
        password = peer.password.read_text().strip()
    except OSError as error:
        raise NightdropError(f"{peer.password}: {error.strerror}") from error
    except UnicodeError as error:
        raise NightdropError(f"{peer.password}: it is not text") from error
    with requests.Session() as session:
        session.trust_env = False
        verify = str(peer.certificate) if peer.certificate else True
        try:
            with session.get(
                f"{peer.url}/inventory",
                auth=requests.auth.HTTPBasicAuth(b"peer", password.encode()),
                verify=verify,
                timeout=_TIMEOUT,
                allow_redirects=False,
                stream=True,
            ) as answer:
                if answer.status_code != requests.codes.ok:
                    said = harmless(answer.reason or "", 80)
                    raise NightdropError(f"it answers {answer.status_code} {said}".rstrip())
                return _body(answer)
        except requests.exceptions.SSLError as error:
            raise NightdropError("its certificate is not one that is trusted here") from error
        except (requests.RequestException, OSError) as error:
            raise NightdropError(f"it does not answer ({type(error).__name__})") from error


def _body(answer: "requests.Response") -> bytes:  # type: ignore[name-defined]  # noqa: F821
    octets = bytearray()
    for piece in answer.iter_content(_PIECE):
        octets += piece
        if len(octets) > LONGEST:
            raise NightdropError("what it answers is too long")
    return bytes(octets)
