"""The registry of input formats: one more format is one more entry in FORMATS, and no other edit.

The choices of --format, the options that a format brings with it, their help, the detection by
suffix and the error messages that name formats are all derived from the registry when they are
needed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from tasker.cli.exit_codes import UsageError

from . import strict_json
from .compression import without_suffix
from .csv_source import CsvSource, field_delimiter
from .parquet import ParquetSource
from .sources import DelimitedSource, GlobSource, LineSource, Source, text_as_json


@dataclass(frozen=True, slots=True)
class InputOption:
    """An option that names inputs of a format, in place of INPUT. It may be repeated."""

    flag: str
    metavar: str


@dataclass(frozen=True, slots=True)
class ReaderOption:
    """An option whose value the format's `read` gets as a keyword argument: ``--no-header`` as ``no_header``."""

    flag: str
    metavar: str
    help: str
    type: Callable[[str], Any] = str
    default: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFormat:
    """One format of inputs: how it is recognised, how it is read, and what else a run may do with its items."""

    name: str
    """Its name in --format and in messages."""

    title: str
    """What a malformed item is not: "not JSON: ..."."""

    summary: str
    """What an item is, for --help."""

    read: Callable[..., Source]
    """Opens an input: called with its path, or with a value of `input_option`, and with the values of `options`
    as keyword arguments. Raises UsageError if the input cannot be read."""

    read_delimited: Callable[[str, bytes], Source] | None = None
    """The same with the value of --delimiter; None if that has no meaning here."""

    suffixes: tuple[str, ...] = ()
    """Suffixes of file names, in lower case, that select this format."""

    doubtful_suffixes: Mapping[str, str] = field(default_factory=dict)
    """Suffixes that may or may not stand for this format, with what the user should do: without --format they are
    refused."""

    input_option: InputOption | None = None
    """Names inputs of this format; then the format is not a choice of --format, and has no suffixes."""

    options: tuple[ReaderOption, ...] = ()
    """Further options that reading needs."""

    has_fields: bool = False
    """Whether items may be dicts, which --priority-field needs."""

    has_header: bool = False
    """Whether a file begins with a header. --failed takes one such input only, as two headers may differ."""

    failed_as: str | None = None
    """The name of the format in which --failed writes the items, if it is not this one."""

    def add_options(self, group: argparse._ArgumentGroup) -> None:
        """Adds the options of this format to a parser."""
        if self.input_option is not None:
            flag, metavar = self.input_option.flag, self.input_option.metavar
            summary = f"{self.summary} (repeatable)"
            group.add_argument(flag, action="append", default=[], metavar=metavar, help=summary)
        for option in self.options:
            group.add_argument(
                option.flag, type=option.type, default=option.default, metavar=option.metavar, help=option.help
            )

    def option_values(self, parsed: argparse.Namespace) -> dict[str, Any]:
        """Returns the values that were parsed for the options of this format, as keyword arguments for `read`."""
        return {dest: getattr(parsed, dest) for dest in (_dest(option.flag) for option in self.options)}

    def named_inputs(self, parsed: argparse.Namespace) -> tuple[str, ...]:
        """Returns the values of `input_option`, in the order in which they were given."""
        return tuple(getattr(parsed, _dest(self.input_option.flag))) if self.input_option is not None else ()


def _dest(flag: str) -> str:
    """Returns the attribute under which argparse stores an option."""
    return flag.lstrip("-").replace("-", "_")


DEFAULT_FORMAT = "lines"

FORMATS: dict[str, InputFormat] = {
    one.name: one
    for one in (
        InputFormat(
            name="lines",
            title="text",
            summary="each line is an item, as text",
            read=lambda path: LineSource(path, str, text_as_json),
            read_delimited=DelimitedSource,
        ),
        InputFormat(
            name="jsonl",
            title="JSON",
            summary="the JSON value of each line is an item",
            read=lambda path: LineSource(path, strict_json.decode, bytes),
            suffixes=(".jsonl", ".ndjson"),
            doubtful_suffixes={".json": "may be one value; say --format jsonl if each line is one"},
            has_fields=True,
        ),
        InputFormat(
            name="csv",
            title="CSV",
            summary="each record is an item, a dict with the names of the header",
            read=CsvSource,
            read_delimited=lambda path, delimiter: CsvSource(path, field_delimiter(delimiter)),
            suffixes=(".csv",),
            has_fields=True,
            has_header=True,
        ),
        InputFormat(
            name="tsv",
            title="TSV",
            summary="as csv, with tabs between the fields",
            read=lambda path: CsvSource(path, "\t"),
            suffixes=(".tsv",),
            has_fields=True,
            has_header=True,
        ),
        InputFormat(
            name="parquet",
            title="Parquet",
            summary="each row is an item, a dict with the names of the columns",
            read=ParquetSource,
            suffixes=(".parquet",),
            has_fields=True,
            failed_as="jsonl",
        ),
        InputFormat(
            name="files",
            title="a path",
            summary="each matching file's path is an item; ** descends into directories",
            read=GlobSource,
            input_option=InputOption("--files", "GLOB"),
            failed_as="lines",
        ),
    )
}


def selectable() -> list[InputFormat]:
    """Returns the formats that --format can name."""
    return [one for one in FORMATS.values() if one.input_option is None]


def format_of(path: str, selected: str | None) -> InputFormat:
    """Returns the format of an input: the selected one, or else the one that its suffix stands for.

    Raises UsageError for a suffix that leaves the format in doubt.
    """
    if selected is not None:
        return FORMATS[selected]
    suffix = PurePath(without_suffix(path.lower())).suffix
    for one in selectable():
        if suffix in one.doubtful_suffixes:
            raise UsageError(f"{path}: {suffix} {one.doubtful_suffixes[suffix]}")
        if suffix in one.suffixes:
            return one
    return FORMATS[DEFAULT_FORMAT]


def format_help() -> str:
    """Returns the help text of --format."""
    summaries = "; ".join(f"{one.name}: {one.summary}" for one in selectable())
    suffixes = " ".join(suffix for one in selectable() for suffix in one.suffixes)
    return f"of the inputs. {summaries}. Default by suffix: {suffixes}, anything else {DEFAULT_FORMAT}"


def titles_with_fields(separator: str) -> str:
    """Returns the titles of the formats whose items may have fields."""
    return separator.join(one.title for one in FORMATS.values() if one.has_fields)


def check_fields_possible(formats: list[InputFormat]) -> None:
    """Raises UsageError unless items of all these formats, chosen by options, may have fields."""
    if not all(one.has_fields for one in formats):
        without = " and ".join(one.name for one in FORMATS.values() if not one.has_fields)
        raise UsageError(f"--priority-field needs {titles_with_fields(' or ')} items: {without} have no fields")


def check_fields(formats: list[InputFormat]) -> None:
    """Raises UsageError if one of the inputs was taken for a format without fields."""
    if not all(one.has_fields for one in formats):
        choices = " or ".join(one.name for one in selectable() if one.has_fields)
        raise UsageError(f"--priority-field needs {titles_with_fields(' or ')} items: say --format {choices}")


def check_failed(formats: list[InputFormat]) -> None:
    """Raises UsageError unless one file can take the failed items of all inputs and be an input itself."""
    names = {one.failed_as or one.name for one in formats}
    if len(names) > 1:
        raise UsageError(f"--failed needs inputs of one format, not {' and '.join(sorted(names))}")
    with_header = [one for one in formats if one.has_header]
    if len(with_header) > 1:
        raise UsageError(f"--failed takes one {with_header[0].title} input: two might differ in their headers")
