"""A value in memory that the children of this process can reach.

The memory is a file without a name, which a child opens through ``/proc`` as a descriptor of this process: so whatever ends
this process leaves nothing behind. Where there is no such way, it is a temporary file with a name.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from tasker.process.protocol.pickling import pack_named
from tasker.process.protocol.shared_memory import file_in_memory, write_parts
from tasker.process.protocol.shared_values import value_of
from tasker.process.protocol.wire import view_of
from tasker.remote.sharing import Key, Shared, described

T = TypeVar("T")
_DESCRIPTORS = Path("/proc/self/fd")


class _Unnamed:
    """A file in memory. Implements ``Place``."""

    def __init__(self, views: list[memoryview]) -> None:
        self._sizes = tuple(view.nbytes for view in views)
        self._fd = self._filled(views)
        found = os.fstat(self._fd)
        self._identity = found.st_dev, found.st_ino

    def _filled(self, views: list[memoryview]) -> int:
        return file_in_memory(views)

    def _path(self) -> str:
        # Of this process, not of the one that has made it: a fork has it as well.
        return f"/proc/{os.getpid()}/fd/{self._fd}"

    def recipe(self, key: Key) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """See ``Place``."""
        return value_of, (key, self._path(), self._identity, self._sizes)

    def release(self) -> None:
        """See ``Place``. Once."""
        os.close(self._fd)


class _Named(_Unnamed):
    """A temporary file. Implements ``Place``."""

    def _filled(self, views: list[memoryview]) -> int:
        self._file: Any = tempfile.NamedTemporaryFile(prefix="tasker-")  # noqa: SIM115  until it is released
        write_parts(self._file.fileno(), views)
        return int(self._file.fileno())

    def _path(self) -> str:
        return str(self._file.name)

    def release(self) -> None:
        """See ``Place``."""
        self._file.close()


def share(value: T) -> Shared[T]:
    """See ``ProcessBackend.share``."""
    what = described(value)
    kind = _Unnamed if _DESCRIPTORS.exists() else _Named
    return Shared(what, kind([*map(view_of, pack_named(value, what))]))
