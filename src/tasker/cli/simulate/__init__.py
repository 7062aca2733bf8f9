"""`tasker simulate`: what a pool with these options would do with this load, on virtual time."""

from tasker.cli.commands import Command

from .arguments import configure
from .command import execute

COMMAND = Command(configure, execute)

__all__ = ["COMMAND"]
