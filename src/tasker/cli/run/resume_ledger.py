"""What an output already holds, item by item."""

from __future__ import annotations

from array import array

_DONE = 1
_CURRENT = 2
_LINE = 4

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
        self.page(index)[index % _PAGE] = value

    def find(self, index: int) -> array[int] | None:
        """Returns the page that holds an index, if there is one."""
        return self._pages.get(index // _PAGE)

    def page(self, index: int) -> array[int]:
        """Returns the page that holds an index."""
        page = self._pages.get(index // _PAGE)
        if page is None:
            page = self._pages[index // _PAGE] = _ZEROS[:]
        return page


class ResumeLedger:
    """Which items an output has lines of: how many, whether the last one says done, and whether the inputs hold the item.

    An item is an index together with the fingerprint of the input there. One index has several of them if the inputs
    changed between two runs.

    The submitter's thread calls `check_off`, and the main thread everything else.
    """

    def __init__(self) -> None:
        # An item's state: the number of its lines, times _LINE, plus the flags. Eight bytes for the first item of an
        # index, and a dict for the few that have the index of another one.
        self._first = PagedNumbers()
        self._states = PagedNumbers()
        self._others: dict[int, int] = {}
        self.superseded: int = 0
        """Lines before the last one of their item."""
        self.unmatched: int = 0
        """Items that the inputs do not hold, as far as they have been read."""
        self.other_file: int = 0
        """Lines that say done, and that another version of the job file made."""
        self.other_settings: int = 0
        """The same, with other values of --set."""

    def load_line(self, index: int, fingerprint: int, is_done: bool) -> None:
        """Adds the next line that the output holds already."""
        page, place = self._first.page(index), index % _PAGE
        if page[place] == 0:  # the first line of its index, as most are: in one step
            page[place] = fingerprint
            self._states.page(index)[place] = _LINE | _DONE if is_done else _LINE
            self.unmatched += 1
            return
        # Here, and not in `_add`: the submitter's thread counts down while `add_line` is called.
        self.unmatched += not self._state(index, fingerprint)
        self._add(index, fingerprint, _DONE if is_done else 0)

    def add_line(self, index: int, fingerprint: int, is_done: bool) -> None:
        """Adds a line that this run has written."""
        self._add(index, fingerprint, _CURRENT | (_DONE if is_done else 0))

    def _add(self, index: int, fingerprint: int, flags: int) -> None:
        before = self._state(index, fingerprint)
        self.superseded += bool(before)
        self._set_state(index, fingerprint, (before & ~_DONE | flags) + _LINE)

    def check_off(self, index: int, fingerprint: int) -> bool:
        """Notes that the inputs hold an item. Returns whether its last line says done."""
        page, place = self._first.find(index), index % _PAGE
        if page is not None and page[place] == fingerprint:  # as for most items: in one step
            states = self._states.page(index)
            state = states[place]
            if not state & _CURRENT:
                states[place] = state | _CURRENT
                self.unmatched -= 1
            return bool(state & _DONE)
        state = self._state(index, fingerprint)
        # Only an item that is there is written to: a new page could collide with one that the main thread adds.
        if state and not state & _CURRENT:
            self._set_state(index, fingerprint, state | _CURRENT)
            self.unmatched -= 1
        return bool(state & _DONE)

    def count_off_line(self, index: int, fingerprint: int) -> bool:
        """Counts off one line of an item, and returns whether it was its last.

        To be called once for each line, in the order of the file.
        """
        state = self._state(index, fingerprint)
        self._set_state(index, fingerprint, state - _LINE)
        return state < 2 * _LINE

    def is_current(self, index: int, fingerprint: int) -> bool:
        """Returns whether the inputs hold an item, as far as they have been read."""
        return bool(self._state(index, fingerprint) & _CURRENT)

    def _state(self, index: int, fingerprint: int) -> int:
        if self._first[index] == fingerprint:
            return self._states[index]
        return self._others.get(index << 32 | fingerprint, 0)

    def _set_state(self, index: int, fingerprint: int, state: int) -> None:
        if self._first[index] == 0:
            self._first[index] = fingerprint
        if self._first[index] == fingerprint:
            self._states[index] = state
        else:
            self._others[index << 32 | fingerprint] = state
