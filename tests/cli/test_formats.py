"""The registry of input formats: one entry is a format, with its options, help, detection and messages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasker.cli import formats, sources
from tasker.cli.commands import Parser
from tasker.cli.exit_codes import UsageError
from tasker.cli.formats import InputFormat, InputOption, ReaderOption
from tasker.cli.run import arguments
from tasker.cli.run.inputs import RunInputs, open_inputs
from tasker.cli.sources import LineSource, RawItem, Source


def read_pairs(path: str, pair_separator: str) -> LineSource:
    """Lines of a name and a value, each line a dict."""

    def parse(line: str) -> dict[str, str]:
        name, found, value = line.partition(pair_separator)
        if not found:
            raise ValueError(f"there is no {pair_separator!r}")
        return {name: value}

    return LineSource(path, parse)


class Countdown(Source):
    """The numbers from the first one down to 1: an input that is not a file."""

    def __init__(self, first: str) -> None:
        self._first = int(first)

    def items(self) -> Iterator[RawItem]:
        for number in range(self._first, 0, -1):
            yield RawItem(number, str(number).encode(), f"number {number}")


PAIRS = InputFormat(
    name="pairs",
    title="PAIR",
    summary="each line is an item, a dict with one name",
    read=read_pairs,
    suffixes=(".pairs",),
    doubtful_suffixes={".conf": "may have sections; say --format pairs if it has none"},
    options=(ReaderOption("--pair-separator", "TEXT", "what separates name and value", default="="),),
    has_fields=True,
)
COUNTDOWN = InputFormat(
    name="countdown",
    title="a number",
    summary="each number from N down to 1 is an item",
    read=Countdown,
    input_option=InputOption("--count-down", "N"),
)


@pytest.fixture
def _toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two more formats, which nothing but the registry knows."""
    monkeypatch.setitem(formats.FORMATS, "pairs", PAIRS)
    monkeypatch.setitem(formats.FORMATS, "countdown", COUNTDOWN)


def help_text() -> str:
    """`tasker run --help`, on one line."""
    parser = Parser(prog="tasker run")
    arguments.configure(parser)
    return " ".join(parser.format_help().split())


def opened(*given: object) -> RunInputs:
    """The inputs of `tasker run jobs.py GIVEN ...`: parsed, checked and opened as the command does it."""
    parser = Parser(prog="tasker run")
    arguments.configure(parser)
    parsed = parser.parse_intermixed_args(["jobs.py", *map(str, given)])
    return open_inputs(arguments.checked(parsed))


def values(*given: object) -> list[Any]:
    return [item.value for item in opened(*given)]


def refusal(*given: object) -> str:
    with pytest.raises(UsageError) as caught:
        opened(*given)
    return str(caught.value)


@pytest.mark.usefixtures("_toys")
def test_an_entry_in_the_registry_is_a_format(tmp_path: Path) -> None:
    """It is read by its suffix or by its name, in any company, with its own option; malformed lines are named by it."""
    by_suffix, by_name, text = tmp_path / "a.PAIRS", tmp_path / "b", tmp_path / "c"
    by_suffix.write_text("a=1\n\nb=2\n")
    by_name.write_text("a:1=2\n")
    text.write_text("a=1\n")
    assert values(by_suffix) == [{"a": "1"}, {"b": "2"}]
    assert values(by_suffix, text) == [{"a": "1"}, {"b": "2"}, "a=1"]
    assert values(by_name, "--format", "pairs", "--pair-separator", ":") == [{"a": "1=2"}]
    (item,) = opened(by_name, "--format", "pairs", "--pair-separator", ";")
    assert item.problem == f"{by_name} line 1: not PAIR: there is no ';'"


@pytest.mark.usefixtures("_toys")
def test_an_entry_may_name_its_inputs_by_an_option_of_its_own(tmp_path: Path) -> None:
    """The option may be repeated; its inputs come after those that are files, and standard input is not read."""
    text = tmp_path / "a.txt"
    text.write_text("a\n")
    assert values("--count-down", 3, "--count-down", 1) == [3, 2, 1, 1]
    assert values("--count-down", 2, text) == ["a", 2, 1]


@pytest.mark.usefixtures("_toys")
def test_help_and_messages_follow_the_registry(tmp_path: Path) -> None:
    text, pairs = tmp_path / "a.txt", tmp_path / "a.pairs"
    for path in (text, pairs):
        path.write_text("a=1\n")
    shown = help_text()
    assert "--format {lines,jsonl,csv,tsv,parquet,pairs}" in shown
    assert "pairs: each line is an item, a dict with one name. Default by suffix" in shown
    assert ".jsonl .ndjson .csv .tsv .parquet .pairs, anything else lines" in shown
    assert "--pair-separator TEXT what separates name and value" in shown
    assert "--count-down N each number from N down to 1 is an item (repeatable)" in shown
    assert "(JSON, CSV, TSV, Parquet, PAIR)" in shown
    assert "invalid choice: 'xml'" in refusal(text, "--format", "xml")
    assert "pairs" in refusal(text, "--format", "xml")
    assert refusal("x.conf") == "x.conf: .conf may have sections; say --format pairs if it has none"
    assert refusal(text, "--priority-field", "p").endswith("say --format jsonl or csv or tsv or parquet or pairs")
    assert refusal("--count-down", 1, "--priority-field", "p") == (
        "--priority-field needs JSON or CSV or TSV or Parquet or PAIR items: lines and files and countdown have no fields"
    )
    assert refusal(text, pairs, "--failed", "f") == "--failed needs inputs of one format, not lines and pairs"


def test_the_formats_that_there_are(tmp_path: Path) -> None:
    """Without the other entries, the registry says what it always said."""
    text = tmp_path / "a.txt"
    text.write_text("a\n")
    table = tmp_path / "a.csv"
    table.write_text("a\n1\n")
    assert "--format {lines,jsonl,csv,tsv,parquet} of the inputs." in help_text()
    assert "Default by suffix: .jsonl .ndjson .csv .tsv .parquet, anything else lines" in help_text()
    assert refusal("x.json") == "x.json: .json may be one value; say --format jsonl if each line is one"
    assert refusal(text, "--priority-field", "p") == (
        "--priority-field needs JSON or CSV or TSV or Parquet items: say --format jsonl or csv or tsv or parquet"
    )
    assert refusal("--files", "*", "--priority-field", "p") == (
        "--priority-field needs JSON or CSV or TSV or Parquet items: lines and files have no fields"
    )
    assert refusal(table, table, "--failed", "f") == ("--failed takes one CSV input: two might differ in their headers")
    assert values(text, "--files", table, "--failed", "f") == ["a", str(table)]


def test_a_line_without_an_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device such as /dev/zero would fill the memory. A line of just that length is fine."""
    monkeypatch.setattr(sources, "LONGEST_LINE", 10)
    text = tmp_path / "a.txt"
    text.write_text("short\n" + "x" * 9 + "\n")
    assert values(text) == ["short", "x" * 9]
    text.write_text("short\n" + "x" * 11)
    with pytest.raises(UsageError, match="line 2: no end of line within 10 bytes"):
        values(text)
