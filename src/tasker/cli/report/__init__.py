"""`tasker report`: what a finished `tasker run` did, on one page that needs no network.

The output is read once, and nothing is kept of a line but sums: `lines` reads it, `tally` hands each line on to `timeline`,
`gantt`, `kinds` and `standouts`, each of which is bounded, `contents` makes the data of the page of them, `page` the file.
"""

from tasker.cli.commands import Command

from .command import configure, execute

COMMAND = Command(configure, execute)

__all__ = ["COMMAND"]
