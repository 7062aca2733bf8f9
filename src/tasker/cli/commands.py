"""The registry of commands: one more command is one more entry in COMMANDS.

A command is named by the module that defines it and is imported only when it is asked for, so
that `tasker run` never pays for what `tasker bench` needs.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from .exit_codes import UsageError


class Parser(argparse.ArgumentParser):
    """An argument parser that raises instead of printing its usage and leaving."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


@dataclass(frozen=True, slots=True)
class Command:
    """What a command's module gives: its options, and what it does with them."""

    configure: Callable[[argparse.ArgumentParser], None]
    execute: Callable[[argparse.Namespace], int]


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """A name in the registry, and the module whose COMMAND it stands for."""

    module: str
    summary: str

    def load(self) -> Command:
        command: Command = importlib.import_module(self.module).COMMAND
        return command


COMMANDS: dict[str, CommandEntry] = {
    "run": CommandEntry("tasker.cli.run", "run a Python task over every item of an input"),
    "simulate": CommandEntry(
        "tasker.cli.simulate", "simulate a pool under a load, to tune its options before production"
    ),
    "bench": CommandEntry("tasker.cli.bench", "measure tasker on this machine, next to the standard library"),
}
