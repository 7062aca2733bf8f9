"""Sources of entries: lines, JSON lines, CSV with a header, file names. All are lazy.

Files are read as bytes and decoded line by line, so that one line that is not UTF-8 spoils
one item and not the run, and so that --failed can give back exactly what came in.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
import stat
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

from tasker.cli.exit_codes import UsageError
from tasker.cli.globbing import matching_files

from . import strict_json

# A quote that is never closed would swallow the rest of the file: the reader gives up here.
LONGEST_CSV_FIELD = 1 << 20


class RawItem(NamedTuple):
    """What a source yields: a value, or the reason why there is none."""

    value: Any
    raw: bytes  # in the source's own format, without the end of line: for --failed
    where: str
    problem: str | None = None


class Source(Protocol):
    """One input. `size` is None when it is not known without reading."""

    @property
    def format(self) -> str: ...
    @property
    def size(self) -> int | None: ...
    @property
    def position(self) -> int: ...
    def entries(self) -> Iterator[RawItem]: ...


class ByteLines:
    """The lines of a file or of standard input, numbered from 1, with the bytes counted."""

    def __init__(self, path: str) -> None:
        self.name: str = "standard input" if path == "-" else path
        self.number: int = 0
        self.position: int = 0
        self._path = path
        self.size: int | None = _size_of(path)

    def __iter__(self) -> Iterator[bytes]:
        with _open(self._path) as stream:
            for line in stream:
                self.number += 1
                self.position += len(line)
                yield line.removeprefix(codecs.BOM_UTF8) if self.number == 1 else line


def _size_of(path: str) -> int | None:
    """Bytes still to be read; UsageError when it is clear already that it cannot be read."""
    try:
        status = os.fstat(0) if path == "-" else os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise UsageError(f"{path}: is a directory; use --files '{path.rstrip('/')}/**'")
        if not stat.S_ISREG(status.st_mode):
            return None  # never opened twice: a named pipe would lose what is in it
        if path == "-":
            return max(0, status.st_size - os.lseek(0, 0, os.SEEK_CUR))
        with open(path, "rb"):
            return status.st_size
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None


def _open(path: str) -> io.BufferedReader:
    # Not sys.stdin: the feeder may sit in a read when the interpreter ends, and Python aborts
    # when it finds the lock of its own standard stream held.
    return open(0, "rb", closefd=False) if path == "-" else open(path, "rb")


class LineSource:
    """One item a line. Blank lines are skipped."""

    def __init__(self, path: str, format: str, parse: Callable[[str], Any]) -> None:
        self.format = format
        self._lines = ByteLines(path)
        self._parse = parse

    @property
    def size(self) -> int | None:
        return self._lines.size

    @property
    def position(self) -> int:
        return self._lines.position

    def entries(self) -> Iterator[RawItem]:
        for line in self._lines:
            raw = line.rstrip(b"\r\n")
            if raw and not raw.isspace():
                yield self._entry(raw)

    def _entry(self, raw: bytes) -> RawItem:
        where = f"{self._lines.name} line {self._lines.number}"
        try:
            return RawItem(self._parse(raw.decode()), raw, where)
        except (ValueError, RecursionError) as error:
            return RawItem(None, raw, where, f"not {_KINDS[self.format]}: {_reason(error)}")


_KINDS = {"lines": "text", "jsonl": "JSON", "csv": "CSV"}


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start + 1} (0x{error.object[error.start]:02x}) is not UTF-8"
    return str(error)


class CsvSource:
    """One item a record: a dict with the names of the header, all values text."""

    format = "csv"

    def __init__(self, path: str) -> None:
        csv.field_size_limit(LONGEST_CSV_FIELD)
        self._lines = ByteLines(path)
        self._taken: list[bytes] = []
        self._header: list[str] = []
        self.raw_header: bytes = b""

    @property
    def size(self) -> int | None:
        return self._lines.size

    @property
    def position(self) -> int:
        return self._lines.position

    def entries(self) -> Iterator[RawItem]:
        reader = csv.reader(self._decoded(), strict=True)
        while True:
            self._taken.clear()
            start = self._lines.number + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield self._entry(start, [], str(error))
                continue
            if not self._header:
                self._take_header(row)
            elif row:
                yield self._entry(start, row, None)

    def _decoded(self) -> Iterator[str]:
        """Lines for the csv module. What is not UTF-8 is let through here and told later."""
        for line in self._lines:
            self._taken.append(line)
            yield line.decode(errors="surrogateescape")

    def _take_header(self, row: list[str]) -> None:
        if not row:
            return  # blank lines before the header
        twice = sorted({name for name in row if row.count(name) > 1})
        if twice:
            raise UsageError(f"{self._lines.name}: column {twice[0]!r} twice in the CSV header")
        self._header, self.raw_header = row, self._raw()

    def _entry(self, start: int, row: list[str], problem: str | None) -> RawItem:
        raw = self._raw()
        where = f"{self._lines.name} line {start}"
        if not self._header:
            raise UsageError(f"{where}: not a CSV header: {problem}")
        if problem is None and len(row) != len(self._header):
            problem = f"{len(row)} fields, but the header has {len(self._header)}"
        try:
            raw.decode()
        except UnicodeDecodeError as error:
            problem = _reason(error)
        if problem is not None:
            return RawItem(None, raw, where, f"not CSV: {problem}")
        return RawItem(dict(zip(self._header, row, strict=True)), raw, where)

    def _raw(self) -> bytes:
        return b"".join(self._taken).rstrip(b"\r\n")


class GlobSource:
    """One item a file: its path. How many there are is not known before they are found."""

    format = "files"
    size = None
    position = 0

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern

    def entries(self) -> Iterator[RawItem]:
        for path in matching_files(os.path.expanduser(self._pattern)):
            yield RawItem(path, os.fsencode(path), path)


def line_source(path: str, format: str) -> Source:
    """The source of a file in one of the formats."""
    if format == "csv":
        return CsvSource(path)
    return LineSource(path, format, strict_json.decode if format == "jsonl" else str)
