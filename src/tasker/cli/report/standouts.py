"""The items that took longest, and those that were tried most often."""

from __future__ import annotations

import heapq
from typing import Any

from tasker.cli import strict_json

from .lines import ResultLine

MOST = 25
_LONGEST_INPUT = 160


class Standouts:
    """The items with the greatest values; of equal ones, the first. For one thread."""

    def __init__(self, most: int = MOST) -> None:
        self.threshold: float = -1.0
        """Values up to this one are none of the greatest: the caller may compare before it calls."""
        self._heap: list[tuple[float, int, dict[str, Any]]] = []
        self._number = 0
        self._most = most

    def offer(self, value: float, line: ResultLine) -> None:
        """Takes an item."""
        if value <= self.threshold:
            return
        self._number -= 1  # later ones are less, and rows are never compared
        entry = (value, self._number, _row(line))
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heapreplace(self._heap, entry)
        if len(self._heap) == self._most:
            self.threshold = self._heap[0][0]

    def rows(self) -> list[dict[str, Any]]:
        """Returns the items, the greatest value first."""
        return [row for _, _, row in sorted(self._heap, key=lambda entry: entry[:2], reverse=True)]


def _row(line: ResultLine) -> dict[str, Any]:
    return {
        "index": line.index,
        "input": shown(line.input),
        "done": line.is_done,
        "attempts": line.attempts,
        "wait": line.wait,
        "execution": line.execution,
        "started": line.started,
        "worker": line.worker,
    }


def shown(value: Any) -> str:
    """Returns an input as a short text."""
    text = value if isinstance(value, str) else strict_json.encode(value)
    return text if len(text) <= _LONGEST_INPUT else f"{text[: _LONGEST_INPUT - 1]}…"
