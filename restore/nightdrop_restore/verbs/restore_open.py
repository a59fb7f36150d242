"""`nightdrop restore open`."""

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from nightdrop.errors import ExitStatus, NightdropError, UsageError
from nightdrop.text import count, format_size, harmless

if TYPE_CHECKING:
    from nightdrop_restore.envelope.unwrapping import Key
    from nightdrop_restore.stream_output import Output
    from nightdrop_restore.streams import OnRead, Stream

T = TypeVar("T")

DESCRIPTION = """
Open the sets of routers, firewalls and other things with a shell: a tar is unpacked, flash images and
everything else are written as they are, ZFS streams as `zfs receive` takes them, the full first.

  nightdrop restore open FILE ... --key KEY.pem -o DIR
  nightdrop restore open VAULT ... --host HOST --kind KIND [--time TIME] --key KEY.pem -o DIR

Any one file of a set stands for all of it: volumes are joined. Where there is a receipt, all is compared
with it first. With -o -, the streams go to standard output one after the other; look at the exit status.
Nothing appears in DIR under its own name unless it is whole.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    from nightdrop_restore.keys.reading import add_key_arguments
    from nightdrop_restore.vaults.addresses import add_listener_arguments

    parser.add_argument(
        "things", metavar="FILE|VAULT", nargs="+", help="files of sets; with --host, vaults"
    )
    add_listener_arguments(parser)
    parser.add_argument("--host", metavar="HOST", help="whose sets, out of vaults; with --kind")
    parser.add_argument("--kind", metavar="KIND", help="which sets, such as zroot or sysupgrade")
    parser.add_argument(
        "--time", metavar="TIME", default="now", help="the state then: now, 3D, 2026-01-31T18:00 (UTC)"
    )
    add_key_arguments(parser)
    parser.add_argument("-o", metavar="DIR", dest="output", required=True, help="where to; - for stdout")
    parser.add_argument("--raw", action="store_true", help="write a tar as it is, too")
    parser.add_argument("--devices", action="store_true", help="make device nodes, too")
    parser.add_argument("--setuid", action="store_true", help="keep setuid and setgid bits of files")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Open the sets."""
    from nightdrop_restore.keys.reading import ask_passphrase, load_key
    from nightdrop_restore.stream_output import Output, StreamWriter
    from nightdrop_restore.writing.destination import require_folder
    from nightdrop_restore.writing.workplaces import tell_leftovers
    from nightdrop_restore.writing.writer import Policy

    if arguments.output != "-":
        require_folder(Path(arguments.output))
    elif sys.stdout.isatty():
        raise NightdropError("a stream would go to the terminal", "send it to a file or a program")
    streams, older = _chosen(arguments)
    key = load_key(arguments.key, ask_passphrase(arguments.key, arguments))
    policy = Policy(devices=arguments.devices, setuid=arguments.setuid)
    if arguments.output == "-":
        _to_stdout(streams, key)
        return ExitStatus.PARTIAL if older else ExitStatus.DONE
    folder = Path(arguments.output)
    folder.mkdir(exist_ok=True)
    tell_leftovers(folder)
    writer = StreamWriter(folder, policy, unpack=not arguments.raw)
    outputs = _each(streams, lambda stream, on_read: writer.write(stream, key, on_read))
    for output in outputs:
        _tell(output)
    _tell_about_zfs([output.path for output in outputs if output.path.suffix == ".zfs"])
    return ExitStatus.PARTIAL if older or any(map(Output.is_partial, outputs)) else ExitStatus.DONE


def _chosen(arguments: argparse.Namespace) -> "tuple[list[Stream], bool]":
    """What to open, and whether that is an older state than was there at the time."""
    from nightdrop_restore.streams import streams_at, streams_of
    from nightdrop_restore.vaults.addresses import places_of
    from nightdrop_restore.vaults.catalog import catalogue, hosts_of, parse_moment
    from nightdrop_restore.vaults.judging import judged

    if arguments.host is None and arguments.kind is None:
        return streams_of([Path(thing) for thing in arguments.things]), False
    if arguments.host is None or arguments.kind is None:
        raise UsageError("--host and --kind go together", "or name the files themselves")
    places = places_of(arguments, arguments.things)
    [host] = hosts_of(places, [arguments.host])
    sets = catalogue(places, host)
    kinds = sorted({one.key.kind for one in sets} - {"duplicity"})
    if arguments.kind not in kinds:
        raise UsageError(
            f"{host} has no sets of the kind {harmless(arguments.kind)}",
            f"there are: {', '.join(kinds) or 'none'}; duplicity's are for `nightdrop restore run`",
        )
    of_kind = [one for one in sets if one.key.kind == arguments.kind]
    moment = parse_moment(arguments.time, datetime.now(UTC))
    streams = streams_at(places, host, of_kind, moment)
    for stream in streams:
        for text in stream.passed_receipts:
            print(f"warning: {harmless(text, 1000)}", file=sys.stderr)
    passed_over = [one for one in of_kind if streams[-1].key.end < one.key.end <= moment]
    for one in passed_over:
        if one.unfinished:
            print(f"note: the set of {one.key.end} was not finished", file=sys.stderr)
        else:
            why = judged(host, one).problem or "a set before it is not whole"
            print(f"warning: the set of {one.key.end} cannot be opened: {harmless(why)}", file=sys.stderr)
    return streams, not all(one.unfinished for one in passed_over)


def _to_stdout(streams: "Sequence[Stream]", key: "Key") -> None:
    from nightdrop_restore.streams import open_stream, verified

    ready = _each(streams, verified)
    for stream, sources in zip(streams, ready, strict=True):
        open_stream(stream, sources, [key], sys.stdout.buffer.write)
    sys.stdout.buffer.flush()


def _each(streams: "Sequence[Stream]", act: "Callable[[Stream, OnRead], T]") -> list[T]:
    """What `act` gives for each of the streams, with a line that tells how far it is."""
    from nightdrop.progress import ProgressLine

    found = []
    with ProgressLine() as line:
        for stream in streams:
            read = 0

            def on_read(octets: int, stream: "Stream" = stream) -> None:
                nonlocal read
                read += octets
                line.show(f"{stream.key.stem}: {format_size(read)} of {format_size(stream.size)}")

            found.append(act(stream, on_read))
    return found


def _tell(output: "Output") -> None:
    print(f"{harmless(str(output.path), 1000)}: {format_size(output.octets)}")
    for one in output.partitions:
        image = harmless(one.image.name) if one.image else "-"
        trouble = f"  {one.problem}" if one.problem else ""
        print(
            f"  mtd{one.number:<3} {harmless(one.name):24} {format_size(one.size):>8}  {image}{trouble}"
        )
    for what, paths in (("not unpacked", output.kept_out), ("not as it was", output.changed)):
        if paths:
            print(f"  {what}: {count(len(paths), 'file')}")
            for path, reason in paths.items():
                print(f"    {harmless(path, 5000)}: {harmless(reason)}")


def _tell_about_zfs(paths: list[Path]) -> None:
    if paths:
        print("to receive, in this order, into a pool that has another root (zpool create -R /mnt ...):")
        for path in paths:
            print(f"  zfs receive -uF POOL/NAME <{shlex.quote(os.fspath(path))}")
