"""What a run consists of, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tasker import TaskManager

from .failed import FailedInputs
from .feeds import ItemFeed
from .halting import Halt
from .in_flight import InFlightItems
from .in_order import InputOrder
from .inputs import RunInputs
from .output import LineFile
from .progress import Reporter
from .resume_ledger import ResumeLedger
from .run_stats import ProgressSnapshot
from .submitter import Submitter


@dataclass(slots=True)
class RunEnd:
    """How a run ended."""

    exit_code: int
    error_message: str | None  # printed on standard error, even with --quiet
    snapshot: ProgressSnapshot
    interrupted_by: str
    abandoned: tuple[str, ...]
    total: int | None  # items in the inputs; None if they were not read to their end
    is_orderly: bool  # neither killed by the user nor ended because the output failed
    kept: int = 0  # with --resume: items of the output that match none of the inputs
    pruned: int = 0  # the same, dropped

    def fail(self, error_message: str, exit_code: int) -> None:
        """Reports a failure after the last line was written, unless there has been one before."""
        if self.error_message is None:
            self.error_message, self.exit_code = error_message, exit_code


@dataclass(frozen=True, slots=True)
class RunParts:
    """The parts that work together in a run."""

    manager: TaskManager[Any]
    submitter: Submitter
    inputs: RunInputs
    in_flight: InFlightItems
    feed: ItemFeed
    output: LineFile
    failed: FailedInputs | None
    reporter: Reporter
    ledger: ResumeLedger | None
    stop_timeout: float | None
    ready_timeout: float
    version: str  # of the job, for the result lines
    order: InputOrder | None = None
    halt: Halt | None = None
