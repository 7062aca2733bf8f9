"""The files of a run: opened late, locked, written line by line.

One line is one `write` to the operating system, with no buffer of ours in between: what was
written survives a SIGKILL, and the file never holds half a line followed by another.
"""

from __future__ import annotations

import importlib.util
import os
import stat
from contextlib import suppress
from pathlib import Path

from tasker.cli.exit_codes import UsageError

CAN_LOCK = importlib.util.find_spec("fcntl") is not None  # Windows: a second run goes unnoticed


class OutputError(Exception):
    """A line could not be written. Everything before it was."""

    def __init__(self, name: str, error: OSError) -> None:
        super().__init__(f"cannot write to {name}: {error.strerror or error}")
        self.broken_pipe: bool = isinstance(error, BrokenPipeError)


class LineFile:
    """An open file that takes whole lines."""

    def __init__(self, fd: int, name: str) -> None:
        self.name = name
        self.fd = fd
        status = os.fstat(fd)
        self.is_regular: bool = stat.S_ISREG(status.st_mode)
        self._end = status.st_size if self.is_regular else 0

    def write(self, line: bytes) -> None:
        """Write one line; OutputError, with nothing of the line left, when that fails."""
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(self.fd, rest) :]
        except OSError as error:
            self.truncate(self._end)
            raise OutputError(self.name, error) from error
        self._end += len(line)

    def truncate(self, end: int) -> None:
        """Drop what is behind `end`, in a file that can be cut."""
        if self.is_regular:
            with suppress(OSError):
                os.ftruncate(self.fd, end)
                self._end = end

    def close(self) -> None:
        """Close; an error that the system kept until now (a full network disk) is an OutputError."""
        try:
            if self.is_regular:
                os.fsync(self.fd)
            os.close(self.fd)
        except OSError as error:
            raise OutputError(self.name, error) from error


def open_lines(path: str) -> LineFile:
    """Open a file for appending and lock it; UsageError when it cannot be."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
    try:
        fd = os.open(path, flags, 0o666)
    except OSError as error:
        raise UsageError(f"cannot write to {path}: {error.strerror}") from None
    file = LineFile(fd, path)
    if file.is_regular:
        _lock(fd, path)
    return file


def _lock(fd: int, name: str) -> None:
    """Keep a second run out of the file for as long as it is open here."""
    if not CAN_LOCK:
        return
    import fcntl

    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(fd), os.stat(name)):
            raise BlockingIOError  # replaced by a run that was tidying it, and ended just now
    except BlockingIOError:
        os.close(fd)
        raise UsageError(f"{name}: another run is writing to it") from None
    except OSError:
        return  # a file system without locks


def open_fresh(path: str, option: str, overwrite: bool) -> LineFile:
    """Open a file that must be empty, unless it may be overwritten."""
    file = open_lines(path)
    size = os.fstat(file.fd).st_size if file.is_regular else 0
    if size and not overwrite:
        file.close()
        way = "--resume goes on with it, --overwrite" if option == "--output" else "--overwrite"
        raise UsageError(f"{option} {path} already holds {size:,} bytes; {way} starts anew")
    file.truncate(0)
    return file


def claim_stdout() -> LineFile:
    """Standard output for result lines alone.

    What the job prints, or a program that it starts, would end up between the results: from here
    on it goes to standard error.
    """
    try:
        results = os.dup(1)
        os.dup2(2, 1)
    except OSError as error:
        raise UsageError(f"cannot write to standard output: {error.strerror}") from None
    return LineFile(results, "standard output")


def check_distinct(outputs: dict[str, str | None], inputs: tuple[str, ...]) -> None:
    """Refuse to write over what is being read, or two things into one file."""
    seen = {path: "an input" for path in inputs if path != "-"}
    for option, path in outputs.items():
        if path is None:
            continue
        for other, role in seen.items():
            if _same(path, other):
                raise UsageError(f"{option} {path} is also {role}")
        seen[path] = option


def _same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other) and Path(one).is_file()
    except OSError:
        return os.path.abspath(one) == os.path.abspath(other)
