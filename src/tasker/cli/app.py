"""`tasker COMMAND ...`: finds the command, parses its options, reports bad usage in one line."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from importlib import metadata

from . import descriptors, exit_codes
from .commands import COMMANDS, Parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code.

    `argv` is the command with its arguments (default: those of the process).
    """
    descriptors.fill_closed()
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = arguments[0] if arguments else ""
    prog = f"tasker {name}" if name in COMMANDS else "tasker"
    try:
        return _dispatch(prog, arguments)
    except exit_codes.UsageError as error:
        _print_error(f"{prog}: error: {error}")
        return exit_codes.USAGE
    except KeyboardInterrupt:
        return exit_codes.after_signal(signal.SIGINT)


def _dispatch(prog: str, arguments: list[str]) -> int:
    if not arguments or arguments[0] not in COMMANDS:
        return _without_command(prog, arguments)
    entry = COMMANDS[arguments[0]]
    command = entry.load()
    # No abbreviations: one that is unique today would be ambiguous once an option is added.
    parser = Parser(prog=prog, description=entry.summary, allow_abbrev=False)
    command.configure(parser)
    # Intermixed, which argparse's own subparsers cannot do: they would reject the input that comes
    # after an option in `run jobs.py --workers 4 inputs.csv`.
    return command.execute(parser.parse_intermixed_args(arguments[1:]))


def _without_command(prog: str, arguments: list[str]) -> int:
    lines = [f"  {name:<10} {entry.summary}" for name, entry in COMMANDS.items()]
    usage = "usage: tasker COMMAND ...\n\ncommands:\n" + "\n".join(lines)
    if arguments and arguments[0] in ("-h", "--help"):
        print(f"{usage}\n\n`tasker COMMAND --help` lists the options of a command.")
        return exit_codes.DONE
    if arguments and arguments[0] in ("-V", "--version"):
        print(f"tasker {_version()}")
        return exit_codes.DONE
    known = ", ".join(COMMANDS)
    given = f"no command {arguments[0]!r}" if arguments else "no command given"
    raise exit_codes.UsageError(f"{given}; known: {known} (see tasker --help)")


def _version() -> str:
    try:
        return metadata.version("tasker-pool")
    except metadata.PackageNotFoundError:
        return "unknown (not installed)"


def _print_error(line: str) -> None:
    """Prints one line to standard error."""
    try:
        print(" ".join(line.split()), file=sys.stderr)
    except (OSError, ValueError):
        pass  # standard error is closed: there is nowhere left to report it
