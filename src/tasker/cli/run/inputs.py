"""All inputs of a run as one lazy sequence of items."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from tasker.cli import formats, strict_json
from tasker.cli.exit_codes import UsageError
from tasker.cli.formats import InputFormat
from tasker.cli.sources import FileId, RawItem, Source, in_words

from .arguments import RunOptions
from .items import Item


class OpenInput(NamedTuple):
    """One input, open, and the format in which it is read."""

    format: InputFormat
    source: Source


class RunInputs:
    """Every input, one after the other; items are numbered from 0 through all of them.

    One thread iterates, another one may ask for the totals meanwhile.
    """

    def __init__(self, inputs: Sequence[OpenInput], skip: int = 0, limit: int | None = None) -> None:
        """``skip``: how many items are passed over at the beginning; ``limit``: how many follow at most."""
        self.items_read: int = 0
        self.at_end: bool = False
        """Whether all inputs were read."""
        self._skip = skip
        self._limit = limit
        self._inputs = inputs
        self._passed_bytes = 0
        self._current: Source | None = None

    @property
    def total_bytes(self) -> int | None:
        """The length of all inputs together; None unless all of them are regular files."""
        sizes = [source.size for _, source in self._inputs]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None

    @property
    def bytes_read(self) -> int:
        """How many bytes of all inputs have been read."""
        # The reading thread may pass on to the next input meanwhile. So each is read once, and in this order: the
        # sum may be too small for a moment, but no input counts twice.
        passed, current = self._passed_bytes, self._current
        return passed + (current.position if current is not None else 0)

    @property
    def header(self) -> bytes:
        """The header of the inputs, as far as it has been read; b"" for formats without one."""
        return b"".join(source.header for _, source in self._inputs)

    @property
    def end(self) -> bytes:
        """What ends an item in a file of failed inputs."""
        return next((source.end for _, source in self._inputs if source.end != b"\n"), b"\n")

    def refuse_outputs(self, outputs: Mapping[FileId, str]) -> None:
        """Raises UsageError if a file to be read is one of the outputs, which are given by their identities, with their names."""
        for _, source in self._inputs:
            found = source.find(outputs)
            if found is not None:
                raise UsageError(f"{outputs[found]} is an output and also an input: {source.name}")

    def estimated_total(self) -> int | None:
        """Returns how many items there are, estimated from the share of bytes read so far; None if unknown."""
        if self.at_end:
            return self._wanted(self.items_read)
        total, read = self.total_bytes, self.bytes_read
        if total is None or not read:
            return None
        return self._wanted(max(self.items_read, round(self.items_read * total / read)))

    @property
    def is_whole(self) -> bool:
        """Whether all items are yielded, none of them passed over."""
        return not self._skip and self._limit is None

    def _wanted(self, total: int) -> int:
        """Returns how many of `total` items are yielded."""
        wanted = max(0, total - self._skip)
        return wanted if self._limit is None else min(wanted, self._limit)

    def pass_over(self, is_done: Callable[[int, int], bool]) -> None:
        """Has items for which `is_done`, which gets an index and a fingerprint, returns True replaced by None, where that saves
        reading them. To be called before the iteration."""

        def asked(text: bytes) -> bool:
            return is_done(self.items_read, strict_json.checksum(text))

        for _, source in self._inputs:
            source.is_done = asked

    def open_first(self) -> None:
        """Opens the first input. To be called before workers take the descriptors that there are; a further one is opened when
        that of the one before has been closed."""
        if self._inputs:
            self._inputs[0].source.open()

    def __iter__(self) -> Iterator[Item | None]:
        """Yields the items; None for one that is passed over."""
        if self.is_whole:
            return self._all()
        last = None if self._limit is None else self._skip + self._limit
        # More than an index can count are more than there are.
        return islice(self._all(), min(self._skip, sys.maxsize), last if last is None else min(last, sys.maxsize))

    def _all(self) -> Iterator[Item | None]:
        for input_format, source in self._inputs:
            self._current = source
            for raw_item in source.items():
                item = None if raw_item is None else _item(self.items_read, raw_item, input_format)
                self.items_read += 1
                yield item
            self._current = None
            self._passed_bytes += source.position
        self.at_end = True


def _item(index: int, raw_item: RawItem, format: InputFormat) -> Item:
    value, raw, where, problem = raw_item
    title = format.title
    if problem is None:
        try:
            return Item(index, value, strict_json.encode(value), raw, where)
        except strict_json.ENCODE_ERRORS as error:  # 1e999 is valid JSON, but it is read as infinity
            title, problem = "JSON", str(error)
    text = strict_json.encode(raw.decode(errors="backslashreplace"))
    return Item(index, None, text, raw, where, f"{in_words(where)}: not {title}: {problem}")


def open_inputs(options: RunOptions) -> RunInputs:
    """Opens the inputs that the options name. Raises UsageError if one of them cannot be read."""
    inputs = [_open(formats.format_of(path, options.format), path, options) for path in options.inputs]
    for name, named in options.named_inputs.items():
        inputs += [_open(formats.FORMATS[name], value, options) for value in named]
    if not options.allow_empty:
        _refuse_empty(inputs)
    chosen = [opened.format for opened in inputs]
    if options.priority_field is not None:
        formats.check_fields(chosen)
    if options.failed is not None:
        formats.check_failed(chosen)
    return RunInputs(inputs, options.skip, options.limit)


def _refuse_empty(inputs: Sequence[OpenInput]) -> None:
    for _, source in inputs:
        if source.is_empty:
            raise UsageError(f"{source.name} matches no file (--allow-empty: go on all the same)")


def _open(format: InputFormat, path: str, options: RunOptions) -> OpenInput:
    more = options.reader_options[format.name]
    if options.delimiter is None or format.input_option is not None:
        return OpenInput(format, format.read(path, **more))
    if format.read_delimited is None:
        raise UsageError(f"{path}: --delimiter and --null are not for {format.name}")
    return OpenInput(format, format.read_delimited(path, options.delimiter))
