"""`tasker run`: a Python task with an expensive resource, run over every item of an input.

Three kinds of threads work together, and each value has one writer:

- the *submitter* reads items and submits them, never more than a bounded number ahead;
- the *workers* of the TaskManager run the task and encode its result;
- the *main thread* takes the completed items, writes them, shows progress and answers signals. It
  alone writes to the output.
"""

from tasker.cli.commands import Command

from .arguments import configure
from .command import execute

COMMAND = Command(configure, execute)

__all__ = ["COMMAND"]
