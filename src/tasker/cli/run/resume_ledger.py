"""What an output already holds, item by item."""

from __future__ import annotations

from array import array

_PAGE = 1024
_ZEROS = array("I", [0]) * _PAGE


class PagedNumbers:
    """Unsigned 32-bit numbers by index, all 0 at first.

    Not a dict: ten million finished items must fit into memory, at four bytes each.
    """

    def __init__(self) -> None:
        # Paged, so that a line with an absurd index costs one page and not the whole range below it.
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
    """Which items have lines in the output, how many, and the fingerprints of the inputs of those that are done."""

    def __init__(self) -> None:
        self._done = PagedNumbers()
        self._lines = PagedNumbers()
        self.highest: int = -1
        self.superseded: int = 0

    def add_line(self, index: int, done_fingerprint: int) -> None:
        """Adds the next line of the output; `done_fingerprint` is 0 if the item is not done."""
        before = self._lines[index]
        self._lines[index] = before + 1
        self._done[index] = done_fingerprint
        self.superseded += bool(before)
        self.highest = max(self.highest, index)

    def is_done(self, index: int, fingerprint: int) -> bool:
        """Returns whether the item's last line says done, for this very input."""
        return self._done[index] == fingerprint

    def count_off_line(self, index: int) -> bool:
        """Counts off one line of an item, and returns whether it was its last.

        To be called once for each line, in the order of the file.
        """
        left = self._lines[index] - 1
        self._lines[index] = left
        return left == 0
