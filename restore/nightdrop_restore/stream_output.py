"""Streams written into a folder: a tar unpacked, all else as it is; whole, or not under its name."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nightdrop.errors import UsageError
from nightdrop.files import whole_file
from nightdrop_restore.archives import EXTENSIONS, unpack
from nightdrop_restore.envelope.unwrapping import Key
from nightdrop_restore.flash import Partition, partitions
from nightdrop_restore.items import Index, shown
from nightdrop_restore.reasons import Reasons
from nightdrop_restore.streams import OnRead, Stream, open_stream, verified
from nightdrop_restore.writing.workplaces import locked_folder
from nightdrop_restore.writing.writer import Policy


@dataclass
class Output:
    """What became of a stream: the file or folder it is now, its octets, what was not unpacked, what is
    not quite what it was, and why; and the partitions, if it was a router's flash.
    """

    path: Path
    octets: int = 0
    kept_out: Reasons = field(default_factory=Reasons)
    changed: Reasons = field(default_factory=Reasons)
    partitions: list[Partition] = field(default_factory=list)

    def is_partial(self) -> bool:
        """Whether it is less than what was backed up."""
        return bool(self.kept_out or self.changed or any(one.problem for one in self.partitions))

    def written(self, octets: int) -> None:
        """Listens to a writer."""
        self.octets += octets

    def left(self, index: Index, reason: str) -> None:
        """Listens to a writer."""
        self.kept_out.note(shown(index), reason)

    def unlike(self, index: Index, reason: str) -> None:
        """Listens to a writer."""
        self.changed.note(shown(index), reason)


class StreamWriter:
    """Writes streams into a folder that is there."""

    def __init__(self, folder: Path, policy: Policy, *, unpack: bool) -> None:
        self._folder = folder
        self._policy = policy
        self._unpack = unpack

    def write(self, stream: Stream, key: Key, on_read: OnRead) -> Output:
        """Write one; UsageError if something of its name is there already."""
        is_archive = self._unpack and stream.extension in EXTENSIONS
        name = stream.key.stem if is_archive else f"{stream.key.stem}.{stream.extension}"
        path = self._folder / name
        if path.exists() or path.is_symlink():
            raise UsageError(f"{path} is there already", "nothing is overwritten: name another folder")
        output = Output(path, kept_out=Reasons(self._folder), changed=Reasons(self._folder))
        sources = verified(stream, on_read)

        def produce(write: Callable[[bytes], object]) -> None:
            open_stream(stream, sources, [key], write)

        if is_archive:
            self._unpack_to(output, produce)
            return output
        with whole_file(path, 0o600, replace=False) as file:
            produce(file.write)
            output.octets = file.tell()
        return output

    def _unpack_to(self, output: Output, produce: Callable[[Callable[[bytes], object]], None]) -> None:
        with locked_folder("open", self._folder) as work:
            unpack(produce, work, self._policy, output)
            work.rename(output.path)
        output.partitions = partitions(output.path)
