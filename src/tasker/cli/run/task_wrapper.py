"""What a worker calls for an item: the user's task, and the encoding of what it returned.

The result is encoded in the worker, at once: a task may return something that the resource owns
and changes for the next item (a buffer, a list that is reused).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tasker import Context
from tasker.cli import strict_json


@dataclass(frozen=True, slots=True)
class Encoded:
    """A result as JSON."""

    text: str


@dataclass(frozen=True, slots=True)
class NotEncodable:
    """The task returned something that JSON has no form for. It ran: nothing is retried."""

    message: str


class Refused:
    """The run was being stopped when the attempt's turn came: the task was not called."""

    def __reduce__(self) -> str:
        return "REFUSED"  # there is one, also where it comes back from another process


ItemResult = Encoded | NotEncodable | Refused
REFUSED = Refused()


class Gate:
    """Open until the run is being stopped. Closed is for ever."""

    def __init__(self) -> None:
        self.closed = False


def attempt(task: Callable[..., Any], gate: Gate) -> Callable[[Context, Any, Any], ItemResult]:
    """The task as the manager runs it."""

    def run_item(ctx: Context, resource: Any, item: Any) -> ItemResult:
        # Asked here and not where items are submitted: what already waits in the queue, or waits
        # for a retry, must not be started after the first Ctrl-C either.
        if gate.closed:
            return REFUSED
        return encoded(task(ctx, resource, item))

    functools.update_wrapper(run_item, task, ("__module__", "__name__", "__qualname__"), ())
    return run_item


def encoded(result: Any) -> Encoded | NotEncodable:
    """The result as JSON, or why there is none."""
    try:
        return Encoded(strict_json.encode(result))
    except strict_json.ENCODE_ERRORS as error:
        return NotEncodable(f"the result ({type(result).__name__}) is not JSON: {error}")
    except Exception as error:  # the result's own methods, such as a dict's items()
        return NotEncodable(f"the result ({type(result).__name__}) cannot be encoded: {error!r}")
