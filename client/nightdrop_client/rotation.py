"""Which recipients a set is sealed to: those of the full that it builds on.

A new recipient takes effect with the next full. Otherwise a chain would be sealed in part to one key
and in part to another, and neither alone could restore it. So the recipients of each full are kept.
"""

from collections.abc import Iterable
from pathlib import Path

from nightdrop.envelope.recipients import Recipient, load_recipients
from nightdrop.files import whole_file
from nightdrop.names import SetKey
from nightdrop.sets import chain_up_to
from nightdrop_client.configuration import Client
from nightdrop_client.state import State


def recipients_path(state: State, full: str) -> Path:
    """Where it is kept whom the full of this time (as names write it) is sealed to."""
    return state.recipients / f"{full}.pem"


def keep_recipients(client: Client, state: State, full: str) -> None:
    """Remember whom the full of this time is sealed to."""
    state.recipients.mkdir(mode=0o700, exist_ok=True)
    with whole_file(recipients_path(state, full), 0o600) as file:
        file.write("".join(recipient.pem for recipient in client.recipients).encode())


def recipients_of(
    client: Client, state: State, newest: SetKey, keys: Iterable[SetKey]
) -> tuple[Recipient, ...]:
    """Whom the chain that ends with `newest` is sealed to; today's recipients where nobody knows."""
    chain = chain_up_to(newest, keys)
    path = recipients_path(state, chain[0].end if chain else newest.end)
    return tuple(load_recipients(path)) if path.exists() else tuple(client.recipients)


def forget_recipients(state: State, keys: Iterable[SetKey]) -> None:
    """Forget those of fulls that nothing builds on any more."""
    known = {key.end for key in keys if key.type == "full"}
    for path in state.recipients.glob("*.pem"):
        if path.stem not in known:
            path.unlink()
