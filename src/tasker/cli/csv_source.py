"""Inputs in CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from tasker.cli.exit_codes import UsageError

from .sources import FileSource, RawItem, in_words, reason_of

# A quote that is never closed would swallow the rest of the file: the reader gives up at this length (unless the job has set
# a higher limit).
LONGEST_CSV_FIELD = 1 << 20


def _undecodable(raw: bytes, place: str = "") -> str | None:
    """Returns what is not UTF-8 in `raw`; None if all of it is."""
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return place + reason_of(error)
    return None


def field_delimiter(delimiter: bytes) -> str:
    """Returns what separates the fields of CSV. Raises UsageError if it cannot."""
    if len(delimiter) != 1 or not delimiter.isascii() or delimiter in b'\r\n"\0':
        raise UsageError(f"--delimiter: fields of CSV are separated by one ASCII character, not {delimiter!r}")
    return delimiter.decode()


class CsvSource(FileSource):
    """One item a record: a dict with the names of the header, all values text."""

    def __init__(self, path: str, delimiter: str = ",") -> None:
        super().__init__(path)
        self._delimiter = delimiter
        # Of the whole process: the job may have asked for more.
        csv.field_size_limit(max(csv.field_size_limit(), LONGEST_CSV_FIELD))
        self._record_lines: list[bytes] = []
        self._names: list[str] = []
        self._header = b""
        self._header_problem: str | None = None

    @property
    def header(self) -> bytes:
        return self._header

    def items(self) -> Iterator[RawItem | None]:
        reader = csv.reader(self._decoded(), delimiter=self._delimiter, strict=True)
        while True:
            self._record_lines.clear()
            start = self._lines.number + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield self._item(start, [], str(error))
                continue
            if not self._names:
                self._take_header(row)
            elif row:
                yield self._item(start, row, None)

    def _decoded(self) -> Iterator[str]:
        """Yields lines for the csv module, and keeps the bytes of the record that is being read."""
        for line in self._lines:
            self._record_lines.append(line)
            # An exception here would end the csv reader, and with it all that follows. So bytes
            # that are not UTF-8 pass through, and `_item` fails the record that they are in.
            yield line.decode(errors="surrogateescape")

    def _take_header(self, row: list[str]) -> None:
        if not row:
            return  # blank lines before the header
        twice = sorted({name for name in row if row.count(name) > 1})
        if twice:
            raise UsageError(f"{self._lines.name}: column {twice[0]!r} twice in the CSV header")
        self._names, self._header = row, self._raw()
        # Fails each of its records, and not the run: there may be other inputs.
        self._header_problem = _undecodable(self._header, "in the header, ")

    def _item(self, start: int, row: list[str], problem: str | None) -> RawItem:
        raw = self._raw()
        where = self._lines.name, start
        if not self._names:
            raise UsageError(f"{in_words(where)}: not a CSV header: {problem}")
        if problem is None and len(row) != len(self._names):
            problem = f"{len(row)} fields, but the header has {len(self._names)}"
        problem = self._header_problem or _undecodable(raw) or problem
        if problem is not None:
            return RawItem(None, raw, where, problem)
        return RawItem(dict(zip(self._names, row, strict=True)), raw, where)

    def _raw(self) -> bytes:
        return b"".join(self._record_lines).rstrip(b"\r\n")
