"""Result lines, one for each item."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from tasker import Attempt, TaskFuture
from tasker.cli import strict_json

from .errors_as_data import ErrorData, describe, in_short
from .items import Item
from .task_wrapper import Encoded, ItemResult, NotEncodable

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
            "worker": self.worker,
            **({"earlier": list(self.earlier)} if self.earlier else {}),
            "job": version,
        }
        head = f'{{"index": {self.item.index}, "input": {self.item.text}, "status": "{self.status}"'
        return strict_json.to_bytes(f"{head}, {outcome}, {strict_json.encode(rest)[1:]}\n")


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(max(0.0, seconds), 6)


def malformed(item: Item) -> Record:
    """Returns the record of an item that could not be read."""
    return Record(item, None, ErrorData("MalformedInput", item.problem or ""))


def executed(item: Item, future: TaskFuture[ItemResult]) -> Record:
    """Returns the record of an item whose task has an outcome."""
    error = _error_of(future)
    if error is not None:
        return _timed(item, future, None, describe(error))
    outcome = future.result()
    if isinstance(outcome, Encoded):
        return _timed(item, future, outcome.text, None)
    assert isinstance(outcome, NotEncodable)
    error_data = ErrorData("UnserialisableResult", outcome.message)
    return dataclasses.replace(_timed(item, future, None, error_data), is_misfit=outcome.is_misfit)


def _error_of(future: TaskFuture[ItemResult]) -> BaseException | None:
    # Not by `result()`, which would add its own frames to the error's traceback.
    try:
        return future.exception()
    except BaseException as cancelled:  # `exception()` raises for a cancelled future
        return cancelled


def _timed(item: Item, future: TaskFuture[ItemResult], result: str | None, error: ErrorData | None) -> Record:
    stamps = future.timestamps
    return Record(
        item,
        result,
        error,
        future.attempts,
        stamps.started_at - stamps.queued_at if stamps else None,
        stamps.finished_at - stamps.started_at if stamps else None,
        future.worker,
        tuple(map(_told, future.attempts_made[:-1])) if error is not None and future.attempts > 1 else (),
    )


def _told(attempt: Attempt) -> dict[str, Any]:
    return {
        "attempt": attempt.number,
        "worker": attempt.worker,
        "wait_s": _rounded(attempt.wait),
        "execution_s": _rounded(attempt.run),
        "error": in_short(attempt.error),
    }
