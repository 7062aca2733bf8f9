"""Memory and permits that this process shares with its children, so that a child can be sent many items at once and still
each of them has its own fate.

A *slot* serves one chunk of items at a time. It consists of

- a pipe of permits, one byte for each item. The child takes one out before it begins an item; whoever wants items back takes
  the rest out. So the kernel decides, at once and for good, whether an item begins here, even while the child is deep in C code.
- a journal in shared memory, to which the child adds the result of each item before it begins the next one. It outlives the
  child. So after a death it is known which items were done, and of those that have a permit no more at most one was not.

Nothing of this needs a system call for a result, and one for an item. Where the system has no files without a name, the files
are in a temporary folder.
"""

from __future__ import annotations

import mmap
import os
import shutil
import struct
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from typing import NamedTuple

JOURNAL_SIZE = 1 << 20
"""Bytes of a journal: those that are written to are the only ones that take memory."""
MOST_ITEMS = 1024
"""Items of a chunk at most: as many bytes fit into any pipe."""
MOST_OPEN = 4
"""Slots that a child keeps open."""

_ENTERED, _COUNT, _STARTED = range(3)
_HEADER_SIZE = 24
_RESULT = struct.Struct("<ddI")


class Address(NamedTuple):
    """Where a child finds a slot."""

    number: int
    permits: str
    journal: str
    offset: int


class SlotJournal:
    """A slot's journal, as both sides see it."""

    def __init__(self, fd: int, offset: int) -> None:
        """Maps a part of a file. ``OSError`` if that is not possible."""
        self.memory: mmap.mmap = mmap.mmap(fd, JOURNAL_SIZE, offset=offset)
        header = memoryview(self.memory)[:_HEADER_SIZE]
        # Each is written in one step.
        self.integers: memoryview[int] = header.cast("Q")
        self.floats: memoryview[float] = header.cast("d")
        header.release()

    def free(self) -> None:
        """Gives the memory back, which the file would keep: its place is not used again, since a child that is about to be killed
        may still write there."""
        with suppress(AttributeError, OSError):  # a system, or a file system, that cannot
            self.memory.madvise(mmap.MADV_REMOVE)

    def close(self) -> None:
        self.integers.release()
        self.floats.release()
        self.memory.close()


class Slot:
    """The parent's side. For one thread at a time."""

    def __init__(self, number: int, folder: str | None, journals: int, offset: int) -> None:
        """``journals``: the file of all journals. ``OSError`` if there are no descriptors left."""
        if folder is None:
            self._permits, permits = _pipe(), "/proc/{}/fd/{}"
            self.address: Address = Address(
                number,
                permits.format(os.getpid(), self._permits),
                permits.format(os.getpid(), journals),
                offset,
            )
        else:
            path = os.path.join(folder, str(number))
            os.mkfifo(path, 0o600)
            self._permits = os.open(path, os.O_RDWR | os.O_NONBLOCK)
            self.address = Address(number, path, os.path.join(folder, "journals"), offset)
        try:
            self._journal = SlotJournal(journals, offset)
        except BaseException:
            os.close(self._permits)
            raise

    def grant(self, items: int) -> None:
        """Begins a chunk of so many items."""
        self._journal.integers[_ENTERED] = self._journal.integers[_COUNT] = 0
        os.write(self._permits, bytes(items))
        self._end = _HEADER_SIZE

    def revoke(self) -> int:
        """Takes back the items that have not begun; returns how many they are."""
        try:
            return len(os.read(self._permits, MOST_ITEMS))
        except BlockingIOError:
            return 0

    @property
    def is_entered(self) -> bool:
        """Whether a child has begun with the chunk."""
        return bool(self._journal.integers[_ENTERED])

    @property
    def done(self) -> int:
        """How many items have a result in the journal."""
        return self._journal.integers[_COUNT]

    @property
    def started(self) -> float:
        """When the last item began, in seconds of ``time.monotonic``."""
        return self._journal.floats[_STARTED]

    def results(self, number: int) -> Iterator[tuple[float, float, str]]:
        """Yields the next results: when the item began, when it ended, and its JSON."""
        memory, end = self._journal.memory, self._end
        for _ in range(number):
            started, ended, size = _RESULT.unpack_from(memory, end)
            end += _RESULT.size
            yield started, ended, memory[end : end + size].decode()
            end += size
        self._end = end

    def close(self) -> None:
        """Closes it. No child uses it any more."""
        os.close(self._permits)
        self._journal.free()
        self._journal.close()


