"""The part of a set that has no path on this host, put in among what duplicity finds, in its order.

duplicity asks for one path after another and reads each to its end before it asks for the next. So when
it asks again, it is known how a command ended, and if that was badly, the next path is a file that says
so: whoever restores, with whatever tool, finds `shop.sql.failed` beside `shop.sql`.
"""

import heapq
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from duplicity.path import Path as DuplicityPath
from duplicity.path import ROPath
from duplicity.selection import Select

from nightdrop_client.sources.command_stream import CommandStream
from nightdrop_client.sources.paths import EXPECTED_SIZE, Index, MadePath, index_of, moved, text_path
from nightdrop_client.sources.ready import FAILED_SUFFIX, ROOT, Ready, Stream, Tree
from nightdrop_client.sources.secrets import StreamSecrets


class Virtual:
    """What of a set comes from these sources. `failed` are the places of those that are not whole, and
    why; `notes` what else there is to say; `octets` were read from commands.
    """

    def __init__(
        self,
        ready: Ready,
        secrets: dict[str, StreamSecrets],
        moment: int,
        scratch: Path,
        outside: Sequence[str] = (),
    ) -> None:
        """`moment` is the time that the set gets, `scratch` a folder for what nobody else may read;
        `outside` are words to put before commands.
        """
        self._ready = ready
        self._secrets = secrets
        self._moment = moment
        self._scratch = scratch
        self._outside = outside
        self.failed = dict(ready.failed)
        self.notes: list[str] = []
        self.octets = 0

    def among(self, found: Iterator[ROPath]) -> Iterator[ROPath]:
        """The paths that were found, and ours, in the one order that duplicity knows."""
        return heapq.merge(found, self._ours(), key=lambda path: path.index)

    def _ours(self) -> Iterator[ROPath]:
        waiting: list[tuple[Index, Callable[[], Iterator[ROPath]]]] = []

        def add(place: str, item: Callable[[], Iterator[ROPath]]) -> None:
            heapq.heappush(waiting, (index_of(place), item))

        def mark(places: Iterable[str]) -> None:
            for place in places:
                add(place + FAILED_SUFFIX, partial(self._marker, place))

        marked = {place for place in self.failed if place.startswith(f"{ROOT}/")}
        mark(marked)
        for stream in self._ready.streams:
            add(stream.place, partial(self._stream, stream))
        for tree in self._ready.trees:
            add(tree.place, partial(self._tree, tree))
        for folder in {above for index, _ in waiting for above in _above(index)}:
            add(folder, partial(self._folder, folder))
        while waiting:
            _, item = heapq.heappop(waiting)
            before = set(self.failed)
            yield from item()
            mark(self.failed.keys() - before)

    def _folder(self, place: str) -> Iterator[ROPath]:
        yield MadePath(place, self._moment)

    def _marker(self, place: str) -> Iterator[ROPath]:
        text = f"{place} is not whole in this backup: {self.failed[place]}\n"
        yield text_path(place + FAILED_SUFFIX, self._moment, text)

    def _tree(self, tree: Tree) -> Iterator[ROPath]:
        place = index_of(tree.place)
        for found in Select(DuplicityPath(tree.folder)).set_iter():
            yield moved(found, place)

    def _stream(self, stream: Stream) -> Iterator[ROPath]:
        opened: list[CommandStream] = []

        def start() -> CommandStream:
            secrets = self._secrets.get(stream.place, StreamSecrets())
            opened.append(CommandStream(stream, secrets, self._scratch, self._outside))
            return opened[-1]

        yield MadePath(stream.place, self._moment, start, EXPECTED_SIZE)
        for command in opened:
            command.close()
            self._judge(stream, command)

    def _judge(self, stream: Stream, command: CommandStream) -> None:
        self.octets += command.octets
        if command.said:
            print(f"{stream.place} said: {command.said}", file=sys.stderr, flush=True)
        if command.failure:
            self.failed[stream.place] = command.failure
        elif not command.octets:
            self.notes.append(f"{stream.place} is empty: its command printed nothing and ended well")


def _above(index: Index) -> Iterator[str]:
    """The folders above a place."""
    for end in range(1, len(index)):
        yield os.fsdecode(b"/" + b"/".join(index[:end]))
