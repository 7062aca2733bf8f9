"""Traces: how files are read, and clear messages for those that can't be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tasker.simulation.traces import TraceError, read_trace

Written = Callable[..., str]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    def write(text: str, name: str = "trace.csv") -> str:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def test_arrivals_alone(written: Written) -> None:
    """The first arrival becomes second 0; the order of the lines and other columns do not matter."""
    trace = read_trace(written("host,arrival_s\na,12.5\nb,10\nc,11\n"))
    assert (trace.arrivals, trace.services) == ((0.0, 1.0, 2.5), None)


def test_arrivals_and_service_times(written: Written) -> None:
    """A service time stays with its arrival."""
    trace = read_trace(written("arrival_s,service_s\n5,0.5\n4,0.25\n"))
    assert (trace.arrivals, trace.services) == ((0.0, 1.0), (0.25, 0.5))


@pytest.mark.parametrize(
    "moments",
    [
        ("2026-03-01T10:00:00Z", "2026-03-01T10:00:01.5Z"),
        ("2026-03-01 10:00:00", "2026-03-01 10:00:01.500"),
        ("2026-03-01T10:00:00+01:00", "2026-03-01T09:00:01.5+00:00"),
        ("1772359200", "1772359201.5"),
    ],
)
def test_timestamps(written: Written, moments: tuple[str, str]) -> None:
    """A timestamp is ISO 8601, with or without a zone, or seconds since 1970."""
    assert read_trace(written("timestamp\n" + "\n".join(moments))).arrivals == (0.0, 1.5)


def test_results_of_a_run(written: Written) -> None:
    """The items of each worker are laid end to end, and the wait before a start gives the arrival; items that never
    started are left out."""
    lines = [
        '{"index": 0, "wait_s": 0.0, "execution_s": 1.0, "worker": "jobs-1"}',
        '{"index": 1, "wait_s": 0.0, "execution_s": 3.0, "worker": "jobs-2"}',
        '{"index": 2, "wait_s": 0.75, "execution_s": 0.5, "worker": "jobs-1"}',
        '{"index": 3, "wait_s": null, "execution_s": null, "worker": null}',
        "",
    ]
    trace = read_trace(written("\n".join(lines), "results.jsonl"))
    assert (trace.arrivals, trace.services) == ((0.0, 0.0, 0.25), (1.0, 3.0, 0.5))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("trace.csv", "", ["trace.csv:1", "arrival_s or timestamp", "found: nothing"]),
        ("trace.csv", "when,how\n1,2\n", ["trace.csv:1", "found: when, how"]),
        ("trace.csv", "arrival_s\n", ["trace.csv", "no task"]),
        ("trace.csv", "arrival_s\n1\nsoon\n", ["trace.csv:3", "arrival_s", "'soon'"]),
        ("trace.csv", "arrival_s\nnan\n", ["trace.csv:2", "arrival_s", "'nan'"]),
        ("trace.csv", "arrival_s,service_s\n1,-2\n", ["trace.csv:2", "service_s", "at least 0", "'-2'"]),
        ("trace.csv", "arrival_s,service_s\n1\n", ["trace.csv:2", "service_s", "None"]),
        ("trace.csv", "timestamp\nyesterday\n", ["trace.csv:2", "timestamp", "ISO 8601", "'yesterday'"]),
        ("results.jsonl", '{"execution_s": 1, "wait_s": 0}\nnot json\n', ["results.jsonl:2", "not JSON"]),
        ("results.jsonl", "[1]\n", ["results.jsonl:1", "execution_s", "tasker run"]),
        ("results.jsonl", '{"execution_s": 1}\n', ["results.jsonl:1", "wait_s", "None"]),
        ("results.jsonl", '{"execution_s": true, "wait_s": 0}\n', ["results.jsonl:1", "execution_s", "True"]),
        ("results.jsonl", "\n", ["no task"]),
        ("trace.txt", "1\n", ["trace.txt", ".csv", ".jsonl"]),
    ],
)
def test_what_is_wrong_is_named(written: Written, name: str, text: str, words: list[str]) -> None:
    """The message names the file and, if there is one, the line, the field and the value."""
    with pytest.raises(TraceError) as caught:
        read_trace(written(text, name))
    for word in words:
        assert word in str(caught.value)


def test_no_such_file(tmp_path: Path) -> None:
    """The message has the operating system's reason."""
    with pytest.raises(TraceError, match=r"away\.csv: No such file"):
        read_trace(str(tmp_path / "away.csv"))


def test_not_text(tmp_path: Path) -> None:
    """A file that is not text is refused."""
    path = tmp_path / "trace.csv"
    path.write_bytes(b"arrival_s\n\xff\xfe\n")
    with pytest.raises(TraceError, match=r"trace\.csv: .*decode"):
        read_trace(str(path))
