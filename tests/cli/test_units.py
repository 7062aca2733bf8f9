"""Parts that need no process: globbing, the resume ledger, humanized numbers, run statistics, strict JSON."""

from __future__ import annotations

import errno
import glob
import os
from pathlib import Path
from typing import Any

import pytest

from tasker import TaskStats
from tasker.cli import humanize, strict_json
from tasker.cli import scarce as scarce_files
from tasker.cli.argument_types import setting
from tasker.cli.globbing import matching_files
from tasker.cli.run.errors_as_data import ErrorData
from tasker.cli.run.items import Item
from tasker.cli.run.priorities import priority_of
from tasker.cli.run.records import Record
from tasker.cli.run.resume_ledger import PagedNumbers, ResumeLedger
from tasker.cli.run.run_stats import MOST_GROUPS, ProgressSnapshot, RateMeter, RunStats


def tree(folder: Path) -> None:
    for name in ("a.py", "b.txt", ".hidden.py", "p/c.py", "p/q/d.py", ".git/e.py", "x[1]/f.py"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize(
    "pattern",
    ["*.py", "**/*.py", "p/*.py", "p/**", "**", "*/*", "a.py", "./a.py", "none/*", "**/q/*.py",
     "**/**/*.py", ".*", "x[[]1]/*.py", "p/../*.py", "?.*", ".git/*"],
)  # fmt: skip
@pytest.mark.parametrize("absolute", [False, True])
def test_globbing_finds_what_glob_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, absolute: bool
) -> None:
    """The files, sorted by directory; the same ones as glob, without its repetitions."""
    tree(tmp_path)
    monkeypatch.chdir(tmp_path)
    whole = f"{glob.escape(str(tmp_path))}/{pattern}" if absolute else pattern
    found = list(matching_files(whole))
    monkeypatch.chdir("/")
    assert list(matching_files(whole, str(tmp_path))) == found, "from another working directory"
    monkeypatch.chdir(tmp_path)
    expected = {p for p in glob.glob(whole, recursive=True) if os.path.isfile(p)}
    assert {os.path.normpath(p) for p in found} == {os.path.normpath(p) for p in expected}
    assert len(found) == len(set(found))


