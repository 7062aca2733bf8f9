"""Inputs in Parquet."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from .conftest import Workshop

pa = pytest.importorskip("pyarrow", reason="tasker-pool[parquet] is not installed")

ECHO = "def task(ctx, resource, item):\n    return item\n"


def write(path: Path, columns: dict[str, Any], rows_at_once: int | None = None) -> None:
    """Write a table."""
    from pyarrow import parquet

    parquet.write_table(pa.table(columns), path, row_group_size=rows_at_once)


def test_each_row_is_an_item(shop: Workshop) -> None:
    """With all types that JSON has or results have a text for, and over row groups."""
    shop.write("jobs.py", ECHO)
    columns = {
        "n": [1, None],
        "text": ["ä", ""],
        "nested": [{"a": [1.5]}, {"a": []}],
        "day": [dt.date(2026, 1, 2), None],
        "at": [dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC), None],
        "price": [Decimal("1.50"), None],
        "raw": [b"\x00\xff", None],
    }
    write(shop.folder / "in.parquet", columns, rows_at_once=1)
    done = shop.run("run", "jobs.py", "in.parquet", "--output", "out.jsonl", "--keep-order")
    assert done.returncode == 0, done.stderr
    first, second = (record["result"] for record in shop.records())
    assert first == {
        "n": 1,
        "text": "ä",
        "nested": {"a": [1.5]},
        "day": "2026-01-02",
        "at": "2026-01-02T03:04:00+00:00",
        "price": "1.50",
        "raw": "AP8=",
    }
    assert second == {**dict.fromkeys(columns), "text": "", "nested": {"a": []}}


def test_many_rows_and_resume(shop: Workshop) -> None:
    """Rows are numbered through the batches in which they are read, and what has a result is not run again."""
    shop.write("jobs.py", ECHO)
    write(shop.folder / "in.parquet", {"n": list(range(2000))}, rows_at_once=700)
    arguments = ("run", "jobs.py", "in.parquet", "--output", "out.jsonl", "--resume")
    assert shop.run(*arguments, "--limit", "1500").returncode == 0
    done = shop.run(*arguments)
    assert done.returncode == 0, done.stderr
    assert sorted(record["result"]["n"] for record in shop.records()) == list(range(2000))


def test_failed_rows_are_json_lines(shop: Workshop) -> None:
    """Which can be an input themselves; a row without a form in JSON fails alone, and says where."""
    shop.write("jobs.py", "def task(ctx, resource, item):\n    return 1 / item['n']\n")
    write(shop.folder / "in.parquet", {"n": [1.0, 0.0, float("nan"), 2.0]})
    done = shop.run("run", "jobs.py", "in.parquet", "--output", "out.jsonl", "--failed", "failed.jsonl", "--keep-order")
    assert done.returncode == 1, done.stderr
    errors = [record.get("error") for record in shop.records()]
    assert [error is None for error in errors] == [True, False, False, True]
    assert "in.parquet row 3" in json.dumps(errors[2])
    assert "nan" in json.dumps(errors[2])
    assert json.loads(shop.read("failed.jsonl").splitlines()[0]) == {"n": 0.0}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot read in.parquet: "),
        (b"n\n1\n", "cannot read in.parquet: "),
        (b"PAR1" + bytes(100) + b"PAR1", "cannot read in.parquet: "),
    ],
    ids=["empty", "text", "damaged"],
)
def test_what_is_no_parquet(shop: Workshop, content: bytes, said: str) -> None:
    """Is refused in one line, before anything is written."""
    shop.write("jobs.py", ECHO)
    (shop.folder / "in.parquet").write_bytes(content)
    done = shop.run("run", "jobs.py", "in.parquet", "--output", "out.jsonl")
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (shop.folder / "out.jsonl").exists()


def test_standard_input_and_a_missing_file(shop: Workshop) -> None:
    shop.write("jobs.py", ECHO)
    done = shop.run("run", "jobs.py", "-", "--format", "parquet", "--output", "out.jsonl")
    assert (done.returncode, "name a file" in done.stderr) == (2, True)
    done = shop.run("run", "jobs.py", "no.parquet", "--output", "out.jsonl")
    assert done.returncode == 2
    assert "cannot read no.parquet: " in done.stderr


def test_an_input_that_is_an_output(shop: Workshop) -> None:
    """Is refused, and stays as it was."""
    shop.write("jobs.py", ECHO)
    write(shop.folder / "in.parquet", {"n": [1]})
    before = (shop.folder / "in.parquet").read_bytes()
    done = shop.run("run", "jobs.py", "in.parquet", "--output", "in.parquet", "--overwrite")
    assert (done.returncode, "also an input" in done.stderr) == (2, True)
    assert (shop.folder / "in.parquet").read_bytes() == before


def test_times_that_python_is_too_coarse_for(shop: Workshop) -> None:
    """They are texts as those beside them; what has no form at all fails with its row."""
    shop.write("jobs.py", ECHO)
    nanoseconds = [1_000, 1_700_000_000_123_456_789, None]
    columns = {
        "at": pa.array(nanoseconds, pa.timestamp("ns")),
        "there": pa.array(nanoseconds, pa.timestamp("ns", tz="+01:00")),
        "hour": pa.array([0, 1, None], pa.time64("ns")),
        "day": pa.array([0, 1, 10**8], pa.date32()),
    }
    write(shop.folder / "in.parquet", columns)
    done = shop.run("run", "jobs.py", "in.parquet", "--output", "out.jsonl", "--failed", "failed.jsonl", "--keep-order")
    assert done.returncode == 1, done.stderr
    first, second, third = shop.records()
    assert first["result"] == {
        "at": "1970-01-01T00:00:00.000001",
        "there": "1970-01-01T01:00:00.000001+01:00",
        "hour": "00:00:00",
        "day": "1970-01-01",
    }
    assert second["result"] == {
        "at": "2023-11-14T22:13:20.123456789",
        "there": "2023-11-14T23:13:20.123456789+01:00",
        "hour": "00:00:00.000000001",
        "day": "1970-01-02",
    }
    assert "in.parquet row 3" in json.dumps(third)
    assert "$.day: date value out of range" in json.dumps(third)


def test_two_columns_of_one_name(shop: Workshop) -> None:
    """One of them would be lost."""
    from pyarrow import parquet

    shop.write("jobs.py", ECHO)
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    parquet.write_table(table, shop.folder / "in.parquet")
    done = shop.run("run", "jobs.py", "in.parquet", "--output", "out.jsonl")
    assert done.returncode == 2
    assert done.stderr.endswith("in.parquet: column 'a' twice\n")
