"""Shared values, in a child: files in memory that it opens through the process that has made them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tasker.remote.sharing import CLOSED, Key

from .pickling import unpack
from .shared_memory import shared_content_of

_values: dict[Key, Any] = {}
"""Those that were found."""


def value_of(key: Key, path: str, identity: tuple[int, int], sizes: tuple[int, ...]) -> Any:
    """Returns a shared value, which is made again with the first call. ``LookupError`` if it was closed."""
    try:
        return _values[key]
    except KeyError:
        pass
    value = _found(path, identity, sizes)
    _values[key] = value
    # ``forget`` comes after the file was closed: either it comes later than this, or this finds the file closed.
    if not _is(path, identity):
        _values.pop(key, None)
    return value


def forget(key: Key) -> None:
    """Keeps a value no longer. From any thread."""
    _values.pop(key, None)


def _found(path: str, identity: tuple[int, int], sizes: tuple[int, ...]) -> Any:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise LookupError(CLOSED) from None
    try:
        if _identity(os.fstat(fd)) != identity:  # the number of its descriptor is another file's by now
            raise LookupError(CLOSED)
        parts = shared_content_of(fd, sizes)
    finally:
        os.close(fd)
    return unpack(parts)


def _is(path: str, identity: tuple[int, int]) -> bool:
    try:
        return _identity(Path(path).stat()) == identity
    except OSError:
        return False


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