def test_globbing_waits_for_a_descriptor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that cannot be made hold the last one for a moment. Without it, files would be missing without a word."""
    (tmp_path / "a.txt").touch()
    scandir = os.scandir
    failures = [errno.EMFILE, errno.ENFILE]

    def scarce(path: str) -> Any:
        if failures:
            raise OSError(failures.pop(), "none left", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scarce)
    assert list(matching_files(f"{tmp_path}/*")) == [str(tmp_path / "a.txt")]
    assert not failures
    monkeypatch.setattr(scarce_files, "PATIENCE_S", 0.0)
    failures.append(errno.EMFILE)
    with pytest.raises(OSError, match="none left"):
        list(matching_files(f"{tmp_path}/*"))
    failures.append(errno.EACCES)
    assert list(matching_files(f"{tmp_path}/*")) == [], "not allowed is as in glob"


def test_globbing_is_in_a_stable_order_and_survives_loops(tmp_path: Path) -> None:
    tree(tmp_path)
    (tmp_path / "p" / "loop").symlink_to(tmp_path)
    names = [os.path.relpath(p, tmp_path) for p in matching_files(f"{tmp_path}/**/*.py")]
    assert names == ["a.py", "p/c.py", "p/q/d.py", "x[1]/f.py"]


def test_numbers_are_zero_until_set() -> None:
    numbers = PagedNumbers()
    assert (numbers[0], numbers[10**18]) == (0, 0)
    numbers[10**18] = 2**32 - 1
    assert (numbers[10**18], numbers[10**18 + 1]) == (2**32 - 1, 0)


def test_the_last_line_of_an_item_holds() -> None:
    """A ledger that gets the lines in the order of the file keeps exactly the last line of each item: of an index
    together with an input."""
    ledger = ResumeLedger()
    lines = [(0, 5, True), (1, 9, False), (0, 5, False), (2, 7, True), (1, 9, True), (1, 8, True), (1, 8, True)]
    for index, fingerprint, is_done in lines:
        ledger.load_line(index, fingerprint, is_done)
    assert (ledger.superseded, ledger.unmatched) == (3, 4)
    assert not ledger.check_off(0, 5)
    assert ledger.check_off(1, 8) and ledger.check_off(1, 9) and not ledger.check_off(2, 8)
    assert ledger.unmatched == 1
    assert [ledger.count_off_line(i, f) for i, f, _ in lines] == [False, False, True, True, True, False, True]
    assert [ledger.is_current(i, f) for i, f in ((0, 5), (1, 9), (1, 8), (2, 7))] == [True, True, True, False]


def test_lines_of_the_run_itself_match_its_inputs() -> None:
    ledger = ResumeLedger()
    ledger.load_line(0, 5, is_done=True)
    ledger.add_line(0, 6, is_done=True)
    assert (ledger.superseded, ledger.unmatched) == (0, 1)
    assert ledger.check_off(0, 5)
    ledger.add_line(0, 5, is_done=False)
    assert (ledger.superseded, ledger.unmatched) == (1, 0)
    assert ledger.is_current(0, 5) and ledger.is_current(0, 6)


def test_a_fingerprint_is_never_the_mark_of_an_index_without_lines() -> None:
    assert strict_json.fingerprint("") == 1
    assert strict_json.fingerprint('"\ud800"')


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 µs"), (0.00001, "10 µs"), (0.0005, "500 µs"), (0.9999, "1 s"), (0.0123, "12.3 ms"),
     (0.1, "100 ms"), (1.5, "1.5 s"), (99.97, "100 s"), (4321, "4,321 s")],
)  # fmt: skip
def test_durations_are_worded_in_their_unit(seconds: float, text: str) -> None:
    assert humanize.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3600, "1:00:00"),
     (1e6, "12 days"), (1e12, "11,574,074 days")],
)  # fmt: skip
def test_clocks(seconds: float | None, text: str) -> None:
    assert humanize.clock(seconds) == text


def test_the_rate_is_that_of_the_last_seconds() -> None:
    rate = RateMeter(0.0)
    assert rate.update(0.0, 0) == 0.0
    for second in range(1, 31):
        shown = rate.update(float(second), 100 * second if second <= 15 else 1500)
    assert shown == 0.0


def failure(index: int, kind: str) -> Record:
    item = Item(index, None, "null", b"", "")
    return Record(item, None, ErrorData(kind, "message"))


def test_failures_are_grouped_and_their_number_is_bounded() -> None:
    run_stats = RunStats()
    for index in range(10 * MOST_GROUPS):
        run_stats.add(failure(index, f"Error{index}"))
    for index in range(7):
        run_stats.add(failure(index, "Error0"))
    assert run_stats.failed == 10 * MOST_GROUPS + 7
    assert len(run_stats.groups) == MOST_GROUPS + 1
    assert run_stats.groups["Error0"].indices == [0, 0, 1, 2, 3]
    assert run_stats.groups["Error0"].count == 8
    assert sum(group.count for group in run_stats.groups.values()) == run_stats.failed


def test_the_eta_needs_a_total_and_a_rate() -> None:
    def view(**more: object) -> ProgressSnapshot:
        given = {"elapsed": 1.0, "done": 10, "failed": 0, "skipped": 5, "total": 35, "rate": 4.0}
        return ProgressSnapshot(**{**given, **more}, stats=TaskStats())  # type: ignore[arg-type]

    assert view().eta == 5.0
    assert view(total=None).eta is None
    assert view(rate=0.0).eta is None
    assert view(stopping=True).eta is None
    assert view(total=12).eta == 0.0


@pytest.mark.parametrize(
    ("given", "priority"),
    [("high", 0), (" Normal ", 1), ("LOW", 2), (0, 0), (2, 2), ("1", 1), (None, 1), ("", 1)],
)
def test_priorities(given: object, priority: int) -> None:
    item = Item(0, {"p": given}, "{}", b"", "somewhere")
    assert priority_of(item, "p") == (priority, None)


@pytest.mark.parametrize("given", [3, -1, 1.0, True, "urgent", [0]])
def test_priorities_that_are_none(given: object) -> None:
    _, problem = priority_of(Item(0, {"p": given}, "{}", b"", "somewhere"), "p")
    assert problem is not None
    assert "somewhere: field 'p'" in (problem.problem or "")


@pytest.mark.parametrize(
    ("text", "value"),
    [("a=1", 1), ("a=1.5", 1.5), ("a=true", True), ("a=", ""), ("a=b=c", "b=c"), ("a=[1", "[1")],
)
def test_settings_are_json_or_text(text: str, value: object) -> None:
    assert setting(text) == ("a", value)
