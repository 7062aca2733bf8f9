"""What ``map`` has in common on both engines."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol


class Faults(Protocol):
    """Who logs what callbacks raise."""

    def callback_fault(self, future: Any, error: BaseException) -> None:
        """Logs and counts an error that a callback raised."""
        ...


class Cancellable(Protocol):
    """A future."""

    def cancel(self) -> bool:
        """Cancels the task, if it has not started."""
        ...


def is_in_memory(inputs: object) -> bool:
    """Returns whether reading an input never waits for anything."""
    return isinstance(inputs, list | tuple | range | dict | set | frozenset | deque)


def cancel_all(futures: Iterable[Cancellable], faults: Callable[[Any], Faults]) -> None:
    """Cancels tasks that are not wanted any more, every one of them. An error that an ``on_cancel`` callback raises is logged by
    ``faults(future)``, as wherever a manager cancels; Ctrl-C is raised at the end."""
    struck: BaseException | None = None
    # A copy: cancelling may remove a future from the collection.
    for future in list(futures):
        try:
            future.cancel()
        except Exception as error:
            faults(future).callback_fault(future, error)
        except BaseException as error:
            struck = error
    if struck is not None:
        raise struck
