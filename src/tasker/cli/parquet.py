"""Inputs in Parquet, read by pyarrow a few rows at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterator
from contextlib import suppress
from typing import Any

from tasker.cli import strict_json
from tasker.cli.exit_codes import UsageError

from .scarce import opened
from .sources import FileId, RawItem, Source, file_id

_ROWS = 512
"""Rows that are read at once. Few, since each may hold an image."""


class ParquetSource(Source):
    """One item a row: a dict with the names of the columns. What JSON has no type for is the text that results have for it.

    Raises UsageError if the file cannot be read, or pyarrow is not installed.
    """

    def __init__(self, path: str) -> None:
        if path == "-":
            raise UsageError("standard input cannot be read as Parquet, which is read from its end: name a file")
        self._path = path
        self._absolute = os.path.abspath(path)  # now: the job may change the working directory
        self._read = 0
        self._opened: Any = None
        with self._open() as file:
            self._rows: int = file.metadata.num_rows
            names = file.schema_arrow.names
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise UsageError(f"{path}: column {twice[0]!r} twice")
        self._size = os.path.getsize(path)

    @property
    def name(self) -> str:
        return self._path

    def open(self) -> None:
        with suppress(UsageError):
            self._opened = self._open()

    def find(self, files: Container[FileId]) -> FileId | None:
        found = file_id(os.stat(self._absolute))
        return found if found in files else None

    @property
    def size(self) -> int | None:
        return self._size

    @property
    def position(self) -> int:
        return self._size * self._read // self._rows if self._rows else self._size

    def items(self) -> Iterator[RawItem | None]:
        import pyarrow as pa

        from tasker.cli.run.result_encoder import ResultEncoder

        encode = ResultEncoder(None).encode
        ahead, self._opened = self._opened, None
        with ahead or self._open() as file:
            try:
                # In this thread: others would take the cores from the workers.
                for batch in file.iter_batches(_ROWS, use_threads=False):
                    for row, fault in _rows_of(batch):
                        self._read += 1
                        yield _item(row, fault, f"{self._path} row {self._read}", encode)
            except (pa.ArrowException, OSError, ValueError) as error:
                raise UsageError(f"{self._path} behind row {self._read:,}: {error}") from None

    def _open(self) -> Any:
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ImportError:
            raise UsageError(f"{self._path}: to read Parquet, install tasker-pool[parquet]") from None
        try:
            return opened(lambda: parquet.ParquetFile(self._absolute))
        except (pa.ArrowException, OSError) as error:
            raise UsageError(f"cannot read {self._path}: {_reason(error)}") from None


def _item(row: dict[str, Any], fault: str | None, where: str, encode: Callable[[Any], str]) -> RawItem:
    from tasker.cli.run.result_encoder import NoJsonForm

    if fault is None:
        try:
            text = encode(row)
            return RawItem(strict_json.decode(text), text.encode(), where)
        except NoJsonForm as error:
            fault = str(error)
    return RawItem(None, repr(row).encode(errors="backslashreplace"), where, fault)


def _rows_of(batch: Any) -> Iterator[tuple[dict[str, Any], str | None]]:
    """Yields the rows; one with a value that Python has no form for with what is wrong, and None in place of the value."""
    try:
        rows = batch.to_pylist()
    except (ValueError, OverflowError):  # which row?
        for number in range(batch.num_rows):
            yield _row_of(batch, number)
    else:
        for row in rows:
            yield row, None


def _row_of(batch: Any, number: int) -> tuple[dict[str, Any], str | None]:
    row: dict[str, Any] = {}
    fault = None
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        value = column[number]
        try:
            row[name] = value.as_py()
        except (ValueError, OverflowError) as error:
            row[name] = text = _in_nanoseconds(value)
            if text is None:
                row[name], fault = None, f"$.{name}: {_reason(error)}"
    return row, fault


def _in_nanoseconds(value: Any) -> str | None:
    """Returns a time that is too fine for Python in ISO 8601; None for anything else."""
    import pyarrow as pa
    from pyarrow import compute

    if getattr(value.type, "unit", None) != "ns" or pa.types.is_duration(value.type):
        return None
    text: str = compute.cast(value, pa.string()).as_py().replace(" ", "T")
    return f"{text[:-2]}:{text[-2:]}" if getattr(value.type, "tz", None) else text


def _reason(error: Exception) -> str:
    # Of pyarrow, the first line says what is wrong.
    return getattr(error, "strerror", None) or str(error).partition("\n")[0]
