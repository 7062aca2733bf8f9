"""What a worker runs for an item: the user's task, and the encoding of its result."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tasker import Context

from .result_encoder import NoJsonForm, ResultEncoder


@dataclass(frozen=True, slots=True)
class Encoded:
    """A result as JSON."""

    text: str


@dataclass(frozen=True, slots=True)
class NotEncodable:
    """The task returned something that has no JSON form. It has run, so it is not retried."""

    message: str
    is_misfit: bool  # see NoJsonForm


class Refused:
    """The run was being stopped when the attempt's turn came, and the task was not called."""

    def __reduce__(self) -> str:
        return "REFUSED"  # unpickled as the one instance, which `is` finds when a child process sends it


ItemResult = Encoded | NotEncodable | Refused
REFUSED = Refused()


class Gate:
    """Open until the run is being stopped."""

    def __init__(self) -> None:
        self.closed: bool = False
        """Whether the run is being stopped. Once closed, it stays closed."""
        self.shut: bool = False
        """Whether lanes take no further item: from a kill on, even if the main thread has not closed the gate yet; and while
        it decides whether the run goes on."""


def wrap_task(
    task: Callable[..., Any], encoder: ResultEncoder, gate: Gate
) -> Callable[[Context, Any, Any], ItemResult]:
    """Returns the function that the manager runs for each item."""

    def run_item(ctx: Context, resource: Any, item: Any) -> ItemResult:
        # Checked here and not where items are submitted: items that already wait in the queue, or
        # for a retry, must not be started after the first Ctrl-C either.
        if gate.closed:
            return REFUSED
        # Encoded in the worker, at once: the result may be owned by the resource, and change with the
        # next item (a buffer, a list that is reused).
        return encoded(task(ctx, resource, item), encoder)

    functools.update_wrapper(run_item, task, ("__module__", "__name__", "__qualname__"), ())
    return run_item


def wrap_task_many(
    task_many: Callable[..., Any], encoder: ResultEncoder, gate: Gate
) -> Callable[[Context, Any, list[Any]], list[Encoded | NotEncodable] | Refused]:
    """Returns the function that the manager runs for a chunk of items."""

    def run_items(ctx: Context, resource: Any, items: list[Any]) -> list[Encoded | NotEncodable] | Refused:
        return REFUSED if gate.closed else outcomes_of(task_many, ctx, resource, items, encoder)

    functools.update_wrapper(run_items, task_many, ("__module__", "__name__", "__qualname__"), ())
    return run_items


class ResultCountError(Exception):
    """`task_many` has not given one result for each item."""


def outcomes_of(
    task_many: Callable[..., Any], ctx: Context, resource: Any, items: list[Any], encoder: ResultEncoder
) -> list[Encoded | NotEncodable]:
    """Calls `task_many`. Raises what it raises, and ResultCountError."""
    count = len(items)
    results = task_many(ctx, resource, items)
    if isinstance(results, str | bytes | Mapping) or not isinstance(results, Iterable):
        raise ResultCountError(f"task_many returned {type(results).__name__}, not the results of {count} items")
    outcomes: list[Encoded | NotEncodable] = []
    for result in results:
        if len(outcomes) == count:
            raise ResultCountError(f"task_many gave more than {count} results for {count} items")
        outcomes.append(encoded(result, encoder))
    if len(outcomes) < count:
        raise ResultCountError(f"task_many gave {len(outcomes)} results for {count} items")
    return outcomes


def encoded(result: Any, encoder: ResultEncoder) -> Encoded | NotEncodable:
    """Returns a result as JSON, or the reason why it has no JSON form."""
    try:
        return Encoded(encoder.encode(result))
    except NoJsonForm as error:
        return NotEncodable(f"the result ({type(result).__name__}) is not JSON: {error}", error.is_misfit)
    except Exception as error:  # raised by the result's own methods, such as a dict's items()
        return NotEncodable(f"the result ({type(result).__name__}) cannot be encoded: {error!r}", False)