def _pipe() -> int:
    """Returns a descriptor for both ends of a new pipe."""
    ends = os.pipe()
    try:
        return os.open(f"/proc/self/fd/{ends[0]}", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    finally:
        for end in ends:
            os.close(end)


class Slots:
    """The slots of a run. For one thread at a time."""

    def __init__(self, *, named: bool | None = None) -> None:
        """``named``: whether to use files in a temporary folder; None: where nothing else is possible. ``OSError`` if there
        is neither memory nor a folder for them."""
        if named is None:
            named = not (hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"))
        self._folder = tempfile.mkdtemp(prefix="tasker-run-") if named else None
        if self._folder is None:
            self._journals = os.memfd_create("tasker-run", os.MFD_CLOEXEC)
        else:
            self._journals = os.open(os.path.join(self._folder, "journals"), os.O_RDWR | os.O_CREAT, 0o600)
        self._numbers = count()
        self._offsets = count(0, JOURNAL_SIZE)
        self._free: list[Slot] = []
        self._freed_offsets: list[int] = []
        self._is_closed = False

    def take(self) -> Slot:
        """Returns a free slot. ``OSError`` if there are no descriptors left for a new one."""
        if self._free:
            return self._free.pop()
        # A number is never used again: a child knows by it what it has open.
        offset = self._freed_offsets.pop() if self._freed_offsets else next(self._offsets)
        try:
            if os.fstat(self._journals).st_size < offset + JOURNAL_SIZE:
                os.ftruncate(self._journals, offset + JOURNAL_SIZE)
            return Slot(next(self._numbers), self._folder, self._journals, offset)
        except BaseException:
            self._freed_offsets.append(offset)
            raise

    def give_back(self, slot: Slot, *, again: bool) -> None:
        """Ends a chunk. ``again``: the child has ended it in an orderly way, so the slot can take another one."""
        if again and not self._is_closed:
            self._free.append(slot)
        else:
            slot.close()

    def close(self) -> None:
        """Frees everything that is not in use."""
        self._is_closed = True
        while self._free:
            self._free.pop().close()
        os.close(self._journals)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


class ChildSlot:
    """The child's side. For one thread."""

    def __init__(self, address: Address) -> None:
        """``OSError`` if it is not there any more."""
        self._permits = os.open(address.permits, os.O_RDONLY | os.O_NONBLOCK)
        try:
            fd = os.open(address.journal, os.O_RDWR)
            try:
                self._journal = SlotJournal(fd, address.offset)
            finally:
                os.close(fd)
        except BaseException:
            os.close(self._permits)
            raise

    def enter(self) -> None:
        """Begins the chunk."""
        self._end = _HEADER_SIZE
        self._journal.integers[_ENTERED] = 1

    def claim(self) -> bool:
        """Returns whether the next item may begin here."""
        try:
            return bool(os.read(self._permits, 1))
        except BlockingIOError:
            return False

    def begin(self, started: float) -> None:
        """Notes when the item that was claimed has begun."""
        self._journal.floats[_STARTED] = started

    def add(self, started: float, ended: float, text: bytes) -> bool:
        """Adds the result of the item that was claimed. Returns False if there is no room for it."""
        at = self._end + _RESULT.size
        end = at + len(text)
        if end > JOURNAL_SIZE:
            return False
        journal = self._journal
        _RESULT.pack_into(journal.memory, self._end, started, ended, len(text))
        journal.memory[at:end] = text
        self._end = end
        # Last: what is counted is whole, wherever this process ends.
        journal.integers[_COUNT] += 1
        return True

    def close(self) -> None:
        os.close(self._permits)
        self._journal.close()


_open: dict[int, ChildSlot] = {}


def slot_at(address: Address) -> ChildSlot:
    """Returns a slot in a child, which keeps a few of them open. For one thread."""
    slot = _open.pop(address.number, None)
    if slot is None:
        while len(_open) >= MOST_OPEN:
            _open.pop(next(iter(_open))).close()
        slot = ChildSlot(address)
    _open[address.number] = slot
    return slot
