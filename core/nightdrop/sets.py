"""Backup sets as names alone tell of them: what a set lacks, and which sets build on which."""

from collections.abc import Iterable, Mapping

from nightdrop.names import SetKey, parse_name


def chain_up_to(newest: SetKey, keys: Iterable[SetKey]) -> list[SetKey]:
    """The chain that ends with `newest`: a full, and the incrementals that build on each other.

    Of two incrementals on one set, only the one that leads to `newest` is in it. Empty if a set on
    the way back to the full is not among `keys`.
    """
    by_end = {(key.kind, key.end): key for key in sorted(keys)}
    chain = [newest]
    while chain[-1].type == "inc":
        before = _base(chain[-1], by_end)
        if before is None:
            return []
        chain.append(before)
    return chain[::-1]


def chained(keys: Iterable[SetKey]) -> list[SetKey]:
    """Those whose chain is among `keys`, oldest first; looked for once, however many there are."""
    by_end: dict[tuple[str, str], SetKey] = {}
    found = []
    for key in sorted(keys, key=lambda key: (key.end, key)):
        if key.type == "full" or _base(key, by_end) is not None:
            by_end[key.kind, key.end] = key
            found.append(key)
    return found


def _base(key: SetKey, by_end: Mapping[tuple[str, str], SetKey]) -> SetKey | None:
    """The set that an incremental builds on; None where it is not there."""
    before = by_end.get((key.kind, key.start))
    return before if before is not None and before.end < key.end else None


def lacking(key: SetKey, names: Iterable[str]) -> list[str]:
    """What a set with files of these names lacks, in words; empty if it is whole as far as names tell.

    How many volumes there should be, no name tells.
    """
    parts = [parsed for name in names if (parsed := parse_name(name)) is not None]
    out = []
    volumes = sorted(part.volume for part in parts if part.volume is not None)
    if volumes != list(range(1, len(volumes) + 1)):
        out.append(f"volume {next(n for n, v in enumerate([*volumes, 0], 1) if n != v)}")
    if key.kind != "duplicity":
        if not volumes and not any(part.part == "stream" for part in parts):
            out.append("its content")
        return out
    if not volumes:
        out.append("its volumes")
    have = {part.part for part in parts}
    out += [f"its {part}" for part in ("signatures", "manifest") if part not in have]
    return out
