"""`tasker bench`: a table (or JSON) in a short time, and clear words for bad usage."""

from __future__ import annotations

import json

import pytest

from tasker.cli import bench

from .conftest import Workshop

SMALL = ("--tasks", "50", "--workers", "1,2", "--rounds", "3")


def test_table(shop: Workshop) -> None:
    """Each number of workers has its table: a line for tasker, one for its peer with the ratio."""
    done = shop.run("bench", *SMALL)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "50 tasks a run, 3 rounds: median [quartiles]" in done.stdout
    for title in ("threads, 1 worker (", "threads, 2 workers (", "one task at a time"):
        assert done.stdout.count(title) == 1
    lines = [line for line in done.stdout.splitlines() if line.startswith("  ThreadPoolExecutor")]
    assert len(lines) == 3
    assert all("[" in line and "tasker is " in line and line.endswith("x") for line in lines)
    assert done.stdout.count("asyncio, 16 at a time") == 1


def test_json(shop: Workshop) -> None:
    """Every value of every round, and the ratios."""
    done = shop.run("bench", *SMALL, "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert (data["tasks"], data["rounds"]) == (50, 3)
    for race in data["races"]:
        assert len(race["values"]) == 2
        assert all(len(values) == 3 and min(values) > 0 for values in race["values"].values())
        assert all(ratio > 0 for ratio in race["tasker_is"].values())


def test_the_time_limit_ends_the_rounds(shop: Workshop) -> None:
    """At least one round is run, and no other is begun once the time is up."""
    done = shop.run("bench", "--tasks", "50", "--rounds", "1000000", "--seconds", "0")
    assert done.returncode == 0, done.stderr
    assert " 1 round:" in done.stdout


def test_help(shop: Workshop) -> None:
    """Each option with its default."""
    done = shop.run("bench", "--help")
    assert done.returncode == 0
    for option in ("--tasks", "--workers", "--rounds", "--seconds", "--json"):
        assert option in done.stdout
    assert done.stdout.count("default: ") == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--tasks", "0"], ["--tasks", "at least 1", "'0'"]),
        (["--workers", "4,many"], ["--workers", "'many'"]),
        (["--workers", ""], ["--workers", "''"]),
        (["--rounds", "-1"], ["--rounds", "'-1'"]),
        (["--seconds", "nan"], ["--seconds", "'nan'"]),
        (["--seconds", "soon"], ["--seconds", "'soon'"]),
        (["now"], ["now"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_bad_usage(shop: Workshop, arguments: list[str], words: list[str]) -> None:
    done = shop.run("bench", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


def test_ratio_is_of_the_same_round() -> None:
    """Twice as fast in each round is twice as fast, however much slower the second round was."""
    race = bench.Benchmark("", "", True, {}, {"tasker": [200.0, 20.0, 2.0], "other": [100.0, 10.0, 1.0]})
    assert race.advantage("other") == 2.0
    race = bench.Benchmark("", "", False, {}, {"tasker": [1.0, 10.0], "other": [3.0, 30.0]})
    assert race.advantage("other") == 3.0
