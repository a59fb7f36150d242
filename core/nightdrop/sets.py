"""Backup sets as names alone tell of them: what a set lacks, and which sets build on which."""

from collections.abc import Iterable

from nightdrop.names import SetKey, parse_name


def chain_up_to(newest: SetKey, keys: Iterable[SetKey]) -> list[SetKey]:
    """The chain that ends with `newest`: a full, and the incrementals that build on each other.

    Of two incrementals on one set, only the one that leads to `newest` is in it. Empty if a set on
    the way back to the full is not among `keys`.
    """
    by_end = {(key.kind, key.end): key for key in sorted(keys)}
    chain = [newest]
    while chain[0].type == "inc":
        before = by_end.get((newest.kind, chain[0].start))
        if before is None or before.end >= chain[0].end:
            return []
        chain.insert(0, before)
    return chain


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
