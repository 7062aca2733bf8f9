"""The files that a run writes: locked, and written line by line."""

from __future__ import annotations

import errno
import importlib.util
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from tasker.cli.compression import codec_of
from tasker.cli.exit_codes import UsageError
from tasker.cli.sources import FileId, file_id

CAN_LOCK = importlib.util.find_spec("fcntl") is not None  # not on Windows, where a second run goes unnoticed


class OutputError(Exception):
    """A line could not be written."""

    def __init__(self, name: str, error: OSError, written: int = 0) -> None:
        super().__init__(f"cannot write to {name}: {error.strerror or error}")
        self.written: int = written
        """How many of the lines were written."""
        self.broken_pipe: bool = isinstance(error, BrokenPipeError)


class LineFile:
    """An open file to which whole lines are appended."""

    def __init__(self, fd: int, name: str, path: str | None = None, is_new: bool = False) -> None:
        self.name = name
        self.path: str = path or name  # absolute, as the job may change the working directory
        self.fd = fd
        self.was_replaced: bool = False
        self.position: int = 0
        """How many of its bytes `lines` has read."""
        self._is_new = is_new
        status = os.fstat(fd)
        self.is_regular: bool = stat.S_ISREG(status.st_mode)
        self.id: FileId = file_id(status)
        self._end = status.st_size if self.is_regular else 0

    @property
    def size(self) -> int:
        """How many bytes it holds; 0 if it is not a regular file."""
        return self._end

    def write(self, lines: bytes) -> None:
        """Appends lines. Raises OutputError if that fails; the file then holds as many of them as it could take, and no part
        of a line."""
        # Straight to the operating system, without a buffer: lines survive a SIGKILL of this process.
        done = 0
        try:
            while done < len(lines):
                done += os.write(self.fd, memoryview(lines)[done:])
        except OSError as error:
            # Otherwise the next line would follow on a part of one.
            whole = self._whole(lines[:done])
            self.truncate(self._end + whole)
            raise OutputError(self.name, error, lines.count(b"\n", 0, whole)) from error
        self._end += done

    def flush(self) -> None:
        """Writes what was appended and not written yet. Raises OutputError if that fails."""

    def _whole(self, written: bytes) -> int:
        """Returns how much of what could be written is to stay."""
        return written.rfind(b"\n") + 1

    def lines(self, *, mend: bool = False) -> Iterator[bytes]:
        """Yields the lines that are whole. `mend`: then cuts off what is not. Raises UsageError if it cannot be read."""
        self.position = 0
        with open(self.path, "rb") as stream:
            for line in stream:
                if not line.endswith(b"\n"):
                    if mend:
                        self.truncate(self.position)
                    return
                self.position += len(line)
                yield line

    def packed(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """Returns what a file of these lines holds, part by part."""
        return iter(lines)

    def truncate(self, end: int) -> None:
        """Removes everything behind `end`, if this is a regular file."""
        if self.is_regular:
            with suppress(OSError):
                os.ftruncate(self.fd, end)
                self._end = end

    def discard(self) -> None:
        """Closes the file, and removes it if it was created by being opened here."""
        with suppress(OSError):
            if self._is_new and not os.fstat(self.fd).st_size:
                os.unlink(self.path)
        with suppress(OSError):
            os.close(self.fd)

    def close(self) -> None:
        """Closes the file. Raises OutputError for an error that the system reports only now."""
        try:
            # A full network disk, for example, may be reported by fsync or by close.
            if self.is_regular:
                os.fsync(self.fd)
                if not self.was_replaced and not os.fstat(self.fd).st_nlink:
                    raise FileNotFoundError(errno.ENOENT, "it was removed during the run, with its results")
            os.close(self.fd)
        except OSError as error:
            raise OutputError(self.name, error) from error


def open_lines(path: str) -> LineFile:
    """Opens a file for appending and locks it. Raises UsageError if either fails."""
    codec_of(path)  # before anything is created
    is_new = not os.path.lexists(path)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
    try:
        fd = os.open(path, flags, 0o666)
    except OSError as error:
        raise UsageError(f"cannot write to {path}: {error.strerror}") from None
    file = line_file(path, fd, is_new=is_new)
    if file.is_regular:
        _lock(fd, path)
    return file


def line_file(path: str, fd: int, *, is_new: bool = False) -> LineFile:
    """Returns a file that is open, as its name says that it is written. Raises UsageError if that needs a package."""
    codec = codec_of(path)
    if codec is None:
        return LineFile(fd, path, os.path.abspath(path), is_new)
    from .compressed_output import CompressedLineFile  # not at the top: it derives from the class here

    file = CompressedLineFile(fd, path, os.path.abspath(path), is_new)
    file.codec = codec
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


def check_fresh(file: LineFile, option: str) -> None:
    """Raises UsageError unless a file is empty. `option` is the one that names the file, for the message."""
    size = os.fstat(file.fd).st_size if file.is_regular else 0
    if size:
        way = "--resume goes on with it, --overwrite" if option == "--output" else "--overwrite"
        raise UsageError(f"{option} {file.name} already holds {size:,} bytes; {way} starts anew")


def _check_writable(fd: int) -> None:
    """Raises OSError if a descriptor is not open for writing."""
    try:
        os.write(fd, b"")
    except OSError as error:
        # Anything else, such as a full disk, is reported when a result is written.
        if error.errno == errno.EBADF:
            raise


def claim_stdout() -> LineFile:
    """Returns standard output, for result lines alone. From here on, descriptor 1 is standard error."""
    # Not just `sys.stdout`: programs that the job starts also print, and would print between the results.
    try:
        _check_writable(1)
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
