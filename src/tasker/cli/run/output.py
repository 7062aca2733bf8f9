"""The files that a run writes: locked, and written line by line."""

from __future__ import annotations

import importlib.util
import os
import stat
from contextlib import suppress
from pathlib import Path

from tasker.cli.exit_codes import UsageError

CAN_LOCK = importlib.util.find_spec("fcntl") is not None  # not on Windows, where a second run goes unnoticed


class OutputError(Exception):
    """A line could not be written. All lines before it were."""

    def __init__(self, name: str, error: OSError) -> None:
        super().__init__(f"cannot write to {name}: {error.strerror or error}")
        self.broken_pipe: bool = isinstance(error, BrokenPipeError)


class LineFile:
    """An open file to which whole lines are appended."""

    def __init__(self, fd: int, name: str) -> None:
        self.name = name
        self.fd = fd
        status = os.fstat(fd)
        self.is_regular: bool = stat.S_ISREG(status.st_mode)
        self._end = status.st_size if self.is_regular else 0

    def write(self, line: bytes) -> None:
        """Appends one line. Raises OutputError if that fails, with no part of the line left in the file."""
        # Straight to the operating system, without a buffer: lines survive a SIGKILL of this process.
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(self.fd, rest) :]
        except OSError as error:
            # Otherwise the next line would follow on half of this one.
            self.truncate(self._end)
            raise OutputError(self.name, error) from error
        self._end += len(line)

    def truncate(self, end: int) -> None:
        """Removes everything behind `end`, if this is a regular file."""
        if self.is_regular:
            with suppress(OSError):
                os.ftruncate(self.fd, end)
                self._end = end

    def close(self) -> None:
        """Closes the file. Raises OutputError for an error that the system reports only now."""
        try:
            # A full network disk, for example, may be reported by fsync or by close.
            if self.is_regular:
                os.fsync(self.fd)
            os.close(self.fd)
        except OSError as error:
            raise OutputError(self.name, error) from error


def open_lines(path: str) -> LineFile:
    """Opens a file for appending and locks it. Raises UsageError if either fails."""
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
    """Keeps other runs out of the file for as long as it is open here. Raises UsageError if it is locked already."""
    if not CAN_LOCK:
        return
    import fcntl

    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(fd), os.stat(name)):
            # The path leads to another file by now: a run has just compacted it, and ended.
            raise BlockingIOError
    except BlockingIOError:
        os.close(fd)
        raise UsageError(f"{name}: another run is writing to it") from None
    except OSError:
        return  # a file system without locks


def open_fresh(path: str, option: str, overwrite: bool) -> LineFile:
    """Opens a file that must be empty, or may be overwritten. Raises UsageError otherwise.

    `option` is the one that names the file, for the message.
    """
    file = open_lines(path)
    size = os.fstat(file.fd).st_size if file.is_regular else 0
    if size and not overwrite:
        file.close()
        way = "--resume goes on with it, --overwrite" if option == "--output" else "--overwrite"
        raise UsageError(f"{option} {path} already holds {size:,} bytes; {way} starts anew")
    file.truncate(0)
    return file


def claim_stdout() -> LineFile:
    """Returns standard output, for result lines alone. From here on, descriptor 1 is standard error."""
    # Not just `sys.stdout`: programs that the job starts also print, and would print between the results.
    try:
        results = os.dup(1)
        os.dup2(2, 1)
    except OSError as error:
        raise UsageError(f"cannot write to standard output: {error.strerror}") from None
    return LineFile(results, "standard output")


def check_distinct(outputs: dict[str, str | None], inputs: tuple[str, ...]) -> None:
    """Raises UsageError if a file is an input and an output, or two outputs. The keys of `outputs` are options."""
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
        # A device such as /dev/null may have two roles.
        return os.path.samefile(one, other) and Path(one).is_file()
    except OSError:  # one of them does not exist yet
        return os.path.abspath(one) == os.path.abspath(other)
