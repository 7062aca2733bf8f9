"""--keep-order, --halt, --timeout, --skip, --limit and --dry-run."""

from __future__ import annotations

import argparse
import gzip
import signal

import pytest

from tasker.cli.run.halting import Halt, halt
from tasker.cli.run.in_order import InputOrder

from .conftest import Workshop, wait_for
from .jobfiles import SQUARE, THIRD_WAITS

# Each item but the first waits for nothing, and the first one for the last one.
REVERSED = """
    from pathlib import Path

    def task(ctx, resource, item):
        if item == "0":
            while not Path("last").exists():
                ctx.wait(0.002)
        if item == "19":
            Path("last").touch()
        if item == "7":
            raise ValueError(item)
        return item
"""


@pytest.mark.parametrize("more", [(), ("--timeout", "60")])
def test_results_in_the_order_of_the_inputs(shop: Workshop, more: tuple[str, ...]) -> None:
    """With one that failed among them, whatever way the items take to the workers."""
    shop.write("jobs.py", REVERSED)
    shop.numbers(50)
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--keep-order", "--workers", 2, *more)
    assert done.returncode == 1, done.stderr
    assert [record["index"] for record in shop.records()] == list(range(50))


def test_order_is_kept_of_what_resume_runs(shop: Workshop) -> None:
    shop.write("jobs.py", SQUARE)
    shop.numbers(5)
    assert shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--keep-order").returncode == 0
    shop.numbers(300)
    assert shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--keep-order", "--resume").returncode == 0
    assert [record["index"] for record in shop.records()] == list(range(300))


def test_what_is_held_back_is_written_when_the_run_is_stopped(shop: Workshop) -> None:
    shop.write(
        "jobs.py",
        """
        from pathlib import Path

        def task(ctx, resource, item):
            if item == "0":
                while not Path("go").exists():
                    ctx.wait(0.002)
            Path("begun-" + item).touch()
        """,
    )
    shop.numbers(1000)
    run = shop.start(
        "run", "jobs.py", "in.txt", "--output", "out.jsonl", "--keep-order", "--workers", 2, "--max-queue", 50
    )
    wait_for((shop.folder / "begun-40").exists, "the items behind the first one")
    assert shop.lines() == 0
    run.send_signal(signal.SIGINT)
    assert run.stderr is not None
    for line in run.stderr:
        if b"finishing" in line:
            break
    (shop.folder / "go").touch()
    assert run.wait(30) == 130
    indices = [record["index"] for record in shop.records()]
    assert indices == sorted(indices)
    assert indices[:41] == list(range(41))


def test_a_misfit_behind_a_slow_item_does_not_block_the_run(shop: Workshop) -> None:
    shop.write(
        "jobs.py",
        """
        from pathlib import Path

        def task(ctx, resource, item):
            if item == "1":
                Path("there").touch()
                return object()
            while item == "0" and not Path("there").exists():
                ctx.wait(0.002)
        """,
    )
    shop.numbers(20)
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--keep-order", "--workers", 2)
    assert done.returncode == 2
    assert "stopped at the first result: item 1" in done.stderr


def test_what_is_not_about_an_item_passes_at_once() -> None:
    assert InputOrder().sort([None]) == [None]


FAILS_FROM_5 = """
    def task(ctx, resource, item):
        if int(item) >= 5:
            raise ValueError(item)
"""


def test_halt_after_a_number_of_failures(shop: Workshop) -> None:
    shop.write("jobs.py", FAILS_FROM_5)
    shop.numbers(5000)
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--halt", 3, "--max-queue", 20)
    assert done.returncode == 1
    assert "items failed (--halt 3)" in done.stderr
    failed = [record for record in shop.records() if record["status"] == "failed"]
    assert 3 <= len(failed) < 1000


def test_halt_after_a_share_of_failures(shop: Workshop) -> None:
    shop.write("jobs.py", FAILS_FROM_5)
    shop.numbers(5000)
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--halt", "50%", "--max-queue", 20)
    assert done.returncode == 1
    assert "items failed (--halt 50%)" in done.stderr
    assert 10 <= shop.lines() < 1000


@pytest.mark.parametrize("options", [(), ("--timeout", 60)], ids=["lanes", "one by one"])
def test_halt_after_a_share_of_failures_when_the_others_succeed(shop: Workshop, options: tuple[object, ...]) -> None:
    """It is judged at each completed item: at the tenth, though none fails then, and however many follow at once."""
    shop.write(
        "jobs.py",
        """
        def task(ctx, resource, item):
            if int(item) < 9:
                raise ValueError(item)
        """,
    )
    shop.numbers(3000)
    done = shop.run("run", "jobs.py", "in.txt", "--halt", "40%", "--max-queue", 20, "--workers", 1, *options)
    assert done.returncode == 1
    assert "stopped: 9 of 10 items failed (--halt 40%)" in done.stderr


