"""The registry of commands: one more command is one more entry in COMMANDS."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from .exit_codes import UsageError


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UsageError instead of printing its usage and exiting."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


@dataclass(frozen=True, slots=True)
class Command:
    """What the module of a command provides as COMMAND."""

    configure: Callable[[argparse.ArgumentParser], None]  # adds the options to a parser
    execute: Callable[[argparse.Namespace], int]  # returns the exit code


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """A command in the registry: the module that defines it, and a line for --help."""

    module: str
    summary: str

    def load(self) -> Command:
        """Imports the module and returns its command."""
        # Not imported with this module: `tasker run` need not load what `tasker simulate` needs.
        command: Command = importlib.import_module(self.module).COMMAND
        return command


COMMANDS: dict[str, CommandEntry] = {
    "run": CommandEntry("tasker.cli.run", "run a Python task over every item of an input"),
    "report": CommandEntry("tasker.cli.report", "draw what a finished run did, on one page that opens offline"),
    "simulate": CommandEntry(
        "tasker.cli.simulate", "simulate a pool under a load, to tune its options before production"
    ),
    "bench": CommandEntry("tasker.cli.bench", "measure tasker on this machine, next to the standard library"),
}
