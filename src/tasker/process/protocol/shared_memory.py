"""Files in memory without a name: how large parts of a message get to the other side with one copy.

Each part begins on a page of its own and is mapped for itself, so that it can be released by itself.
"""

from __future__ import annotations

import mmap
import os
import resource
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar

_End = TypeVar("_End")
_PAGE = mmap.ALLOCATIONGRANULARITY
_KEEPS_NONE: dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}
"""Arguments of a mapping that keeps no descriptor. Before Python 3.13 each keeps one for as long as it lives."""


def file_in_memory(parts: Iterable[memoryview]) -> int:
    """Makes a file that holds these, each from the beginning of a page on; returns its descriptor."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("tasker", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    try:
        write_parts(fd, parts)
    except BaseException:
        os.close(fd)
        raise
    return fd


def write_parts(fd: int, parts: Iterable[memoryview]) -> None:
    """Writes these into a file, each from the beginning of a page on."""
    at = 0
    for part in parts:
        written = 0
        while written < part.nbytes:
            written += os.pwrite(fd, part[written:], at + written)
        at = _after(at, part.nbytes)


def content_of(fd: int, sizes: Sequence[int]) -> list[memoryview | bytes]:
    """Returns what such a file holds, writable and not shared. The descriptor can be closed then."""
    at = 0
    parts: list[memoryview | bytes] = []
    for size in sizes:
        if not size:
            parts.append(b"")
        elif _KEEPS_NONE or not _scarce(fd):
            # Private: a fork of this process gets a copy of its own, as of all other memory.
            parts.append(memoryview(mmap.mmap(fd, size, flags=mmap.MAP_PRIVATE, offset=at, **_KEEPS_NONE)))
        else:  # one copy more, and no descriptor kept
            parts.append(_read(fd, at, size))
        at = _after(at, size)
    return parts


def shared_content_of(fd: int, sizes: Sequence[int]) -> list[memoryview]:
    """Returns what such a file holds, read-only: the memory of the file itself. The descriptor can be closed then."""
    at = 0
    parts: list[memoryview] = []
    for size in sizes:
        parts.append(memoryview(mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_READ, offset=at, **_KEEPS_NONE)))
        at = _after(at, size)
    return parts


def closed_with(stack: ExitStack, pair: tuple[_End, _End], close: Callable[[_End], object]) -> tuple[_End, _End]:
    """Returns the pair, whose ends are closed with the stack: of several pairs all are made, or none."""
    for end in pair:
        stack.callback(close, end)
    return pair


def _after(at: int, size: int) -> int:
    return at + -(-size // _PAGE) * _PAGE


def _scarce(fd: int) -> bool:
    """Returns whether half of the descriptors are in use: a new one has the lowest number that is free."""
    try:
        probe = os.dup(fd)
    except OSError:
        return True
    os.close(probe)
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most != resource.RLIM_INFINITY and 2 * probe >= most


def _read(fd: int, at: int, size: int) -> memoryview:
    content = memoryview(bytearray(size))
    read = 0
    while read < size:
        piece = os.pread(fd, min(size - read, 1 << 24), at + read)
        content[read : read + len(piece)] = piece
        read += len(piece)
    return content
