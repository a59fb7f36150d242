"""Manual pages and bash's completion, made from what `--help` says; `install.sh` runs it.

`python -m nightdrop.manuals FOLDER ROLE ...` writes FOLDER/man/man1/nightdrop*.1 and
FOLDER/bash-completion/completions/nightdrop, for the verbs of the core and these roles.
"""

import argparse
import re
import sys
from pathlib import Path

from nightdrop import __version__
from nightdrop.cli import VERBS, parser_of
from nightdrop.errors import EXIT_STATUS_HELP

_SUMMARY = "write-only backups"


def parsers(roles: list[str]) -> dict[str, argparse.ArgumentParser]:
    """What takes the arguments of each verb of the core and of these roles."""
    return {name: parser_of(name) for name, verb in VERBS.items() if verb.role in ("core", *roles)}


def page(name: str, parser: argparse.ArgumentParser) -> str:
    """The manual page of a verb, for man(1), in the language of man(7)."""
    usage = re.sub(r"\s+", " ", parser.format_usage().removeprefix("usage: ")).strip()
    lines = [
        *_head(f"nightdrop-{name.replace(' ', '-')}", VERBS[name].summary),
        ".SH SYNOPSIS",
        _plain(usage),
        ".SH DESCRIPTION",
        *_paragraphs(parser.description or ""),
        ".SH OPTIONS",
    ]
    formatter = argparse.HelpFormatter(prog=parser.prog)
    for action in parser._actions:
        lines += [".TP", f"\\fB{_inline(_invocation(action))}\\fR"]
        lines.append(_plain(formatter._expand_help(action) if action.help else ""))
    return "\n".join([*lines, *_foot()]) + "\n"


def overview(names: list[str]) -> str:
    """The manual page of `nightdrop` itself."""
    lines = [*_head("nightdrop", _SUMMARY), ".SH SYNOPSIS", "nightdrop VERB [...]", ".SH VERBS"]
    for name in names:
        lines += [
            ".TP",
            f"\\fB{_inline(name)}\\fR",
            _plain(f"{VERBS[name].summary}; {_page_name(name)}(1)"),
        ]
    return "\n".join([*lines, *_foot()]) + "\n"


def completion(found: dict[str, argparse.ArgumentParser]) -> str:
    """A script for bash: verbs, their options, the choices of an option, and files everywhere else."""
    firsts = dict.fromkeys(name.split()[0] for name in found)
    lines = [
        "# bash completion for nightdrop, made from its --help",
        "_nightdrop() {",
        '    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=""',
        '    local verb="${COMP_WORDS[1]}"',
        '    case "$verb" in',
        f'    {"|".join(_families(found)) or "none"}) verb="$verb ${{COMP_WORDS[2]}}" ;;',
        "    esac",
        '    case "$COMP_CWORD:${COMP_WORDS[1]}" in',
        f'    1:*) words="{" ".join(firsts)} --help --version" ;;',
    ]
    for family, members in _families(found).items():
        lines.append(f'    2:{family}) words="{" ".join(members)} --help" ;;')
    lines += ["    *)", '        case "$verb:$prev" in']
    for name, parser in found.items():
        for action in parser._actions:
            if action.choices and action.option_strings:
                when = "|".join(f'"{name}:{option}"' for option in action.option_strings)
                lines.append(f'        {when}) words="{" ".join(map(str, action.choices))}" ;;')
    for name, parser in found.items():
        options = [o for action in parser._actions for o in action.option_strings]
        lines.append(f'        "{name}":*) [[ $cur != -* ]] || words="{" ".join(options)}" ;;')
    lines += [
        "        esac",
        "        ;;",
        "    esac",
        '    if [[ -n $words ]]; then mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur"); fi',
        "}",
        "complete -o default -F _nightdrop nightdrop",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write them all."""
    folder = Path(sys.argv[1])
    manuals, completions = folder / "man" / "man1", folder / "bash-completion" / "completions"
    for made in (manuals, completions):
        made.mkdir(parents=True, exist_ok=True)
    found = parsers(sys.argv[2:])
    for name, parser in found.items():
        (manuals / f"{_page_name(name)}.1").write_text(page(name, parser))
    (manuals / "nightdrop.1").write_text(overview(list(found)))
    (completions / "nightdrop").write_text(completion(found))


def _page_name(verb: str) -> str:
    return f"nightdrop-{verb.replace(' ', '-')}"


def _families(found: dict[str, argparse.ArgumentParser]) -> dict[str, list[str]]:
    """The verbs of two words: the first, and what may follow it."""
    families: dict[str, list[str]] = {}
    for first, _, second in (name.partition(" ") for name in found):
        if second:
            families.setdefault(first, []).append(second)
    return families


def _invocation(action: argparse.Action) -> str:
    """How an argument is written: `-o, --output FILE`."""
    value = action.metavar or (
        "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()
    )
    shown = value if isinstance(value, str) else " ".join(value)
    if not action.option_strings:
        return shown
    return ", ".join(action.option_strings) + ("" if action.nargs == 0 else f" {shown}")


def _head(name: str, summary: str) -> list[str]:
    return [
        f'.TH {name.upper()} 1 "" "nightdrop {__version__}" "Nightdrop"',
        ".SH NAME",
        f"{_inline(name)} \\- {_inline(summary)}",
    ]


def _foot() -> list[str]:
    status = [line.split(None, 1) for line in EXIT_STATUS_HELP.splitlines()[1:]]
    lines = [".SH EXIT STATUS"]
    for number, meaning in status:
        lines += [".TP", number, _plain(meaning)]
    return [*lines, ".SH SEE ALSO", "nightdrop(1), docs/OPERATIONS.md in Nightdrop's source"]


def _paragraphs(text: str) -> list[str]:
    """Paragraphs as they are, a break between two; lines that are indented or in columns stay lines."""
    lines: list[str] = []
    for block in re.split(r"\n\s*\n", text.strip()):
        as_it_is = any(line.startswith(" ") for line in block.splitlines())
        lines += [*([".PP"] if lines else []), *([".nf"] if as_it_is else [])]
        lines += [_plain(line) for line in block.splitlines()]
        lines += [".fi"] if as_it_is else []
    return lines


def _inline(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-")


def _plain(text: str) -> str:
    """A line of text, which must not begin like a request of roff's."""
    escaped = _inline(text)
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


if __name__ == "__main__":
    main()
