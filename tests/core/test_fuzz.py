"""Whoever could write into a vault wrote this: the readers of envelopes and of their forms, fuzzed.

A loop of fixed length over mutations of every frozen vector, of those that are refused, too. No hang, no
memory beyond the bound, no exception but ours. NIGHTDROP_FUZZ=N makes it N mutations instead.
"""

import io
import itertools
import os
import random
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from core.mutations import MARKS, TEXT_MARKS, mutated, rearranged
from nightdrop.envelope.ber import BerReader, Read
from nightdrop.envelope.forms import binary
from nightdrop.envelope.header import read_header, read_tail
from nightdrop.envelope.inspection import inspect_envelope
from nightdrop.errors import EnvelopeError

ROUNDS = int(os.environ.get("NIGHTDROP_FUZZ", "6000"))
MEASURED = 1 / 8
SECONDS, MEMORY = 2.0, 6 << 20
VECTORS = Path(__file__).parent / "vectors"
CORPUS = [path.read_bytes() for path in sorted(VECTORS.glob("*d/*"))]


def read_through(read: Read) -> None:
    """Read a message as whoever opens it does, but for the deciphering."""
    reader = BerReader(binary(read))
    header = read_header(reader)
    for _ in reader.octet_string(0):
        pass
    read_tail(reader, header)
    if reader.peek(1):
        raise EnvelopeError("something follows where the envelope ends")


class Stream(io.BytesIO):
    """Octets, in reads as short as a pipe's may be. At their end nobody may ask for more for ever."""

    def __init__(self, octets: bytes, reads: list[int]) -> None:
        super().__init__(octets)
        self._reads = itertools.cycle(reads)
        self._beyond = 0

    def read(self, size: int | None = -1) -> bytes:
        most = next(self._reads)
        out = super().read(most if size is None or size < 0 else min(size, most))
        self._beyond += not out
        assert self._beyond < 100, "it asks for ever"
        return out


def refused(work: Callable[[], object]) -> bool:
    """Whether it ended in an error of ours, in time."""
    begun = time.process_time()
    try:
        work()
    except EnvelopeError as error:
        assert error.message.isprintable()
        assert len(error.message) < 300
        return True
    finally:
        assert time.process_time() - begun < SECONDS
    return False


def mutation(chance: random.Random) -> bytes:
    message = chance.choice(CORPUS)
    kind = chance.random()
    if kind < 0.2:
        return rearranged(chance, message, chance.choice(CORPUS))
    return mutated(chance, message, TEXT_MARKS if kind < 0.4 else MARKS)


def test_whatever_is_read_it_ends_soon_in_little_memory_and_well_or_with_an_error_of_ours() -> None:
    chance = random.Random(20260102)
    read_refused = inspect_refused = 0
    for number in range(ROUNDS):
        octets = mutation(chance)
        reads = [chance.choice([1, 7, 100, 4096, 1 << 20]) for _ in range(3)]
        measured = chance.random() < MEASURED
        if measured:
            tracemalloc.start()
        try:
            read_refused += refused(lambda: read_through(Stream(octets, reads).read))  # noqa: B023
            inspect_refused += refused(lambda: inspect_envelope(io.BytesIO(octets)))  # noqa: B023
            if measured:
                assert tracemalloc.get_traced_memory()[1] < MEMORY
        except BaseException:
            print(f"mutation {number}: {octets.hex()}")
            raise
        finally:
            tracemalloc.stop()
    # Neither refuses all of it, nor takes it all; and a reader of everything refuses more.
    assert ROUNDS // 5 < inspect_refused < read_refused < ROUNDS
