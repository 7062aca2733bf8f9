"""All inputs of a run as one lazy sequence of items."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePath

from tasker.cli import strict_json
from tasker.cli.exit_codes import UsageError
from tasker.cli.sources import CsvSource, GlobSource, RawItem, Source, line_source

from .arguments import RunOptions
from .items import Item

_SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}


class Inputs:
    """Every source, one after the other; items are numbered from 0 through all of them."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = sources
        self.items_read: int = 0
        self.at_end: bool = False
        self._passed_bytes = 0
        self._current: Source | None = None

    @property
    def total_bytes(self) -> int | None:
        """Known for regular files only."""
        sizes = [source.size for source in self.sources]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None

    @property
    def bytes_read(self) -> int:
        return self._passed_bytes + (self._current.position if self._current else 0)

    def estimated_total(self) -> int | None:
        """How many items there are, from the share of bytes read so far."""
        if self.at_end:
            return self.items_read
        total, read = self.total_bytes, self.bytes_read
        if total is None or not read:
            return None
        return max(self.items_read, round(self.items_read * total / read))

    def __iter__(self) -> Iterator[Item]:
        for source in self.sources:
            self._current = source
            for entry in source.entries():
                item = _item(self.items_read, entry)
                self.items_read += 1
                yield item
            self._current = None
            self._passed_bytes += source.position
        self.at_end = True


def _item(index: int, entry: RawItem) -> Item:
    problem = entry.problem
    if problem is None:
        try:
            return Item(index, entry.value, strict_json.encode(entry.value), entry.raw, entry.where)
        except strict_json.ENCODE_ERRORS as error:  # 1e999 is JSON, and reads as infinity
            problem = f"not JSON: {error}"
    text = strict_json.encode(entry.raw.decode(errors="backslashreplace"))
    return Item(index, None, text, entry.raw, entry.where, f"{entry.where}: {problem}")


def open_inputs(options: RunOptions) -> Inputs:
    """The inputs that the options name; UsageError when one of them cannot be read."""
    paths = options.inputs or (() if options.files else ("-",))
    sources: list[Source] = [line_source(path, _format_of(path, options)) for path in paths]
    sources += [GlobSource(pattern) for pattern in options.files]
    _check_fields(sources, options)
    if options.failed is not None:
        _check_one_format(sources)
    return Inputs(sources)


def _format_of(path: str, options: RunOptions) -> str:
    if options.format is not None:
        return options.format
    suffix = PurePath(path).suffix.lower()
    if suffix == ".json":
        raise UsageError(f"{path}: .json may be one value; say --format jsonl if each line is one")
    return _SUFFIXES.get(suffix, "lines")


def _check_fields(sources: Sequence[Source], options: RunOptions) -> None:
    if options.priority_field is not None and any(s.format == "lines" for s in sources):
        raise UsageError("--priority-field needs JSON or CSV items: say --format jsonl or csv")


def _check_one_format(sources: Sequence[Source]) -> None:
    """A file of failed inputs can be fed in again only when it has one format throughout."""
    formats = {"lines" if s.format == "files" else s.format for s in sources}
    if len(formats) > 1:
        raise UsageError(f"--failed needs inputs of one format, not {' and '.join(sorted(formats))}")
    if sum(isinstance(source, CsvSource) for source in sources) > 1:
        raise UsageError("--failed takes one CSV input: two might differ in their headers")
