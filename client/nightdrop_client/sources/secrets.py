"""The secrets of a run: got once, when it begins, and handed to the duplicity process through a pipe.

They are in no file, no argument and no log; and in the environment of nobody but the command that a
secret is for.
"""

from dataclasses import dataclass, field, replace

from nightdrop.enrolment import Bundle
from nightdrop.errors import NightdropError

_SHORTEST_HIDDEN = 4


@dataclass(frozen=True)
class StreamSecrets:
    """The secrets of one command, by the names of the variables in which it gets them: themselves
    (`variables`), or the path of a file with them (`files`).
    """

    variables: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    def without(self, text: str) -> str:
        """A text in which none of them stands any more, nor the end of one where the text begins."""
        secrets = {*self.variables.values(), *self.files.values()}
        # One may be a part of another, of which the rest would show.
        for secret in sorted(secrets, key=len, reverse=True):
            if len(secret) >= _SHORTEST_HIDDEN:
                text = text.replace(secret, "***")
        ends = (secret[at:] for secret in secrets for at in range(1, len(secret) - _SHORTEST_HIDDEN + 1))
        cut_off = max((len(end) for end in ends if text.startswith(end)), default=0)
        return f"***{text[cut_off:]}" if cut_off else text


def with_passwords(bundle: Bundle) -> tuple[Bundle, dict[str, str]]:
    """The bundle with the passwords that stand elsewhere; and for each mirror whose password cannot be
    had, why.
    """
    mirrors, failures = [], {}
    for mirror in bundle.mirrors:
        password = mirror.password
        if mirror.secret is not None:
            try:
                password = mirror.secret.fetch()
            except NightdropError as error:
                failures[mirror.name] = f"its password is not to be had: {error.message}"
        mirrors.append(replace(mirror, password=password, secret=None))
    return replace(bundle, mirrors=tuple(mirrors)), failures
