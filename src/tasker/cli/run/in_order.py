"""Results in the order of the inputs, for --keep-order."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from .feeds import Completion
from .items import Item
from .records import Record, error_of
from .task_wrapper import NotEncodable


class InputOrder:
    """Holds back what was completed before the items in front of it. For the main thread, but for `expect`.

    An item keeps its slot until its line is written, so what is held back is bounded by the slots.
    """

    def __init__(self) -> None:
        self._expected: deque[int] = deque()
        self._held: dict[int, Any] = {}
        self.finished: int = 0
        """How many items were completed, for those who count them before they are written; see `count`."""
        self.failed: int = 0
        self.has_results: bool = False
        """Whether a result, as opposed to a failure, has passed here."""

    def __len__(self) -> int:
        return len(self._held)

    def expect(self, index: int) -> None:
        """Announces an item. For the submitter, before the item can be completed."""
        self._expected.append(index)

    def sort(self, entries: Sequence[Any]) -> list[Any]:
        """Takes what was completed; returns what is to be written now."""
        due: list[Any] = []
        for entry in entries:
            item = item_of(entry)
            if item is None:  # not about an item, so nothing has to be written
                due.append(entry)
                continue
            self._held[item.index] = entry
            self.has_results = self.has_results or type(entry) is tuple
        expected, held = self._expected, self._held
        while expected and expected[0] in held:
            due.append(held.pop(expected.popleft()))
        return due

    def count(self, entry: Any) -> None:
        """Counts an item that was completed, whether it is written now or later."""
        if item_of(entry) is not None:
            self.finished += 1
            self.failed += _has_failed(entry)

    def rest(self) -> list[Any]:
        """Returns everything that is held back, at the end of a run that was stopped."""
        rest = [self._held[index] for index in sorted(self._held)]
        self._held.clear()
        return rest


def item_of(entry: Any) -> Item | None:
    """Returns the item that an entry of `InFlightItems.finished` is about; None if it is about none."""
    if type(entry) is tuple:
        item: Item = entry[0]
        return item
    if isinstance(entry, Completion):
        return entry.ticket.item
    return entry.item if isinstance(entry, Record) else None


def _has_failed(entry: Any) -> bool:
    if isinstance(entry, Completion):
        return error_of(entry.future) is not None or isinstance(entry.future.result(), NotEncodable)
    return isinstance(entry, Record) and entry.error is not None