@pytest.mark.parametrize("limit", ["3", "50%"])
@pytest.mark.parametrize("options", [(), ("--timeout", 60)], ids=["lanes", "one by one"])
def test_halt_for_failures_behind_a_slow_item(shop: Workshop, limit: str, options: tuple[object, ...]) -> None:
    """With --keep-order they count before they are written. The slow one ends once no further item begins."""
    shop.write(
        "jobs.py",
        """
        begun = []

        def task(ctx, resource, item):
            begun.append(item)
            if item == "0":
                before = 0
                while before < len(begun) < 300:
                    before = len(begun)
                    ctx.wait(0.5)
            if int(item) > 3:
                ctx.wait(0.01)
                raise ValueError(item)
        """,
    )
    shop.numbers(1000)
    command = ("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--keep-order", "--workers", 2, "--max-queue", 500)
    done = shop.run(*command, "--halt", limit, *options)
    assert done.returncode == 1
    assert f"items failed (--halt {limit})" in done.stderr
    assert 6 < shop.lines() < 300


def test_halts() -> None:
    assert halt("3") == Halt(3)
    assert halt("50%") == Halt(50, is_share=True)
    for wrong in ("0", "-1", "101%", "0%", "%", "x", ""):
        with pytest.raises(argparse.ArgumentTypeError):
            halt(wrong)
    assert not Halt(50, True).is_reached(9, 9), "too few to say"
    assert Halt(50, True).judged_at(200, 195) == 10
    assert Halt(50, True).judged_at(200, 100) == 101
    assert Halt(50, True).judged_at(200, 0) == 200
    assert Halt(50, True).judged_at(9, 3) == 9


def test_more_to_skip_than_an_index_can_count(shop: Workshop) -> None:
    shop.write("jobs.py", FAILS_FROM_5)
    shop.numbers(5)
    for options, done in (("--skip", 10**30), 0), (("--limit", 10**30), 5), (("--skip", 2, "--limit", 10**30), 3):
        assert shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", *options).returncode == 0
        assert shop.lines() == done
        (shop.folder / "out.jsonl").unlink()


@pytest.mark.parametrize("option", [("--delay", "1e30"), ("--rate", "1e-9/h")], ids=["delay", "rate"])
def test_a_pause_that_is_longer_than_any_wait(shop: Workshop, option: tuple[str, str]) -> None:
    """It ends with the run."""
    shop.write("jobs.py", FAILS_FROM_5)
    shop.numbers(5)
    run = shop.start("run", "jobs.py", "in.txt", "--output", "out.jsonl", *option)
    wait_for(lambda: shop.lines() == 1, "the first item")
    run.send_signal(signal.SIGINT)
    assert run.wait(30) == 130
    assert shop.lines() == 1
    assert Halt(50, True).is_reached(5, 10)
    assert not Halt(50, True).is_reached(5, 11)
    assert not Halt(3).is_reached(2, 2)
    assert Halt(3).is_reached(3, 100)


def test_an_item_that_takes_too_long_fails(shop: Workshop) -> None:
    shop.write("jobs.py", THIRD_WAITS)
    shop.numbers(20)
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--timeout", 0.3)
    assert done.returncode == 1, done.stderr
    (failed,) = (record for record in shop.records() if record["status"] == "failed")
    assert (failed["index"], failed["error"]["type"]) == (3, "tasker.errors.TaskTimeout")
    assert failed["execution_s"] >= 0.3
    assert shop.lines() == 20


@pytest.mark.parametrize(
    ("options", "indices"),
    [
        (("--skip", 7), [7, 8, 9]),
        (("--limit", 2), [0, 1]),
        (("--skip", 3, "--limit", 4), [3, 4, 5, 6]),
        (("--skip", 20), []),
        (("--limit", 20), list(range(10))),
    ],
)
def test_a_part_of_the_inputs(shop: Workshop, options: tuple[object, ...], indices: list[int]) -> None:
    """Items keep the index that they have among all inputs."""
    shop.write("jobs.py", SQUARE)
    shop.numbers(10)
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", *options)
    assert done.returncode == 0, done.stderr
    assert sorted(record["index"] for record in shop.records()) == indices
    assert [record["result"] for record in sorted(shop.records(), key=lambda r: r["index"])] == [n**2 for n in indices]


def test_the_limit_reads_no_further(shop: Workshop) -> None:
    """Not even for one more item from a pipe that stays open."""
    shop.write("jobs.py", SQUARE)
    run = shop.start("run", "jobs.py", "--limit", 2, "--output", "out.jsonl", stdin=-1)
    assert run.stdin is not None
    run.stdin.write(b"3\n4\n")
    run.stdin.flush()
    assert run.wait(30) == 0
    assert sorted(shop.results().values()) == [9, 16]


