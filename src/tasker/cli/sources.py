"""Readers of inputs: lines, file names; for others see `csv_source` and `parquet`. All are lazy.

Files are read as bytes and decoded line by line, so that a line that is not UTF-8 fails one item
instead of the run, and so that --failed can write exactly the bytes that were read.
"""

from __future__ import annotations

import codecs
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, BinaryIO, NamedTuple

from tasker.cli.exit_codes import UsageError

from .compression import codec_of
from .descriptors import standard_input
from .globbing import matching_files
from .scarce import opened

LONGEST_LINE = 1 << 30
_CHUNK = 1 << 16
_SPECIAL = bytes((*range(0x20), *b'"\\'))
"""The bytes that JSON escapes."""


Place = str | tuple[str, int]
"""Where an item comes from: in words, or the name of its file and the number of its line, which few messages need in words."""


def in_words(place: Place) -> str:
    """Returns a place as messages name it."""
    return place if isinstance(place, str) else f"{place[0]} line {place[1]}"


class RawItem(NamedTuple):
    """One item as a source yields it: a value, or the reason why there is none."""

    value: Any
    raw: bytes  # in the source's own format, without the end of line: for --failed
    where: Place
    problem: str | None = None


FileId = tuple[int, int]
"""What distinguishes a file from all others: its device and its number there."""


def file_id(status: os.stat_result) -> FileId:
    """Returns the identity of a file."""
    return status.st_dev, status.st_ino


class Source(ABC):
    """One input. A subclass has to define `items`; the rest describes an input of unknown length."""

    is_done: Callable[[bytes], bool] | None = None
    """Returns whether the next item has a result already, if this is its JSON; None: that is not of interest. A source that
    knows the JSON without reading the item may ask, and yield None in place of the item."""

    @property
    def name(self) -> str:
        """What messages call this input."""
        return "an input"

    @property
    def is_empty(self) -> bool:
        """Whether the input was named by a pattern that nothing matches."""
        return False

    def open(self) -> None:  # noqa: B027 - only those have to that keep a file open
        """Opens the file that `items` reads, while there are descriptors left. One that cannot be opened, or whose opening may
        block, is left to `items`."""

    def find(self, files: Container[FileId]) -> FileId | None:
        """Returns one of `files` that this input reads; None if it reads none of them."""
        return None

    @property
    def size(self) -> int | None:
        """The input's length in bytes; None when only reading would show it."""
        return None

    @property
    def position(self) -> int:
        """How many bytes have been read."""
        return 0

    @property
    def header(self) -> bytes:
        """What a file of this format begins with; known once the first item has been read."""
        return b""

    @property
    def end(self) -> bytes:
        """What ends an item in a file of this format."""
        return b"\n"

    @abstractmethod
    def items(self) -> Iterator[RawItem | None]:
        """Yields the items. Raises UsageError or OSError where reading cannot go on."""


class FileSource(Source):
    """A source that reads the lines of one file or of standard input.

    Raises UsageError if it is clear already that the file cannot be read.
    """

    def __init__(self, path: str) -> None:
        self._lines = ByteLines(path)
        self._path = path

    @property
    def name(self) -> str:
        return self._lines.name

    def open(self) -> None:
        self._lines.open()

    def find(self, files: Container[FileId]) -> FileId | None:
        found = file_id(os.fstat(standard_input()) if self._path == "-" else os.stat(self._path))
        return found if found in files else None

    @property
    def size(self) -> int | None:
        return self._lines.size

    @property
    def position(self) -> int:
        return self._lines.position


class ByteLines:
    """The lines of a file or of standard input, numbered from 1, with the bytes counted."""

    def __init__(self, path: str) -> None:
        self.name: str = "standard input" if path == "-" else path
        self.number: int = 0
        self.position: int = 0
        self.size: int | None = _size_of(path)
        self._path = path if path == "-" else os.path.abspath(path)  # now: the job may change the working directory
        self._opened: BinaryIO | None = None

    def open(self) -> None:
        """See `Source.open`."""
        with suppress(OSError):
            if self._path != "-" and os.path.isfile(self._path):  # a named pipe would wait for its writer
                self._opened = _open(self._path)

    def _stream(self) -> BinaryIO:
        stream, self._opened = self._opened, None
        return opened(lambda: _open(self._path)) if stream is None else stream

    def __iter__(self) -> Iterator[bytes]:
        with self._stream() as stream:
            # With a limit: a device without line ends, such as /dev/zero, would fill the memory.
            for line in iter(partial(stream.readline, LONGEST_LINE), b""):
                self.number += 1
                if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                    raise UsageError(f"{self.name} line {self.number}: no end of line within {LONGEST_LINE:,} bytes")
                self.position += len(line)
                yield line.removeprefix(codecs.BOM_UTF8) if self.number == 1 else line

    def split(self, delimiter: bytes) -> Iterator[bytes]:
        """Yields what is between delimiters, as soon as it is there."""
        with self._stream() as stream:
            read = getattr(stream, "read1", stream.read)
            rest = b""
            while True:  # docs/decisions/0043
                # More and more, so that a long item is not copied too often.
                if not (chunk := read(max(_CHUNK, len(rest)))):
                    break
                self.position += len(chunk)
                # From where a delimiter may have begun: the rest may be long, and is not searched again.
                start = max(0, len(rest) - len(delimiter) + 1)
                rest += chunk
                if rest.find(delimiter, start) < 0:
                    if len(rest) > LONGEST_LINE:
                        raise UsageError(f"{self.name}: no {delimiter!r} within {LONGEST_LINE:,} bytes")
                    continue
                *whole, rest = rest.split(delimiter)
                yield from whole
            if rest:
                yield rest


