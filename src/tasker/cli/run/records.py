"""Result lines, one for each item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasker import Attempt, TaskFuture
from tasker.cli import strict_json

from .errors_as_data import ErrorData, describe, in_short
from .items import Item
from .task_wrapper import Encoded, ItemResult, NotEncodable
from .wall_clock import OFFSET, seconds_since_1970

if TYPE_CHECKING:
    from .feeds import Ticket

DONE = "done"
FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Record:
    """The fields of a result line. Either `result`, as JSON, or `error` is set."""

    item: Item
    result: str | None
    error: ErrorData | None
    attempts: int = 0
    wait_s: float | None = None
    execution_s: float | None = None
    started: float | None = None
    """When the last attempt was started, by ``time.monotonic``."""
    worker: str | None = None
    earlier: tuple[dict[str, Any], ...] = ()
    """The attempts before the last one, of an item that failed after several."""
    is_misfit: bool = False
    """Whether the result's type has no JSON form, so that further results will have none, either."""

    @property
    def status(self) -> str:
        return DONE if self.error is None else FAILED

    @property
    def is_done(self) -> bool:
        return self.error is None

    def line(self, version: str) -> bytes:
        """Returns the record as one line of strict JSON. `version` is that of the job."""
        if self.error is None:
            outcome = f'"result": {self.result}'
        else:
            outcome = f'"error": {strict_json.encode(self.error.as_json())}'
        rest = {
            "attempts": self.attempts,
            "wait_s": _rounded(self.wait_s),
            "execution_s": _rounded(self.execution_s),
            "started_at": seconds_since_1970(self.started),
            "worker": self.worker,
            **({"earlier": list(self.earlier)} if self.earlier else {}),
            "job": version,
        }
        head = f'{{"index": {self.item.index}, "input": {self.item.text}, "status": "{self.status}"'
        return strict_json.to_bytes(f"{head}, {outcome}, {strict_json.encode(rest)[1:]}\n")


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(max(0.0, seconds), 6)


def done_line(item: Item, text: str, waited: float, span: tuple[float, float], tail: str) -> bytes:
    """Returns the line of an item that was done in its first attempt, as `Record.line` does, which takes several times as long.

    ``text``: the JSON of its result. ``tail``: what follows the times.
    """
    started, ended = span
    line = (
        f'{{"index": {item.index}, "input": {item.text}, "status": "done", "result": {text}, "attempts": 1, '
        f'"wait_s": {waited}, "execution_s": {round(ended - started, 6)}, "started_at": {started + OFFSET:.6f}{tail}'
    )
    return strict_json.to_bytes(line)


def line_tail(worker: str | None, version: str) -> str:
    """Returns what follows the times in a line."""
    return f', "worker": {strict_json.encode(worker)}, "job": {strict_json.encode(version)}}}\n'


def malformed(item: Item) -> Record:
    """Returns the record of an item that could not be read."""
    return Record(item, None, ErrorData("MalformedInput", item.problem or ""))


def returned(
    item: Item, outcome: ItemResult, queued_at: float, span: tuple[float, float], worker: str | None, attempts: int = 1
) -> Record:
    """Returns the record of an item whose task has returned. ``span``: from when to when it ran."""
    result, error, is_misfit = _told_result(outcome)
    began, ended = span
    return Record(item, result, error, attempts, began - queued_at, ended - began, began, worker, is_misfit=is_misfit)


def executed(item: Item, ticket: Ticket, future: TaskFuture[ItemResult]) -> Record:
    """Returns the record of an item for which a task was submitted, or whose first attempt has failed in a lane."""
    raised = error_of(future)
    result, error, is_misfit = (None, describe(raised), False) if raised is not None else _told_result(future.result())
    stamps = future.timestamps
    span = ticket.span or ((stamps.started_at, stamps.finished_at) if stamps else None)
    return Record(
        item,
        result,
        error,
        future.attempts,
        span[0] - ticket.queued_at if span else None,
        span[1] - span[0] if span else None,
        span[0] if span else None,
        future.worker,
        _earlier(ticket, future) if error is not None and future.attempts > 1 else (),
        is_misfit,
    )


def _told_result(outcome: ItemResult) -> tuple[str | None, ErrorData | None, bool]:
    if isinstance(outcome, Encoded):
        return outcome.text, None, False
    assert isinstance(outcome, NotEncodable)
    return None, ErrorData("UnserialisableResult", outcome.message), outcome.is_misfit


def error_of(future: TaskFuture[Any]) -> BaseException | None:
    """Returns the error of a task that has ended, also if it was cancelled; None if it has a result."""
    # Not by `result()`, which would add its own frames to the error's traceback.
    try:
        return future.exception()
    except BaseException as cancelled:  # `exception()` raises for a cancelled future
        return cancelled


def _earlier(ticket: Ticket, future: TaskFuture[ItemResult]) -> tuple[dict[str, Any], ...]:
    earlier = tuple(map(_told, future.attempts_made[:-1]))
    if ticket.first is not None and earlier:
        # To the manager, the first attempt began with the lane.
        began, ended = ticket.first
        earlier[0].update(wait_s=_rounded(began - ticket.queued_at), execution_s=_rounded(ended - began))
    return earlier


def _told(attempt: Attempt) -> dict[str, Any]:
    return {
        "attempt": attempt.number,
        "worker": attempt.worker,
        "wait_s": _rounded(attempt.wait),
        "execution_s": _rounded(attempt.run),
        "error": in_short(attempt.error),
    }
