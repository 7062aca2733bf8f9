"""What an output already holds, by index: four bytes for what is done, four for how many lines.

Not a dict: ten million finished items must fit into memory. The arrays are paged, so a line with
an absurd index costs one page and not the whole range below it.
"""

from __future__ import annotations

from array import array

_PAGE = 1024
_ZEROS = array("I", [0]) * _PAGE


class PagedNumbers:
    """Unsigned 32-bit numbers by index, all 0 at first."""

    def __init__(self) -> None:
        self._pages: dict[int, array[int]] = {}

    def __getitem__(self, index: int) -> int:
        page = self._pages.get(index // _PAGE)
        return page[index % _PAGE] if page is not None else 0

    def __setitem__(self, index: int, value: int) -> None:
        page = self._pages.get(index // _PAGE)
        if page is None:
            page = self._pages[index // _PAGE] = _ZEROS[:]
        page[index % _PAGE] = value


class ResumeLedger:
    """Which items have a line, how many, and the fingerprint of the input of those done."""

    def __init__(self) -> None:
        self._done = PagedNumbers()
        self._lines = PagedNumbers()
        self.highest: int = -1
        self.superseded: int = 0

    def note(self, index: int, done_fingerprint: int) -> None:
        """A line of the output, in its order; the fingerprint is 0 when the item is not done."""
        before = self._lines[index]
        self._lines[index] = before + 1
        self._done[index] = done_fingerprint
        self.superseded += bool(before)
        self.highest = max(self.highest, index)

    def is_done(self, index: int, fingerprint: int) -> bool:
        """Whether the item's last line says done, for this very input."""
        return self._done[index] == fingerprint

    def consume_line(self, index: int) -> bool:
        """Asked once for each line, in the order of the file: whether none of its index follows."""
        left = self._lines[index] - 1
        self._lines[index] = left
        return left == 0