def _size_of(path: str) -> int | None:
    """Returns the number of bytes still to be read. Raises UsageError if the file cannot be read."""
    try:
        if path == "-":
            os.read(standard_input(), 0)  # raises if it is not open for reading
        status = os.fstat(standard_input()) if path == "-" else os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise UsageError(f"{path}: is a directory; use --files '{path.rstrip('/')}/**'")
        if not stat.S_ISREG(status.st_mode):
            # Not opened to see whether it can be read: a named pipe that is opened twice loses data.
            return None
        if path == "-":
            # The shell may have read a part of the file before it handed over the descriptor.
            return max(0, status.st_size - os.lseek(standard_input(), 0, os.SEEK_CUR))
        with open(path, "rb"):
            return None if codec_of(path) is not None else status.st_size
    except OSError as error:
        raise UsageError(f"cannot read {'standard input' if path == '-' else path}: {error.strerror}") from None


def _open(path: str) -> BinaryIO:
    # Not sys.stdin: the submitter thread may be blocked in a read when the interpreter exits, and
    # Python aborts if the lock of its own standard stream is held then.
    if path == "-":
        return open(standard_input(), "rb", closefd=False)
    codec = codec_of(path)
    if codec is not None:
        return codec.open(path)
    return open(path, "rb")


def text_as_json(text: bytes) -> bytes | None:
    """Returns the JSON of a text; None if that is not the text itself in quotes. (These may be the JSON of another one.)"""
    return b'"%s"' % text if len(text.translate(None, _SPECIAL)) == len(text) else None


class LineSource(FileSource):
    """One item a line. Blank lines are skipped.

    `parse` turns a line into the item's value; its ValueError or RecursionError fails the item.
    """

    def __init__(
        self, path: str, parse: Callable[[str], Any], as_json: Callable[[bytes], bytes | None] | None = None
    ) -> None:
        """`as_json`: returns the JSON of a line's item, or None where only `parse` tells. Without it, `parse` is needed for every line."""
        super().__init__(path)
        self._parse = parse
        self._as_json = as_json

    def items(self) -> Iterator[RawItem | None]:
        lines, name, parse, as_json = self._lines, self._lines.name, self._parse, self._as_json
        is_done = self.is_done
        for line in lines:
            raw = line.rstrip(b"\r\n")
            if raw and not raw.isspace():
                if is_done is not None and as_json is not None:
                    json = as_json(raw)
                    if json is not None and is_done(json):
                        yield None
                        continue
                try:
                    item = RawItem(parse(raw.decode()), raw, (name, lines.number))
                except (ValueError, RecursionError) as error:
                    item = RawItem(None, raw, (name, lines.number), reason_of(error))
                yield item


class DelimitedSource(FileSource):
    """One item a text that ends with a delimiter, or at the end of the file. Empty ones are skipped."""

    def __init__(self, path: str, delimiter: bytes) -> None:
        super().__init__(path)
        self._delimiter = delimiter

    @property
    def end(self) -> bytes:
        return self._delimiter

    def items(self) -> Iterator[RawItem | None]:
        name, is_done = self._lines.name, self.is_done
        for number, raw in enumerate(self._lines.split(self._delimiter), 1):
            if not raw:
                continue
            if is_done is not None and (json := text_as_json(raw)) is not None and is_done(json):
                yield None
                continue
            where = f"{name} item {number}"
            try:
                item = RawItem(raw.decode(), raw, where)
            except ValueError as error:
                item = RawItem(None, raw, where, reason_of(error))
            yield item


def reason_of(error: Exception) -> str:
    """Returns what is wrong with an item."""
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start + 1} (0x{error.object[error.start]:02x}) is not UTF-8"
    return str(error)


class GlobSource(Source):
    """One item a file: its path. How many there are is unknown until all of them have been found."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._expanded = os.path.expanduser(pattern)
        # Now: the job may change the working directory.
        try:
            self._folder = "" if os.path.isabs(self._expanded) else os.getcwd()
        except OSError as error:
            raise UsageError(f"--files {pattern}: the working directory is gone: {error.strerror}") from None

    @property
    def name(self) -> str:
        return f"--files {self._pattern}"

    @property
    def is_empty(self) -> bool:
        return next(matching_files(self._expanded, self._folder), None) is None

    def find(self, files: Container[FileId]) -> FileId | None:
        for path in matching_files(self._expanded, self._folder):
            with suppress(OSError):  # removed meanwhile
                found = file_id(os.stat(os.path.join(self._folder, path)))
                if found in files:
                    return found
        return None

    def items(self) -> Iterator[RawItem | None]:
        for path in matching_files(self._expanded, self._folder):
            yield RawItem(path, os.fsencode(path), path)