def test_results_that_were_passed_over_are_not_called_unmatched(shop: Workshop) -> None:
    shop.write("jobs.py", SQUARE)
    shop.numbers(10)
    assert shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl").returncode == 0
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--resume", "--skip", 4)
    assert done.returncode == 0
    assert "match none" not in done.stderr
    assert len(shop.results()) == 10
    for option in ("--skip", "--limit"):
        done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--resume", "--prune", option, 4)
        assert (done.returncode, "--prune needs all inputs" in done.stderr) == (2, True)


def test_a_dry_run_shows_the_items_and_writes_nothing(shop: Workshop) -> None:
    shop.write(
        "jobs.py",
        """
        from pathlib import Path

        def on_create():
            Path("created").touch()

        def task(ctx, resource, item):
            return item
        """,
    )
    shop.write("in.jsonl", '1\nnot json\n{"a": "b"}\n')
    done = shop.run("run", "jobs.py", "in.jsonl", "--output", "out.jsonl", "--failed", "failed.jsonl", "--dry-run")
    assert done.returncode == 1
    first, second, third = done.stdout.splitlines()
    assert first == '{"index": 0, "input": 1}'
    assert second.startswith('{"index": 1, "input": "not json", "problem": "in.jsonl line 2: not JSON')
    assert third == '{"index": 2, "input": {"a": "b"}}'
    assert "2 items would be run, 1 would fail as malformed" in done.stderr
    assert sorted(path.name for path in shop.folder.glob("*.*")) == ["in.jsonl", "jobs.py"]
    assert not (shop.folder / "created").exists()


def test_a_dry_run_that_cannot_go_on(shop: Workshop) -> None:
    """It says so in one line, as a run does."""
    shop.write("jobs.py", SQUARE)
    shop.numbers(5)
    with open("/dev/full", "wb") as full:
        done = shop.run("run", "jobs.py", "in.txt", "--dry-run", stdout=full)
    assert done.returncode == 1
    assert done.stderr == "tasker run: error: cannot write to standard output: No space left on device\n"
    (shop.folder / "cut.txt.gz").write_bytes(gzip.compress(b"1\n" * 100)[:-9])
    done = shop.run("run", "jobs.py", "cut.txt.gz", "--dry-run")
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) > 90, "what could be read before that"
    assert done.stderr.startswith("tasker run: error: reading failed: EOFError")


def test_a_dry_run_of_resume_leaves_out_what_is_done(shop: Workshop) -> None:
    shop.write("jobs.py", SQUARE)
    shop.numbers(3)
    assert shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl").returncode == 0
    with (shop.folder / "out.jsonl").open("a") as file:
        file.write('{"index": 3, "in')  # where a run was killed
    before = shop.read("out.jsonl")
    shop.numbers(5)
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--resume", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout == '{"index": 3, "input": "3"}\n{"index": 4, "input": "4"}\n'
    assert "2 items would be run, 0 would fail as malformed, 3 are done already" in done.stderr
    assert shop.read("out.jsonl") == before


def test_tab_separated_values(shop: Workshop) -> None:
    """By the suffix; a comma is nothing special, and --failed has the same form."""
    shop.write("jobs.py", "def task(ctx, resource, item):\n    return item if item['a'] != '3' else 1 / 0\n")
    shop.write("in.tsv", 'a\tb\n1,5\t"two\twords"\n3\t4\n')
    done = shop.run("run", "jobs.py", "in.tsv", "--output", "out.jsonl", "--failed", "failed.tsv", "--keep-order")
    assert done.returncode == 1, done.stderr
    assert shop.records()[0]["result"] == {"a": "1,5", "b": "two\twords"}
    assert shop.read("failed.tsv") == "a\tb\n3\t4\n"


def test_compressed_inputs_are_read_in_the_format_of_their_names(shop: Workshop) -> None:
    shop.write("jobs.py", "def task(ctx, resource, item):\n    return item\n")
    (shop.folder / "in.jsonl.gz").write_bytes(gzip.compress(b'{"a": 1}\n[2]\n'))
    (shop.folder / "more.gz").write_bytes(gzip.compress(b"a line\n"))
    done = shop.run("run", "jobs.py", "in.jsonl.gz", "more.gz", "--output", "out.jsonl")
    assert done.returncode == 0, done.stderr
    assert shop.results() == {0: {"a": 1}, 1: [2], 2: "a line"}


def test_a_file_that_is_not_gzip_ends_the_run(shop: Workshop) -> None:
    shop.write("jobs.py", "def task(ctx, resource, item):\n    return item\n")
    shop.write("in.gz", "text\n")
    done = shop.run("run", "jobs.py", "in.gz", "--output", "out.jsonl")
    assert done.returncode == 1
    assert "cannot go on reading: Not a gzipped file" in done.stderr
