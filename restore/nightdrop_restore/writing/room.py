"""A disk that has no room left, or takes nothing any more: a restore ends there.

Else each file that is still to come would be told of as one that cannot be had.
"""

import errno
import os
from typing import Final

from nightdrop.errors import NightdropError

NO_ROOM: Final = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS))
"""Error numbers that only writing ends with."""


def no_room(reason: str) -> NightdropError:
    """The error to raise, with the system's reason."""
    return NightdropError(
        f"cannot write any more: {reason}",
        "what was restored up to then is as it should be; restore to a larger disk",
    )


def no_room_in(message: str) -> NightdropError | None:
    """The same, if that is what somebody else's message is about."""
    reasons = [os.strerror(number) for number in sorted(NO_ROOM)]
    return next((no_room(reason) for reason in reasons if reason in message), None)
